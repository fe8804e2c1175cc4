"""Gallery: the best and the worst clips scored so far, with their frames, for people to look at."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from mvr_wrappers.clips import Clip
from mvr_wrappers.storage import Arrays, group, nested, numbered


@dataclass(frozen=True, slots=True, eq=False)
class Picture:
    """A scored clip with its frames.

    Attributes:
        frames: uint8 (V, F, H, W, 3), RGB.
        views: int64 (V,), index of each view in the camera rig.
        scores: float32 (V,), psi of each view.
    """

    frames: NDArray[np.uint8]
    views: NDArray[np.int64]
    scores: NDArray[np.float32]

    @property
    def score(self) -> float:
        """Mean over the views."""
        return float(self.scores.mean())


class Gallery:
    """Holds the `size` best and the `size` worst clips; memory is bounded by twice that many.

    Both are tuples replaced as a whole, so that one thread may read while another adds.

    Attributes:
        best: highest mean score first; of equals the older.
        worst: lowest mean score first; of equals the older.
    """

    __slots__ = ("best", "size", "worst")

    def __init__(self, size: int = 4) -> None:
        self.size = size
        self.best: tuple[Picture, ...] = ()
        self.worst: tuple[Picture, ...] = ()

    def add(self, clips: Sequence[Clip], scores: Sequence[NDArray[np.float32]]) -> None:
        """Takes in scored clips.

        Args:
            clips: newly scored clips.
            scores: psi of each clip's views, (V,) each.
        """
        new = tuple(Picture(clip.frames, clip.views, psi) for clip, psi in zip(clips, scores, strict=True))
        self.best = tuple(sorted((*self.best, *new), key=lambda picture: -picture.score)[: self.size])
        self.worst = tuple(sorted((*self.worst, *new), key=lambda picture: picture.score)[: self.size])

    def state_dict(self) -> dict[str, NDArray[np.generic]]:
        """Returns everything as named arrays."""
        return nested(best=_to_arrays(self.best), worst=_to_arrays(self.worst))

    def load_state_dict(self, arrays: Arrays) -> None:
        """Takes over the pictures of a saved gallery."""
        self.best, self.worst = (
            tuple(Picture(**picture) for picture in numbered(group(arrays, part))) for part in ("best", "worst")
        )


def _to_arrays(pictures: tuple[Picture, ...]) -> dict[str, NDArray[np.generic]]:
    names = [field.name for field in fields(Picture)]
    return nested(**{str(i): {name: getattr(picture, name) for name in names} for i, picture in enumerate(pictures)})
