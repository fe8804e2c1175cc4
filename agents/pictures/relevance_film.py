"""A filmed episode with f(s) drawn below it as it grows."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray
from PIL import Image, ImageDraw, ImageFont

from mvr_agents.pictures.figures import GREEN
from mvr_agents.pictures.video import tile, write_animation
from mvr_wrappers.engine.engine import RewardEngine
from mvr_wrappers.filming import FilmedEpisode

_HEIGHT, _MARGIN, _TEXT = 84, 8, 13  # pixels: the panel, around the plot, letters
_LINE, _REST, _GREY = "#1f6fb4", "#d5dbe1", "#5a6570"
_FINER = 3  # the panel is drawn so much larger, and made smaller, for smooth lines


def write_relevance_film(path: Path, episode: FilmedEpisode, engine: RewardEngine, fps: float) -> None:
    """Writes an endless GIF of all views of an episode, with the state relevance under them.

    Args:
        path: the file, `.gif`.
        episode: filmed at least twice.
        engine: one that has published a reward.
        fps: steps a second at which the env would be shown.
    """
    relevance = engine.snapshot.relevance(episode.states)
    reference = engine.metrics()["reference_relevance"]
    frames = add_relevance(tile(episode.frames), episode.times, relevance, reference)
    write_animation(path, frames, len(episode.rewards) / fps)


def add_relevance(
    frames: NDArray[np.uint8], times: NDArray[np.int64], relevance: ArrayLike, reference: float
) -> NDArray[np.uint8]:
    """Draws f(s) under each frame: the whole episode in grey, what was until then in blue, the references dashed.

    Args:
        frames: uint8 (T, H, W, 3).
        times: int64 (T,), which states the frames show.
        relevance: (S,), f of the S states of the episode, S >= 2.
        reference: mean f of the reference states; NaN draws none.

    Returns:
        uint8 (T, H', W, 3), H' greater than H by the height of the panel.
    """
    values = np.asarray(relevance, np.float64)
    panels = [_panel(frames.shape[2], values, int(time), reference) for time in times]
    return np.concatenate([frames, np.stack(panels)], axis=1)


def _panel(width: int, values: NDArray[np.float64], now: int, reference: float) -> NDArray[np.uint8]:
    size = width * _FINER, _HEIGHT * _FINER
    margin, top = _MARGIN * _FINER, (_MARGIN + _TEXT + 3) * _FINER
    shown = [*values, reference] if np.isfinite(reference) else list(values)
    low, high = min(shown), max(shown)
    scale = (size[1] - margin - top) / max(high - low, 1e-6)
    x = margin + np.arange(len(values)) * (size[0] - 2 * margin) / (len(values) - 1)
    y = size[1] - margin - (values - low) * scale
    line = list(zip(x.tolist(), y.tolist(), strict=True))
    canvas = Image.new("RGB", size, "white")
    pen = ImageDraw.Draw(canvas)
    if np.isfinite(reference):
        level = size[1] - margin - (reference - low) * scale
        for left in range(margin, size[0] - margin, 8 * _FINER):
            pen.line([(left, level), (left + 4 * _FINER, level)], GREEN, _FINER)
    pen.line(line, _REST, 2 * _FINER, joint="curve")
    pen.line(line[: now + 1], _LINE, 2 * _FINER, joint="curve")
    last, radius = line[min(now, len(line) - 1)], 3 * _FINER
    pen.ellipse([last[0] - radius, last[1] - radius, last[0] + radius, last[1] + radius], _LINE)
    font = ImageFont.load_default(_TEXT * _FINER)
    pen.text((margin, margin // 2), f"state relevance f(s) = {values[min(now, len(values) - 1)]:.2f}", _GREY, font)
    if np.isfinite(reference):
        pen.text((size[0] - margin, margin // 2), "references", GREEN, font, anchor="ra")
    return np.array(canvas.resize((width, _HEIGHT), Image.Resampling.LANCZOS))
