"""ClipDataset: the scored clips that state relevance is learned from. NumPy only.

Each clip's states are stored once, as (L, D), however many views it was filmed from; its scores and embeddings have
one row a view. A clip is either for training or held out from the moment it arrives.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mvr_wrappers.arrays import Arrays, generator_from_array, generator_to_array, group, nested
from mvr_wrappers.clips import ROWS, ScoredClip
from mvr_wrappers.errors import ConfigError, NonFiniteError
from mvr_wrappers.relevance.moments import RunningMoments, ViewMeans

MAX_HELD_OUT = 50


@dataclass(frozen=True, slots=True, eq=False)
class ClipBatch:
    """M distinct clips, each seen from one of its views.

    Attributes:
        states: float32 (M, T, D), T states of each clip.
        scores: float32 (M,), psi, the view's mean subtracted where the dataset centres views.
        embeddings: float32 (M, E), video embedding of that view.
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
            self.arrays = {name: np.empty((0, *getattr(clip, name).shape), getattr(clip, name).dtype) for name in ROWS}
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
    """A ring of training clips and a held-out sample of all clips seen.

    The held-out clips are the published 5% (at most 50), yet never fewer than a quarter of the clips or 8, whichever
    is less: a held-out loss over a single pair stops training at random. Once there are 50, newcomers replace random
    ones, so that early stopping follows the clips the policy makes now; what they replace is dropped, never trained on.

    Args:
        capacity: training clips kept; the oldest leave first.
        rng: decides which newcomers are held out; owned by the dataset from here on.
        holdout: share of the clips held out, in (0, 1).
        center_views: subtract each view's running mean from the scores.
    """

    def __init__(
        self, capacity: int, rng: np.random.Generator, *, holdout: float = 0.05, center_views: bool = True
    ) -> None:
        self.center_views = center_views
        self.seen = 0
        self._rng = rng
        self._holdout = holdout
        self._train = ClipRows(capacity)
        self._held = ClipRows(MAX_HELD_OUT)
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
        return self._held.size

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
        for clip, held in zip(clips, self._choose_held(len(clips)), strict=True):
            if held:
                full = self._held.size >= self._quota()
                self._held.put(int(self._rng.integers(self._held.size)) if full else self._held.size, clip)
            else:
                self._train.put(self._next, clip)
                self._next = (self._next + 1) % self._train.capacity

    def standardisation(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Returns mean (D,) and deviation (D,) of all states seen; the deviation of a constant feature is 1."""
        return self._moments.mean, self._moments.std

    def sample(self, rng: np.random.Generator, n_clips: int, n_states: int | None) -> ClipBatch:
        """Draws distinct training clips, a random view of each, and some of their states. Costs O(n_clips).

        Args:
            rng: source of the draw.
            n_clips: M, at most `n_train` of them are returned.
            n_states: T states of each clip, one from each T-th of its length at random: every state is as likely as
                any other, so that means over them are unbiased. None, or T >= L: all.
        """
        chosen = rng.choice(self.n_train, min(n_clips, self.n_train), replace=False)
        return self._batch(self._train, chosen, rng, n_states)

    def held_out(self, rng: np.random.Generator) -> ClipBatch:
        """Returns all held-out clips with all their states, a random view of each."""
        return self._batch(self._held, np.arange(self.n_held), rng, None)

    def state_dict(self) -> dict[str, NDArray[Any]]:
        """Returns everything as named arrays that `numpy.savez` stores without pickling."""
        return {
            **{"seen": np.array(self.seen), "next": np.array(self._next), "rng": generator_to_array(self._rng)},
            **nested(
                moments=self._moments.state_dict(),
                view_means=self._view_means.state_dict(),
                train=self._train.filled(),
                held=self._held.filled(),
            ),
        }

    def load_state_dict(self, arrays: Arrays) -> None:
        """Takes over the state of a dataset of the same settings."""
        self.seen, self._next = int(arrays["seen"]), int(arrays["next"])
        self._rng = generator_from_array(arrays["rng"])
        self._moments.load_state_dict(group(arrays, "moments"))
        self._view_means.load_state_dict(group(arrays, "view_means"))
        self._train.refill(group(arrays, "train"))
        self._held.refill(group(arrays, "held"))

    def _batch(
        self, rows: ClipRows, chosen: NDArray[np.int64], rng: np.random.Generator, n_states: int | None
    ) -> ClipBatch:
        arrays = rows.arrays
        length, n_views = arrays["states"].shape[1], arrays["scores"].shape[1]
        view = rng.integers(n_views, size=len(chosen))
        if n_states is None or n_states >= length:
            states = arrays["states"][chosen]
        else:
            times = (np.arange(n_states) + rng.random((len(chosen), n_states))) * (length / n_states)
            states = arrays["states"][chosen[:, None], times.astype(np.int64)]
        scores = arrays["scores"][chosen, view] - self.view_offsets[arrays["views"][chosen, view]]
        return ClipBatch(states, scores.astype(np.float32), arrays["embeddings"][chosen, view])

    def _quota(self) -> int:
        """Clips that should be held out by now."""
        return min(MAX_HELD_OUT, max(int(self._holdout * self.seen), min(8, self.seen // 4)))

    def _choose_held(self, arriving: int) -> NDArray[np.bool_]:
        """Marks which of the arriving clips are held out."""
        self.seen += arriving
        count = min(self._quota() - self.n_held, arriving)
        if self.n_held == MAX_HELD_OUT:  # from here on a newcomer is as likely to be held out as any clip of the ring
            share = MAX_HELD_OUT / min(self.seen, self._train.capacity + MAX_HELD_OUT)
            count = int(self._rng.binomial(arriving, min(share, self._holdout)))
        held = np.zeros(arriving, np.bool_)
        held[self._rng.choice(arriving, count, replace=False)] = True
        return held

    def _check(self, clips: Sequence[ScoredClip]) -> None:
        """Refuses clips that do not fit beside the others, before anything is changed."""
        kept = {name: array.shape[1:] for rows in (self._train, self._held) for name, array in rows.arrays.items()}
        kept = kept or {name: getattr(clips[0], name).shape for name in ROWS}
        for number, clip in enumerate(clips):
            for name in ROWS:
                array = getattr(clip, name)
                if array.shape != kept[name]:
                    raise ConfigError(
                        f"clip {number} has {name} of shape {array.shape}, clips before it {kept[name]}; one dataset "
                        "holds clips of one length, state size and number of views: use one reward engine for each kind"
                    )
                if not np.isfinite(array).all():
                    raise NonFiniteError(f"clip {number} has NaN or infinite {name}; check the environment and scorer")
            if (clip.views < 0).any():
                raise ConfigError(f"clip {number} has the view indices {clip.views}; they count from 0")
