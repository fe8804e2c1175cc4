"""Videos of filmed episodes: all views side by side, as MP4."""

from __future__ import annotations

import math
from fractions import Fraction
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mvr_wrappers.errors import ConfigError

from ..extras import require


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
