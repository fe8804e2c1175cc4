"""ReferenceSet: the best clips seen so far, whose states every other state is compared with."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mvr_wrappers.arrays import Arrays, group, nested
from mvr_wrappers.clips import ROWS, ScoredClip

if TYPE_CHECKING:
    from mvr_wrappers.relevance.model import RelevanceModel


class ReferenceSet:
    """The k clips of highest view-averaged score ever seen (MVR, arXiv 2603.01694, section 4.3).

    Clips are kept whole and ranked whole: no row of one array can part from its row in another. Nothing derived from
    the relevance model is stored, so nothing can be stale.

    Args:
        size: k.
    """

    def __init__(self, size: int) -> None:
        self.size = size
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

    def offer(self, clips: Sequence[ScoredClip], view_offsets: NDArray[np.float64]) -> None:
        """Keeps the k best of the clips held and those offered; of equals the older stays.

        Args:
            clips: newly scored clips.
            view_offsets: (n,), subtracted from the scores of each view, see `ClipDataset.view_offsets`. Clips already
                held are ranked anew with them.
        """
        self._offsets = view_offsets
        everyone = [*self._clips, *clips]
        self._clips = sorted(everyone, key=lambda clip: _rank(clip, view_offsets), reverse=True)[: self.size]

    def relevances(self, model: RelevanceModel) -> NDArray[np.float32]:
        """Computes f(s') of every reference state under `model`: float32 (k, L)."""
        return model.relevance(self.states)

    def state_dict(self) -> dict[str, NDArray[Any]]:
        """Returns everything as named arrays that `numpy.savez` stores without pickling."""
        rows = {name: np.stack([getattr(clip, name) for clip in self._clips]) for name in ROWS} if self._clips else {}
        return {"offsets": self._offsets, **nested(clips=rows)}

    def load_state_dict(self, arrays: Arrays) -> None:
        """Takes over the clips of a saved reference set."""
        self._offsets = np.array(arrays["offsets"])
        rows = group(arrays, "clips")
        columns = [np.array(rows[name]) for name in ROWS] if rows else []
        self._clips = [ScoredClip(*clip) for clip in zip(*columns, strict=True)]


def _rank(clip: ScoredClip, view_offsets: NDArray[np.float64]) -> float:
    return float((clip.scores - view_offsets[clip.views]).mean())
