"""The figures of a run: learning curves, and relevance along an episode."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mvr_agents.extras import require

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

BLUE, ORANGE, GREEN, RED, GREY = "#2a6fbb", "#d9742b", "#2c8a57", "#b8373b", "#8a8f98"
DPI = 130

Metrics = Mapping[str, NDArray[np.float64]]


@dataclass(frozen=True, slots=True, eq=False)
class Trace:
    """One episode of T steps under the learned reward.

    Attributes:
        relevance: float32 (T,), f(s_t).
        shaping: float32 (T,), the term that training adds to the task reward.
        frames: uint8 (F, H, W, 3), taken at the middle of each of F equal parts of the episode.
        reference: f, mean over the reference states; NaN if there is none.
        success_step: first step with success, None if there was none.
    """

    relevance: NDArray[np.float32]
    shaping: NDArray[np.float32]
    frames: NDArray[np.uint8]
    reference: float
    success_step: int | None


def draw_curve(metrics: Metrics, path: Path, title: str) -> None:
    """Draws task return, success rate and mean VLM reward over env steps.

    Args:
        metrics: columns of metrics.csv, see `MetricsRow`.
        path: the PNG file.
        title: the heading.
    """
    figure = new_figure(8.0, 8.0)
    figure.suptitle(wrapped(title, 76), fontsize=13, x=0.02, ha="left")
    returns, success, vlm = figure.subplots(3, 1, sharex=True)
    _draw_points(returns, metrics, "eval_return", BLUE, "evaluation, deterministic policy")
    _draw_line(returns, metrics, "task_return", ORANGE, "training episodes")
    returns.set_ylabel("task return")
    _draw_points(success, metrics, "eval_success", BLUE, "evaluation, deterministic policy")
    _draw_line(success, metrics, "success", ORANGE, "training episodes")
    success.set_ylabel("success rate")
    success.set_ylim(-0.05, 1.05)
    _draw_line(vlm, metrics, "vlm_reward", GREEN, r"mean of $r_{\mathrm{vlm}}(s)$ over training steps")
    _mark_updates(vlm, metrics)
    vlm.set_ylabel("VLM reward (unweighted)")
    vlm.set_xlabel("environment steps, over all sub-envs")
    vlm.xaxis.set_major_formatter(_thousands())
    for axes in (returns, success, vlm):
        axes.grid(alpha=0.3)
        axes.spines[["top", "right"]].set_visible(False)
        if axes.get_legend_handles_labels()[0]:
            axes.legend(loc="best", fontsize=9)
        else:
            axes.text(0.5, 0.5, "not reported", transform=axes.transAxes, ha="center", va="center", color=GREY)
    save_figure(figure, path)


def draw_relevance(trace: Trace, path: Path, title: str) -> None:
    """Draws f(s) and the shaping term along an episode, under the frames of the same moments.

    Args:
        trace: the episode.
        path: the PNG file.
        title: the heading.
    """
    n_steps, (n_frames, height, width) = len(trace.relevance), trace.frames.shape[:3]
    left, right, total_width = 1.05, 0.25, 11.0
    strip = (total_width - left - right) / n_frames * height / width
    total_height = 0.8 + strip + 4.9
    figure = new_figure(total_width, total_height, layout=None)
    figure.text(0.2 / total_width, 1 - 0.15 / total_height, wrapped(title, 110), fontsize=13, va="top")
    span = (left / total_width, (total_width - left - right) / total_width)

    def axes_at(bottom: float, inches: float) -> Axes:
        return figure.add_axes((span[0], bottom / total_height, span[1], inches / total_height))

    film, relevance, shaping = axes_at(4.8, strip), axes_at(2.75, 1.9), axes_at(0.6, 1.9)
    film.imshow(np.concatenate(list(trace.frames), axis=1), extent=(0, n_steps, 0, 1), aspect="auto")
    film.set_axis_off()
    for edge in range(1, n_frames):
        film.axvline(edge * n_steps / n_frames, color="white", linewidth=2)
    steps = np.arange(n_steps)
    relevance.plot(steps, trace.relevance, color=BLUE, linewidth=1.6)
    relevance.set_ylabel("state relevance f(s)")
    if np.isfinite(trace.reference):
        relevance.axhline(trace.reference, color=GREEN, linestyle="--", linewidth=1.3, label="mean of the references")
    shaping.axhline(0, color=GREY, linewidth=1)
    shaping.fill_between(steps, trace.shaping, color=ORANGE, alpha=0.25, linewidth=0)
    shaping.plot(steps, trace.shaping, color=ORANGE, linewidth=1.6)
    shaping.set_ylabel("shaping, added to the\ntask reward of a step")
    shaping.set_xlabel("step of the episode")
    for axes in (relevance, shaping):
        axes.set_xlim(0, n_steps)
        axes.grid(alpha=0.3)
        axes.spines[["top", "right"]].set_visible(False)
        if trace.success_step is not None:
            axes.axvline(trace.success_step, color=RED, linewidth=1.3, label="first success")
    if relevance.get_legend_handles_labels()[0]:
        relevance.legend(loc="best", fontsize=9)
    relevance.tick_params(labelbottom=False)
    save_figure(figure, path)


def _draw_points(axes: Axes, metrics: Metrics, column: str, color: str, label: str) -> None:
    steps, values = _present(metrics, column)
    if len(values):
        axes.plot(steps, values, color=color, marker="o", markersize=6, linewidth=1.8, label=label, zorder=3)


def _draw_line(axes: Axes, metrics: Metrics, column: str, color: str, label: str) -> None:
    steps, values = _present(metrics, column)
    if len(values):
        axes.plot(steps, values, color=color, marker=".", markersize=4, linewidth=1.1, alpha=0.9, label=label)


def _mark_updates(axes: Axes, metrics: Metrics) -> None:
    """Draws a vertical line at the first row after each update of the relevance model."""
    updated = np.flatnonzero(np.diff(metrics["updates"], prepend=0) > 0)
    for i, row in enumerate(updated):
        label = "relevance model updated" if i == 0 else None
        axes.axvline(metrics["step"][row], color=GREY, linestyle=":", linewidth=1.2, label=label, zorder=0)


def _present(metrics: Metrics, column: str) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Returns steps and values of the rows that have a value."""
    rows = np.isfinite(metrics[column])
    return metrics["step"][rows], metrics[column][rows]


def _thousands() -> Any:
    from matplotlib.ticker import FuncFormatter

    return FuncFormatter(lambda value, _: f"{value:,.0f}")


def wrapped(text: str, width: int) -> str:
    """Returns the text in lines of at most `width` characters."""
    return "\n".join(part for line in text.split("\n") for part in textwrap.wrap(line, width))


def new_figure(width: float, height: float, layout: str | None = "constrained") -> Figure:
    """Returns an empty figure of a size in inches, outside pyplot: no global state, no window."""
    require("drawing pictures", "matplotlib")
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), dpi=DPI, layout=layout, facecolor="white")  # type: ignore[arg-type]


def save_figure(figure: Figure, path: Path) -> None:
    """Writes a figure to a PNG file."""
    figure.savefig(path)
