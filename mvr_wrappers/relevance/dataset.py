"""ClipDataset: the scored clips that state relevance is learned from. NumPy only.

Each clip's states are stored once, as (L, D), however many views it was filmed from; its scores and embeddings have
one row a view. An episode is either trained on or held out from the moment its first clip arrives.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mvr_wrappers.arrays import Arrays, group, nested
from mvr_wrappers.clips import ROWS, ScoredClip, stack_clips
from mvr_wrappers.errors import ConfigError, NonFiniteError
from mvr_wrappers.relevance.holdout import HoldOut, count_episodes
from mvr_wrappers.relevance.moments import ROUNDING, RunningMoments, ViewMeans


@dataclass(frozen=True, slots=True, eq=False)
class ClipBatch:
    """M distinct clips.

    Attributes:
        states: float32 (M, T, D), T states of each clip.
        scores: float32 (M,), psi, mean over the clip's views, each less its view's mean where the dataset centres them.
        embeddings: float32 (M, V, E), video embedding of each view.
    """

    states: NDArray[np.float32]
    scores: NDArray[np.float32]
    embeddings: NDArray[np.float32]


class ClipRows:
    """Parallel arrays of clips, written slot by slot and grown by doubling up to `capacity`."""

    __slots__ = ("arrays", "capacity", "size")

    def __init__(self, capacity: int) -> None:
        self.arrays: dict[str, NDArray[Any]] = {}
        self.capacity = capacity
        self.size = 0

    def put(self, slot: int, clip: ScoredClip) -> None:
        """Writes a clip to a slot, at most one past the last in use."""
        if not self.arrays:
            self.arrays = {name: row[:0] for name, row in stack_clips([clip]).items()}
        for name, array in self.arrays.items():
            if slot == len(array):
                room = min(self.capacity, max(16, 2 * slot))
                self.arrays[name] = np.empty((room, *array.shape[1:]), array.dtype)
                self.arrays[name][:slot] = array
            self.arrays[name][slot] = getattr(clip, name)
        self.size = max(self.size, slot + 1)

    def filled(self) -> dict[str, NDArray[Any]]:
        """Returns the slots in use, by name."""
        return {name: array[: self.size] for name, array in self.arrays.items()}

    def refill(self, arrays: Arrays) -> None:
        """Takes over what `filled` returned."""
        self.arrays = {name: np.array(array) for name, array in arrays.items()}
        self.size = len(self.arrays.get("states", ()))


class ClipDataset:
    """A ring of training clips, and the clips of episodes that are held out, see `HoldOut`.

    Args:
        capacity: training clips kept; the oldest leave first.
        rng: decides which episodes are held out; owned by the dataset from here on.
        holdout: share of the episodes held out, in (0, 1).
        center_views: subtract each view's running mean from the scores.
    """

    def __init__(
        self, capacity: int, rng: np.random.Generator, *, holdout: float = 0.05, center_views: bool = True
    ) -> None:
        self.center_views = center_views
        self._train = ClipRows(capacity)
        self._held = HoldOut(rng, holdout)
        self._next = 0
        self._moments = RunningMoments()
        self._view_means = ViewMeans()

    def __len__(self) -> int:
        """Clips kept, for training and held out."""
        return self.n_train + self.n_held

    @property
    def n_train(self) -> int:
        """Clips to train on."""
        return self._train.size

    @property
    def n_held(self) -> int:
        """Clips held out."""
        return len(self._held.clips)

    @property
    def n_held_episodes(self) -> int:
        """Episodes that the clips held out are of."""
        return self._held.n_episodes

    @property
    def n_episodes(self) -> int:
        """Episodes seen so far, those included whose clips have left."""
        return self._held.seen

    @property
    def state_dim(self) -> int:
        """D, the size of a state; needs a clip."""
        return int(self._moments.mean.shape[0])

    @property
    def view_offsets(self) -> NDArray[np.float64]:
        """(n,): what to subtract from the scores of each view; zeros where views are not centred."""
        offsets = self._view_means.offsets
        return offsets if self.center_views else np.zeros_like(offsets)

    def add(self, clips: Sequence[ScoredClip]) -> None:
        """Takes in scored clips, all or none.

        Raises:
            ConfigError: clips of differing L, D, V or E.
            NonFiniteError: a state, score or embedding that is NaN or infinite.
        """
        if not clips:
            return
        self._check(clips)
        self._moments.update(np.stack([clip.states for clip in clips]))
        self._view_means.update(
            np.concatenate([clip.views for clip in clips]), np.concatenate([clip.scores for clip in clips])
        )
        for clip in self._held.take(clips, count_episodes(self._train.filled().get("episode", []))):
            self._train.put(self._next, clip)
            self._next = (self._next + 1) % self._train.capacity

    def standardisation(self, constant: float = ROUNDING) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Returns mean (D,) and deviation (D,) of all states seen; the deviation of a constant feature is 1.

        Args:
            constant: what counts as constant, see `RunningMoments.std`.
        """
        return self._moments.mean, self._moments.std(constant)

    def sample(self, rng: np.random.Generator, n_clips: int, n_states: int | None) -> ClipBatch:
        """Draws distinct training clips and some of their states. Costs O(n_clips).

        Args:
            rng: source of the draw.
            n_clips: M, at most `n_train` of them are returned.
            n_states: T states of each clip, one from each T-th of its length at random: every state is as likely as
                any other, so that means over them are unbiased. None, or T >= L: all.
        """
        chosen = rng.choice(self.n_train, min(n_clips, self.n_train), replace=False)
        states, length = self._train.arrays["states"], self._train.arrays["states"].shape[1]
        if n_states is None or n_states >= length:
            drawn = states[chosen]
        else:
            times = (np.arange(n_states) + rng.random((len(chosen), n_states))) * (length / n_states)
            drawn = states[chosen[:, None], times.astype(np.int64)]
        return self._batch(drawn, *(self._train.arrays[name][chosen] for name in ("views", "scores", "embeddings")))

    def held_out(self) -> ClipBatch:
        """Returns all held-out clips with all their states; there must be one."""
        rows = stack_clips(self._held.clips)
        return self._batch(rows["states"], rows["views"], rows["scores"], rows["embeddings"])

    def state_dict(self) -> dict[str, NDArray[Any]]:
        """Returns everything as named arrays that `numpy.savez` stores without pickling."""
        return {
            "next": np.array(self._next),
            **nested(
                moments=self._moments.state_dict(),
                view_means=self._view_means.state_dict(),
                train=self._train.filled(),
                held=self._held.state_dict(),
            ),
        }

    def load_state_dict(self, arrays: Arrays) -> None:
        """Takes over the state of a dataset of the same settings."""
        self._next = int(arrays["next"])
        self._moments.load_state_dict(group(arrays, "moments"))
        self._view_means.load_state_dict(group(arrays, "view_means"))
        train = group(arrays, "train")
        if train and (train.keys() != set(ROWS) or len({len(rows) for rows in train.values()}) != 1):
            raise ValueError(f"clips need as many of each of {', '.join(ROWS)}; there are {', '.join(train)}")
        self._train.refill(train)
        self._held.load_state_dict(group(arrays, "held"))

    def _batch(
        self,
        states: NDArray[np.float32],
        views: NDArray[np.int64],
        scores: NDArray[np.float32],
        embeddings: NDArray[np.float32],
    ) -> ClipBatch:
        """Makes a batch of states (M, T, D), views and scores (M, V) and embeddings (M, V, E)."""
        psi = (scores - self.view_offsets[views]).mean(axis=1)
        return ClipBatch(states, psi.astype(np.float32), embeddings)

    def _check(self, clips: Sequence[ScoredClip]) -> None:
        """Refuses clips that do not fit beside the others, before anything is changed."""
        first = next(iter(self._held.clips), clips[0])
        kept = {name: row.shape[1:] for name, row in (self._train.arrays or stack_clips([first])).items()}
        for number, clip in enumerate(clips):
            for name in ROWS:
                array = np.asarray(getattr(clip, name))
                if array.shape != kept[name]:
                    raise ConfigError(
                        f"clip {number} has {name} of shape {array.shape}, clips before it {kept[name]}; one dataset "
                        "holds clips of one length, state size and number of views: use one reward engine for each kind"
                    )
                if not np.isfinite(array).all():
                    raise NonFiniteError(f"clip {number} has NaN or infinite {name}; check the environment and scorer")
            if (clip.views < 0).any():
                raise ConfigError(f"clip {number} has the view indices {clip.views}; they count from 0")
