"""ReferenceSet: the best clips seen so far, whose states every other state is compared with."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mvr_wrappers.arrays import Arrays, group, nested
from mvr_wrappers.clips import UNKNOWN, ScoredClip, stack_clips, unstack_clips

if TYPE_CHECKING:
    from mvr_wrappers.relevance.model import RelevanceModel


class ReferenceSet:
    """The k clips of highest view-averaged score ever seen (MVR, arXiv 2603.01694, section 4.3).

    Clips are kept whole and ranked whole: no row of one array can part from its row in another. Nothing derived from
    the relevance model is stored, so nothing can be stale.

    Args:
        size: k.
        per_episode: clips of one episode at most; None sets no limit. Clips of one episode overlap: without a limit,
            all k may show the same moment.
    """

    def __init__(self, size: int, per_episode: int | None = None) -> None:
        self.size, self.per_episode = size, per_episode
        self._clips: list[ScoredClip] = []
        self._offsets: NDArray[np.float64] = np.zeros(0)

    def __len__(self) -> int:
        """Clips held: k, or all clips seen while they are fewer."""
        return len(self._clips)

    @property
    def states(self) -> NDArray[np.float32]:
        """float32 (k, L, D), best clip first; needs a clip."""
        return np.stack([clip.states for clip in self._clips])

    @property
    def scores(self) -> NDArray[np.float32]:
        """float32 (k,), the centred, view-averaged scores, decreasing."""
        return np.array([_rank(clip, self._offsets) for clip in self._clips], np.float32)

    def offer(self, clips: Sequence[ScoredClip], view_offsets: NDArray[np.float64]) -> bool:
        """Keeps the k best of the clips held and those offered; of equals the older stays.

        Args:
            clips: newly scored clips.
            view_offsets: (n,), subtracted from the scores of each view, see `ClipDataset.view_offsets`. Clips already
                held are ranked anew with them.

        Returns:
            Whether the clips held are others than before.
        """
        self._offsets = view_offsets
        everyone = sorted([*self._clips, *clips], key=lambda clip: _rank(clip, view_offsets), reverse=True)
        best = list(itertools.islice(self._few_an_episode(everyone), self.size))
        changed = {id(clip) for clip in best} != {id(clip) for clip in self._clips}
        self._clips = best
        return changed

    def relevances(self, model: RelevanceModel) -> NDArray[np.float32]:
        """Computes f(s') of every reference state under `model`: float32 (k, L)."""
        return model.relevance(self.states)

    def state_dict(self) -> dict[str, NDArray[Any]]:
        """Returns everything as named arrays that `numpy.savez` stores without pickling."""
        return {"offsets": self._offsets, **nested(clips=stack_clips(self._clips))}

    def load_state_dict(self, arrays: Arrays) -> None:
        """Takes over the clips of a saved reference set."""
        self._offsets = np.array(arrays["offsets"])
        self._clips = unstack_clips(group(arrays, "clips"))

    def _few_an_episode(self, clips: Iterable[ScoredClip]) -> Iterator[ScoredClip]:
        """Yields the clips that are among the first `per_episode` of their episodes."""
        count: Counter[int] = Counter()
        for clip in clips:
            count[clip.episode] += 1
            if clip.episode == UNKNOWN or self.per_episode is None or count[clip.episode] <= self.per_episode:
                yield clip


def _rank(clip: ScoredClip, view_offsets: NDArray[np.float64]) -> float:
    return float((clip.scores - view_offsets[clip.views]).mean())
