"""Views are tiled where they belong, and a video holds the frames it was given."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest

from mvr_agents.pictures.video import tile, write_video
from mvr_wrappers.errors import ConfigError


def test_three_views_fill_a_square_but_for_one_corner() -> None:
    frames = np.stack([np.full((5, 4, 6, 3), value, np.uint8) for value in (10, 20, 30)])
    tiled = tile(frames)
    assert tiled.shape == (5, 8, 12, 3)
    assert {(i, j): int(tiled[2, 4 * i + 1, 6 * j + 1, 0]) for i in (0, 1) for j in (0, 1)} == {
        **{(0, 0): 10, (0, 1): 20},
        **{(1, 0): 30, (1, 1): 0},
    }


def test_tiles_keep_frames_in_order_and_unchanged(rng: np.random.Generator) -> None:
    frames = rng.integers(0, 256, (2, 3, 4, 5, 3), dtype=np.uint8)
    np.testing.assert_array_equal(tile(frames), np.concatenate([frames[0], frames[1]], axis=2))


def test_a_video_has_the_frames_the_pace_and_the_colours(tmp_path: Path) -> None:
    frames = np.zeros((10, 33, 64, 3), np.uint8)  # an odd height
    frames[:5, ..., 0], frames[5:, ..., 2] = 200, 200  # red, then blue
    write_video(tmp_path / "a.mp4", frames, fps=20)
    with av.open(str(tmp_path / "a.mp4")) as container:
        assert container.streams.video[0].average_rate == 20
        decoded = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    assert len(decoded) == 10 and decoded[0].shape == (32, 64, 3)
    assert decoded[0].mean(axis=(0, 1)).argmax() == 0 and decoded[-1].mean(axis=(0, 1)).argmax() == 2


def test_a_video_without_frames_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no frames"):
        write_video(tmp_path / "a.mp4", np.zeros((0, 8, 8, 3), np.uint8), fps=20)
