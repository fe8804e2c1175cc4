"""Gallery: the best and the worst clips scored so far, with their frames, for people to look at."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mvr_wrappers.arrays import Arrays, group, nested, numbered
from mvr_wrappers.clips import Clip

_ARRAYS = ("frames", "views", "scores")  # of a picture


@dataclass(frozen=True, slots=True, eq=False)
class Picture:
    """A scored clip with its frames.

    Attributes:
        source: of the frames, as of the clip: nothing is copied.
        views: int64 (V,), index of each view in the camera rig.
        scores: float32 (V,), psi of each view.
    """

    source: NDArray[np.uint8] | Callable[[], NDArray[np.uint8]]
    views: NDArray[np.int64]
    scores: NDArray[np.float32]

    @property
    def frames(self) -> NDArray[np.uint8]:
        """uint8 (V, F, H, W, 3), RGB."""
        return self.source() if callable(self.source) else self.source

    @property
    def score(self) -> float:
        """Mean over the views."""
        return float(self.scores.mean())


class Gallery:
    """Holds the `size` best and the `size` worst clips of each view.

    Clips of different views are not compared, for the camera explains much of a score; clips filmed from several views
    at once are compared with those of the same views. Memory is bounded by twice `size` clips a view.

    Both are tuples replaced as a whole, so that one thread may read while another adds.

    Attributes:
        best: view by view, highest mean score first; of equals the older.
        worst: view by view, lowest mean score first; of equals the older.
    """

    __slots__ = ("best", "size", "worst")

    def __init__(self, size: int = 2) -> None:
        self.size = size
        self.best: tuple[Picture, ...] = ()
        self.worst: tuple[Picture, ...] = ()

    def add(self, clips: Sequence[Clip], scores: Sequence[NDArray[np.float32]]) -> None:
        """Takes in scored clips.

        Args:
            clips: newly scored clips.
            scores: psi of each clip's views, (V,) each.
        """
        for clip, psi in zip(clips, scores, strict=True):
            new = Picture(clip.source, clip.views, psi)
            self.best = self._first((*self.best, new), lambda picture: -picture.score)
            self.worst = self._first((*self.worst, new), lambda picture: picture.score)

    def state_dict(self) -> dict[str, NDArray[np.generic]]:
        """Returns everything as named arrays."""
        return nested(best=_to_arrays(self.best), worst=_to_arrays(self.worst))

    def load_state_dict(self, arrays: Arrays) -> None:
        """Takes over the pictures of a saved gallery."""
        self.best, self.worst = (
            tuple(Picture(*(picture[name] for name in _ARRAYS)) for picture in numbered(group(arrays, part)))
            for part in ("best", "worst")
        )

    def _first(self, pictures: tuple[Picture, ...], key: Callable[[Picture], float]) -> tuple[Picture, ...]:
        """Returns the `size` first pictures of each view in the order of `key`, view by view."""
        by_view: dict[tuple[int, ...], list[Picture]] = {}
        for picture in sorted(pictures, key=key):
            by_view.setdefault(tuple(picture.views.tolist()), []).append(picture)
        return tuple(picture for views in sorted(by_view) for picture in by_view[views][: self.size])


def _to_arrays(pictures: tuple[Picture, ...]) -> dict[str, NDArray[np.generic]]:
    return nested(**{str(i): {name: getattr(picture, name) for name in _ARRAYS} for i, picture in enumerate(pictures)})
