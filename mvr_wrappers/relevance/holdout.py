"""HoldOut: clips of whole episodes that are never trained on. NumPy only.

Clips of one episode overlap: neighbours share most of their states and frames. Held out clip by clip, a loss would be
measured on near-copies of what was trained on.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mvr_wrappers.arrays import Arrays, generator_from_array, generator_to_array, group, nested
from mvr_wrappers.clips import UNKNOWN, ScoredClip, stack_clips, unstack_clips

MAX_HELD_OUT = 50  # clips
PER_EPISODE = 2
ENOUGH = 8  # episodes, before which a quarter of all are held out


class HoldOut:
    """Chooses episodes to hold out, and keeps up to two random clips of each, at most 50 clips in all.

    Held out is a share of the episodes, yet never fewer than a quarter of them or 8, whichever is less, and one as soon
    as there are two. Beyond that a newcomer is as likely held out as any episode that is trained on, in place of a
    random one, so that those held out are of the same time as those trained on (reservoir sampling): were they all of
    the first hours, early stopping would know nothing of what the policy does now. What is replaced is dropped, as are
    the clips of a held-out episode beyond two.

    Args:
        rng: makes the choices; owned by this object from here on.
        share: of the episodes, in (0, 1).

    Attributes:
        clips: the clips held out.
        seen: episodes seen so far.
    """

    __slots__ = ("_held", "_rng", "_share", "_trained", "clips", "seen")

    def __init__(self, rng: np.random.Generator, share: float) -> None:
        self.clips: list[ScoredClip] = []
        self.seen = 0
        self._rng, self._share = rng, share
        self._held: set[int] = set()  # episodes that were ever held out
        self._trained: set[int] = set()  # episodes that were ever trained on

    @property
    def n_episodes(self) -> int:
        """Episodes held out."""
        return count_episodes([clip.episode for clip in self.clips])

    def take(self, clips: Sequence[ScoredClip], n_trained: int) -> list[ScoredClip]:
        """Takes the clips of the episodes it holds out; returns those to train on.

        Args:
            clips: newly scored clips.
            n_trained: episodes that are trained on so far.
        """
        episodes: dict[int, list[ScoredClip]] = {}
        for number, clip in enumerate(clips):
            key = clip.episode if clip.episode != UNKNOWN else -1 - number
            episodes.setdefault(key, []).append(clip)
        new = [key for key in episodes if key not in self._held and key not in self._trained]
        held = {key for key, chosen in zip(new, self._choose(len(new), n_trained), strict=True) if chosen}
        self._held |= {key for key in held if key >= 0}
        self._trained |= {key for key in new if key not in held and key >= 0}
        to_train = []
        for key, members in episodes.items():
            if key in held or key in self._held:
                self._keep(members)
            else:
                to_train += members
        return to_train

    def state_dict(self) -> dict[str, NDArray[Any]]:
        """Returns everything as named arrays that `numpy.savez` stores without pickling."""
        sides = {name: np.array(sorted(side), np.int64) for name, side in self._sides().items()}
        counters = {"seen": np.array(self.seen), "rng": generator_to_array(self._rng)}
        return {**counters, **sides, **nested(clips=stack_clips(self.clips))}

    def load_state_dict(self, arrays: Arrays) -> None:
        """Takes over the state of another."""
        self.seen, self._rng = int(arrays["seen"]), generator_from_array(arrays["rng"])
        for name, side in self._sides().items():
            side.clear()
            side.update(arrays[name].tolist())
        self.clips = unstack_clips(group(arrays, "clips"))

    def _sides(self) -> dict[str, set[int]]:
        return {"held": self._held, "trained": self._trained}

    @property
    def _quota(self) -> int:
        """Episodes that should be held out by now."""
        return max(int(self._share * self.seen), min(ENOUGH, self.seen // 4), int(self.seen > 1))

    def _choose(self, new: int, n_trained: int) -> NDArray[np.bool_]:
        """Marks which of the episodes that are new are held out."""
        self.seen += new
        n_held = self.n_episodes
        full = len(self.clips) > MAX_HELD_OUT - PER_EPISODE
        missing = 0 if full else min(max(0, self._quota - n_held), new)
        renewal = n_held / (n_held + n_trained) if n_held >= ENOUGH else 0.0  # until then each quarter renews them
        newer = int(self._rng.binomial(new - missing, renewal))
        chosen = np.zeros(new, np.bool_)
        chosen[self._rng.choice(new, missing + newer, replace=False)] = True
        return chosen

    def _keep(self, members: list[ScoredClip]) -> None:
        """Keeps up to two clips of an episode, in place of others where there are too many."""
        own = [clip for clip in self.clips if clip.episode == members[0].episode != UNKNOWN]
        others = [clip for clip in self.clips if not any(clip is it for it in own)]
        chosen = sorted(self._rng.permutation(len(members))[: PER_EPISODE - len(own)])
        while others and (
            len(others) + len(own) + len(chosen) > MAX_HELD_OUT
            or count_episodes([clip.episode for clip in others]) >= self._quota
        ):
            out = others[int(self._rng.integers(len(others)))]
            others = [it for it in others if it is not out and (it.episode != out.episode or it.episode == UNKNOWN)]
        self.clips = [*others, *own, *(members[i] for i in chosen)]


def count_episodes(episodes: Sequence[int] | NDArray[np.int64]) -> int:
    """Returns how many episodes clips are of, given the episode of each; an unknown one counts apart."""
    numbers = np.asarray(episodes, np.int64)
    known = numbers[numbers != UNKNOWN]
    return len(np.unique(known)) + len(numbers) - len(known)
