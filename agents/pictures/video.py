"""Videos: filmed episodes written as MP4, and any file that PyAV reads cut into clips."""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mvr_agents.extras import require
from mvr_wrappers.errors import ConfigError

DEFAULT_FPS = 30
"""Steps a second of envs that do not say."""


@dataclass(frozen=True, slots=True, eq=False)
class VideoClips:
    """Clips cut from a video.

    Attributes:
        frames: uint8 (N, F, H, W, 3), RGB.
        spans: float64 (N, 2), seconds from the start of the video at which each clip starts and ends.
    """

    frames: NDArray[np.uint8]
    spans: NDArray[np.float64]


def read_clips(path: Path, n_frames: int, seconds: float, overlap: float = 0.5, size: int = 224) -> VideoClips:
    """Cuts a video into clips of equal length.

    Frames are taken at the middle of F equal parts of a clip, by the time stamps of the file, so that the result does
    not depend on its frame rate. A video shorter than a clip becomes one clip. Of a longer one, what does not fill a
    last clip is left out.

    Args:
        path: a video in any container and codec that PyAV reads.
        n_frames: F.
        seconds: length of a clip, greater than 0.
        overlap: share of a clip that the next one shows again, from 0 to below 1, to the nearest frame.
        size: pixels of the shorter side of the frames; larger pictures are made smaller when they are read.

    Raises:
        ConfigError: no such file, not a video, a video without frames, or arguments that cannot work.
        MissingExtraError: PyAV is not installed.
    """
    require("reading a video", "av")
    import av

    if not seconds > 0 or not 0 <= overlap < 1:
        raise ConfigError(f"clips of {seconds} s that overlap by {overlap}: give more than 0 s, and 0 <= overlap < 1")
    if not path.is_file():
        raise ConfigError(f"there is no video {path}")
    try:
        times = _times(path)
        length = times[-1] + (
            times[-1] / (len(times) - 1) if len(times) > 1 else 1.0
        )  # the last frame is shown as well
        period = min(seconds, length) / n_frames
        due = (np.arange(max(n_frames, math.floor(length / period + 1e-6))) + 0.5) * period
        frames = _pictures(path, np.searchsorted(times, due, side="right") - 1, size)
    except av.error.FFmpegError as error:
        raise ConfigError(f"{path} is no video that can be read: {error}") from error
    stride = max(1, round(n_frames * (1 - overlap)))
    starts = np.arange(0, len(frames) - n_frames + 1, stride)
    clips = frames[starts[:, None] + np.arange(n_frames)]
    return VideoClips(clips, np.stack([starts, starts + n_frames], axis=1) * period)


def _times(path: Path) -> NDArray[np.float64]:
    """Returns the seconds at which each frame appears, from that of the first."""
    import av

    with av.open(str(path)) as container:
        if not container.streams.video:
            raise ConfigError(f"{path} holds no pictures")
        stream = container.streams.video[0]
        stream.thread_type = "AUTO"
        times = [frame.time for frame in container.decode(stream)]
        if not times:
            raise ConfigError(f"{path} has no frames")
        if None in times:  # a raw stream has no time stamps
            return np.arange(len(times)) / float(stream.guessed_rate or 25)
    return np.asarray(np.sort(times) - min(times), np.float64)


def _pictures(path: Path, indices: NDArray[np.int64], size: int) -> NDArray[np.uint8]:
    """Decodes the frames at `indices` (in order, with repetitions): uint8 (len(indices), H, W, 3)."""
    import av

    wanted, last = set(indices.tolist()), int(indices[-1])
    found: dict[int, NDArray[np.uint8]] = {}
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        stream.thread_type = "AUTO"
        for index, frame in enumerate(container.decode(stream)):
            if index in wanted:
                scale = min(1.0, size / min(frame.width, frame.height))
                width, height = (max(1, round(side * scale)) for side in (frame.width, frame.height))
                found[index] = frame.to_ndarray(format="rgb24", width=width, height=height)
            if index == last:
                break
    return np.stack([found[index] for index in indices.tolist()])


def tile(frames: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Lays views out in a grid, row by row, as square as may be; what stays empty is black.

    Args:
        frames: uint8 (V, T, H, W, 3).

    Returns:
        uint8 (T, rows H, columns W, 3).
    """
    n_views, n_times, height, width, _ = frames.shape
    columns = math.ceil(math.sqrt(n_views))
    rows = math.ceil(n_views / columns)
    grid = np.zeros((rows * columns, n_times, height, width, 3), np.uint8)
    grid[:n_views] = frames
    grid = grid.reshape(rows, columns, n_times, height, width, 3)
    return grid.transpose(2, 0, 3, 1, 4, 5).reshape(n_times, rows * height, columns * width, 3)


def write_video(path: Path, frames: NDArray[np.uint8], fps: float) -> None:
    """Writes an H.264 MP4 that browsers play.

    Args:
        path: the file, `.mp4`.
        frames: uint8 (T, H, W, 3), RGB, at least one. An odd height or width loses its last line.
        fps: frames a second, greater than 0.

    Raises:
        ConfigError: no frames.
        MissingExtraError: PyAV is not installed.
    """
    require("writing a video", "av")
    import av

    if len(frames) == 0:
        raise ConfigError(f"{path} would have no frames; film at least one step")
    height, width = (size - size % 2 for size in frames.shape[1:3])  # yuv420p halves both
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=Fraction(fps).limit_denominator(1000))
        stream.height, stream.width, stream.pix_fmt = height, width, "yuv420p"
        stream.options = {"crf": "20"}
        for frame in frames:
            picture = av.VideoFrame.from_ndarray(np.ascontiguousarray(frame[:height, :width]), format="rgb24")
            container.mux(stream.encode(picture))
        container.mux(stream.encode())


def write_animation(path: Path, frames: NDArray[np.uint8], seconds: float) -> None:
    """Writes an endless GIF, which TensorBoard and browsers show like a picture.

    Args:
        path: the file, `.gif`.
        frames: uint8 (T, H, W, 3), RGB, at least one.
        seconds: that they last; each is shown for a multiple of 10 ms, and for 20 ms at least, as browsers want it.
    """
    first, *others = map(Image.fromarray, frames)
    duration = max(20, 10 * round(100 * seconds / len(frames)))  # GIF counts hundredths of a second
    first.save(path, save_all=True, append_images=others, duration=duration, loop=0)
