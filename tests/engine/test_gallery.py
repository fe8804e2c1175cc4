"""The gallery keeps the best and the worst clips of each view, whole."""

from __future__ import annotations

import numpy as np

from mvr_wrappers.clips import Clip
from mvr_wrappers.engine.gallery import Gallery, Picture


def clip(name: int, *views: int) -> Clip:
    frames = np.full((len(views), 2, 4, 4, 3), name, np.uint8)
    return Clip(np.zeros((8, 3), np.float32), frames, np.array(views))


def scores(*psi: float) -> np.ndarray:
    return np.array(psi, np.float32)


def names(pictures: tuple[Picture, ...]) -> list[int]:
    return [int(picture.frames[0, 0, 0, 0, 0]) for picture in pictures]


def test_each_view_has_its_best_and_its_worst() -> None:
    gallery = Gallery(size=2)
    gallery.add([clip(1, 0), clip(2, 1), clip(3, 0)], [scores(0.9), scores(0.1), scores(0.7)])
    gallery.add([clip(4, 0), clip(5, 1), clip(6, 1)], [scores(0.8), scores(0.2), scores(0.3)])
    assert names(gallery.best) == [1, 4, 6, 5]
    assert names(gallery.worst) == [3, 4, 2, 5]


def test_clips_of_several_views_are_ranked_by_their_mean() -> None:
    gallery = Gallery(size=1)
    gallery.add([clip(1, 0, 1), clip(2, 0, 1)], [scores(0.9, 0.0), scores(0.5, 0.5)])
    assert names(gallery.best) == [2] and names(gallery.worst) == [1]
    np.testing.assert_array_equal(gallery.worst[0].scores, scores(0.9, 0.0))


def test_of_equals_the_older_stays() -> None:
    gallery = Gallery(size=1)
    gallery.add([clip(1, 0)], [scores(0.5)])
    gallery.add([clip(2, 0)], [scores(0.5)])
    assert names(gallery.best) == names(gallery.worst) == [1]


def test_it_is_restored_whole() -> None:
    gallery, other = Gallery(size=2), Gallery(size=2)
    gallery.add([clip(i, i % 2) for i in range(6)], [scores(0.1 * i) for i in range(6)])
    other.load_state_dict(gallery.state_dict())
    assert names(other.best) == names(gallery.best) and names(other.worst) == names(gallery.worst)
    assert [p.views.tolist() for p in other.best] == [[0], [0], [1], [1]]
