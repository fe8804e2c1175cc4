"""The picture of `mvr score`: films above the scores of their clips."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mvr_agents.pictures.figures import BLUE, GREEN, GREY, ORANGE, RED, new_figure, save_figure, wrapped

SHOWN = 10  # frames of a film that is drawn above its scores
WIDTH, LEFT, RIGHT, CHART = 11.0, 0.95, 0.25, 2.0  # inches: of the picture, its margins, and the height of a chart
INNER = WIDTH - LEFT - RIGHT
LINE: dict[str, Any] = {"marker": "o", "markersize": 4, "linewidth": 1.6}


@dataclass(frozen=True, slots=True, eq=False)
class ScoredFilm:
    """A film cut into N clips, each scored against P sentences.

    Attributes:
        label: what the film shows.
        frames: uint8 (N, H, W, 3), the middle frame of each clip.
        spans: float64 (N, 2), where each clip starts and ends: seconds of a video, steps of an episode.
        psi: float32 (N, P), cosine between clip and sentence (paper section 4.1).
    """

    label: str
    frames: NDArray[np.uint8]
    spans: NDArray[np.float64]
    psi: NDArray[np.float32]


def draw_scores(films: Sequence[ScoredFilm], sentences: Sequence[str], unit: str, path: Path, title: str) -> None:
    """Draws films one below the other, each above the scores of its clips, a line for each sentence.

    Args:
        films: the films, at least one. All share one scale of scores.
        sentences: P.
        unit: of the films' spans, for the axis.
        path: the PNG file.
        title: the heading.
    """
    title, names = wrapped(title, 105), [textwrap.fill(sentence, 110) for sentence in sentences]
    strips = [_strip(film) for film in films]
    heights = [INNER / len(frames) * frames.shape[1] / frames.shape[2] for frames in strips]
    first = 0.15 + 0.25 * (title.count("\n") + 1)
    heading = first + 0.25 + 0.21 * sum(name.count("\n") + 1 for name in names)
    height = heading + sum(heights) + (0.4 + CHART + 0.65) * len(films) + 0.1
    figure = new_figure(WIDTH, height, layout=None)
    figure.text(0.2 / WIDTH, 1 - 0.12 / height, title, fontsize=13, va="top")
    psi = np.concatenate([film.psi for film in films])
    margin = 0.06 * max(float(np.ptp(psi)), 1e-3)
    colors = _colors(len(names))
    top = height - heading
    for film, frames, inches in zip(films, strips, heights, strict=True):
        span = float(film.spans[0, 0]), float(film.spans[-1, 1])
        figure.text(LEFT / WIDTH, top / height, film.label, fontsize=11, va="top", weight="bold")
        strip, chart = (
            figure.add_axes((LEFT / WIDTH, (top - below) / height, INNER / WIDTH, size / height))
            for below, size in ((0.3 + inches, inches), (0.4 + inches + CHART, CHART))
        )
        strip.imshow(np.concatenate(list(frames), axis=1), extent=(*span, 0, 1), aspect="auto", interpolation="lanczos")
        strip.set_axis_off()
        for edge in np.linspace(*span, len(frames) + 1)[1:-1]:
            strip.axvline(edge, color="white", linewidth=2)
        lines = [
            chart.plot(film.spans.mean(axis=1), y, color=c, **LINE)[0] for y, c in zip(film.psi.T, colors, strict=True)
        ]
        chart.set(xlim=span, ylim=(psi.min() - margin, psi.max() + margin), xlabel=unit, ylabel="score (cosine)")
        chart.grid(alpha=0.3)
        chart.spines[["top", "right"]].set_visible(False)
        top -= 0.4 + inches + CHART + 0.65
    place: dict[str, Any] = {"loc": "upper left", "bbox_to_anchor": (0.12 / WIDTH, 1 - first / height)}
    figure.legend(lines, names, fontsize=10, frameon=False, borderpad=0, labelspacing=0.3, **place)
    save_figure(figure, path)


def _strip(film: ScoredFilm) -> NDArray[np.uint8]:
    """Returns the frames that divide the film's span evenly: of the clip nearest to the middle of each part."""
    count = min(SHOWN, len(film.frames))
    start, end = film.spans[0, 0], film.spans[-1, 1]
    middles = start + (np.arange(count) + 0.5) / count * (end - start)
    nearest = np.abs(film.spans.mean(axis=1) - middles[:, None]).argmin(axis=1)
    return np.asarray(film.frames[nearest])


def _colors(count: int) -> list[Any]:
    from matplotlib import colormaps

    own = [BLUE, ORANGE, GREEN, RED, GREY]
    return own[:count] if count <= len(own) else list(colormaps["tab20"](np.arange(count) % 20))
