"""Views are tiled where they belong, and a video holds the frames it was given."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from mvr_agents.pictures.video import read_clips, tile, write_animation, write_video
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


def counting_video(path: Path, seconds: float, fps: int) -> None:
    """Writes a video whose red grows by 20 each second from 20 on."""
    frames = np.zeros((round(seconds * fps), 32, 48, 3), np.uint8)
    frames[..., 0] = (20 + 20 * (np.arange(len(frames)) // fps))[:, None, None]
    write_video(path, frames, fps)


def reds(frames: np.ndarray) -> np.ndarray:
    return (frames[..., 0].mean(axis=(-2, -1)) / 20).round().astype(int)


@pytest.mark.parametrize("fps", [5, 24])
@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_clips_are_cut_by_time_whatever_the_frame_rate(tmp_path: Path, suffix: str, fps: int) -> None:
    counting_video(tmp_path / f"a{suffix}", 7, fps)
    clips = read_clips(tmp_path / f"a{suffix}", 4, seconds=4, overlap=0.5)
    assert clips.frames.shape == (2, 4, 32, 48, 3)
    np.testing.assert_array_equal(reds(clips.frames), [[1, 2, 3, 4], [3, 4, 5, 6]])
    np.testing.assert_allclose(clips.spans, [[0, 4], [2, 6]])


def test_a_short_video_is_one_clip_and_one_frame_is_enough(tmp_path: Path) -> None:
    counting_video(tmp_path / "a.mp4", 2, 10)
    clips = read_clips(tmp_path / "a.mp4", 4, seconds=60)
    np.testing.assert_array_equal(reds(clips.frames), [[1, 1, 2, 2]])
    np.testing.assert_allclose(clips.spans, [[0, 2]])
    write_video(tmp_path / "one.mp4", np.full((1, 32, 32, 3), 100, np.uint8), 10)
    assert read_clips(tmp_path / "one.mp4", 4, seconds=2).frames.shape == (1, 4, 32, 32, 3)


def test_large_pictures_are_made_smaller_when_read(tmp_path: Path) -> None:
    counting_video(tmp_path / "a.mp4", 2, 5)
    assert read_clips(tmp_path / "a.mp4", 2, seconds=1, size=16).frames.shape[2:] == (16, 24, 3)


def test_what_is_no_video_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "text.mp4").write_text("no video")
    counting_video(tmp_path / "a.mp4", 1, 5)
    with pytest.raises(ConfigError, match="no video that can be read"):
        read_clips(tmp_path / "text.mp4", 4, seconds=2)
    with pytest.raises(ConfigError, match="there is no video"):
        read_clips(tmp_path / "absent.mp4", 4, seconds=2)
    for seconds, overlap in ((0.0, 0.5), (2.0, 1.0)):
        with pytest.raises(ConfigError, match="more than 0 s"):
            read_clips(tmp_path / "a.mp4", 4, seconds, overlap)


def test_an_animation_lasts_as_long_as_asked(tmp_path: Path, rng: np.random.Generator) -> None:
    frames = rng.integers(0, 255, (5, 8, 12, 3), np.uint8)
    for seconds, milliseconds in ((1.0, 200), (0.01, 20)):
        write_animation(tmp_path / "a.gif", frames, seconds)
        with Image.open(tmp_path / "a.gif") as film:
            assert film.size == (12, 8) and getattr(film, "n_frames") == 5  # noqa: B009 - of GIF files alone
            assert film.info["duration"] == milliseconds and film.info["loop"] == 0
