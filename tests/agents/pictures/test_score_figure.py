"""The picture of `mvr score` shows the frames it should, whatever the numbers of clips, films and sentences."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from matplotlib.image import imread

from mvr_agents.pictures.score_figure import ScoredFilm, _strip, draw_scores


def film(clips: int, sentences: int) -> ScoredFilm:
    frames = np.zeros((clips, 8, 12, 3), np.uint8)
    frames[..., 0] = np.arange(clips)[:, None, None]
    starts = np.arange(clips) * 0.5
    return ScoredFilm("a film", frames, np.stack([starts, starts + 1], axis=1), np.ones((clips, sentences), np.float32))


@pytest.mark.parametrize(("clips", "expected"), [(1, [0]), (3, [0, 1, 2]), (100, [*range(5, 100, 10)])])
def test_frames_are_those_of_the_middles_of_equal_parts(clips: int, expected: list[int]) -> None:
    np.testing.assert_allclose(_strip(film(clips, 1))[:, 0, 0, 0], expected, atol=1)


@pytest.mark.parametrize(("clips", "films", "sentences"), [(1, 1, 1), (40, 2, 3), (3, 1, 12)])
def test_all_sizes_are_drawn(tmp_path: Path, clips: int, films: int, sentences: int) -> None:
    words = [f"sentence {i} " + "with many words " * i for i in range(sentences)]
    draw_scores([film(clips, sentences)] * films, words, "seconds", tmp_path / "a.png", "a title " * 30)
    picture = imread(tmp_path / "a.png")
    assert picture.shape[1] == 1430 and picture.shape[0] > 300 * films
    assert np.ptp(picture[..., :3]) > 0.5
