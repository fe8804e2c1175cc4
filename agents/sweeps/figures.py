"""The pictures of a report: learning curves with bands, performance profiles, paired differences."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np

from mvr_agents.pictures.figures import GREY, new_figure, save_figure, wrapped
from mvr_agents.sweeps.findings import Comparison
from mvr_agents.sweeps.lines import Line
from mvr_agents.sweeps.statistics import Array

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLORS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000")
"""Told apart by the colour-blind too (Okabe and Ito 2008); further arms have the same, dashed."""
Style = Literal["-", "--", ":"]
STYLES: tuple[Style, ...] = ("-", "--", ":")
COLUMNS = 3  # panels beside each other
PANEL = (4.0, 2.9)  # inches


def draw_lines(lines: Sequence[Line], arms: Sequence[str], path: Path, title: str, x_label: str, y_label: str) -> None:
    """Draws lines with bands: a panel a group, a colour an arm.

    Args:
        lines: of one quantity.
        arms: of the whole report, so that each has the same colour in all pictures.
        path: the PNG file.
        title: the heading.
        x_label: of the horizontal axes.
        y_label: of the vertical ones.
    """
    groups = list(dict.fromkeys(line.group for line in lines))
    looks = _looks(arms)
    figure, panels = _panels(len(groups), title, PANEL[1])
    for number, (group, axes) in enumerate(zip(groups, panels, strict=True)):
        _draw_group(axes, [line for line in lines if line.group == group], looks)
        axes.set_title(wrapped(group.name, 40), fontsize=11)
        axes.set_xlabel(x_label)
        if number % COLUMNS == 0:
            axes.set_ylabel(y_label)
    drawn = {line.arm for line in lines}
    _legend(figure, {arm: look for arm, look in looks.items() if arm in drawn})
    save_figure(figure, path)


def _draw_group(axes: Axes, lines: Sequence[Line], looks: dict[str, tuple[str, Style]]) -> None:
    from matplotlib.ticker import PercentFormatter

    for line in lines:
        color, style = looks[line.arm]
        steps = line.quantity == "profile"  # a share of runs is constant between their scores
        axes.plot(
            *(line.x, line.estimate.value),
            color=color,
            linestyle=style,
            linewidth=1.8,
            drawstyle="steps-post" if steps else "default",
        )
        band = (line.x, line.estimate.low, line.estimate.high)
        axes.fill_between(*band, step="post" if steps else None, color=color, alpha=0.18, linewidth=0)
    axes.margins(x=0.01)
    if lines[0].quantity == "fade":
        axes.set_ylim(bottom=0)
        axes.yaxis.set_major_formatter(PercentFormatter(1.0))
    elif lines[0].quantity != "return":
        axes.set_ylim(-0.03, 1.03)
    axes.grid(alpha=0.3)
    axes.spines[["top", "right"]].set_visible(False)
    _few_ticks(axes, lines[0].x)


def _few_ticks(axes: Axes, values: Array) -> None:
    """Keeps the numbers along the horizontal axis apart: few of them, and thousands as k."""
    from matplotlib.ticker import EngFormatter, MaxNLocator

    axes.xaxis.set_major_locator(MaxNLocator(4))
    if np.abs(values).max() >= 1_000:
        axes.xaxis.set_major_formatter(EngFormatter(sep=""))


def draw_differences(comparisons: Sequence[Comparison], path: Path, title: str, x_label: str) -> None:
    """Draws the paired differences: a panel a pair of arms, a row a group, a dot a seed of a task.

    Args:
        comparisons: all with a difference.
        path: the PNG file.
        title: the heading.
        x_label: of the horizontal axes.
    """
    pairs = list(dict.fromkeys((comparison.arm, comparison.other) for comparison in comparisons))
    rows = max(sum((c.arm, c.other) == pair for c in comparisons) for pair in pairs)
    figure, panels = _panels(len(pairs), title, 1.0 + 0.42 * rows)
    for pair, axes in zip(pairs, panels, strict=True):
        own = [comparison for comparison in comparisons if (comparison.arm, comparison.other) == pair]
        for row, comparison in enumerate(own):
            _draw_difference(axes, comparison, -row)
        axes.axvline(0, color=GREY, linewidth=1.2, zorder=0)
        axes.set_yticks([-row for row in range(len(own))], [comparison.group.name for comparison in own])
        axes.set_ylim(0.6 - len(own), 0.6)
        axes.set_title(wrapped(f"{pair[0]} minus {pair[1]}", 40), fontsize=11)
        axes.set_xlabel(x_label)
        axes.grid(alpha=0.3, axis="x")
        _few_ticks(axes, np.concatenate([comparison.pairs for comparison in own]))
        axes.spines[["top", "right", "left"]].set_visible(False)
        axes.tick_params(axis="y", length=0)
    save_figure(figure, path)


def _draw_difference(axes: Axes, comparison: Comparison, row: int) -> None:
    """Draws the seeds as dots, and the interquartile mean with its interval below them."""
    difference = comparison.difference
    assert difference is not None
    color = COLORS[0]
    axes.plot(comparison.pairs, np.full(len(comparison.pairs), row + 0.14), "o", color=GREY, alpha=0.6, markersize=4)
    axes.plot([difference.low, difference.high], [row - 0.1] * 2, color=color, linewidth=2.2, solid_capstyle="butt")
    axes.plot([difference.value], [row - 0.1], "D", color=color, markersize=6)


def _looks(arms: Sequence[str]) -> dict[str, tuple[str, Style]]:
    """Returns the colour and the line style of each arm."""
    looks = ((color, style) for style in STYLES for color in COLORS)
    return dict(zip(sorted(set(arms)), itertools.cycle(looks), strict=False))


def _panels(count: int, title: str, height: float) -> tuple[Figure, list[Axes]]:
    columns = min(count, COLUMNS)
    rows = -(-count // columns)
    width = max(PANEL[0] * columns + 1.0, 6.5)
    figure = new_figure(width, height * rows + 1.0)
    figure.suptitle(wrapped(title, int(width * 10)), fontsize=12, x=0.02, ha="left")
    panels = figure.subplots(rows, columns, squeeze=False).ravel().tolist()
    for axes in panels[count:]:
        axes.remove()
    return figure, panels[:count]


def _legend(figure: Figure, looks: dict[str, tuple[str, Style]]) -> None:
    from matplotlib.lines import Line2D

    handles = [
        Line2D([], [], color=color, linestyle=style, linewidth=2, label=arm) for arm, (color, style) in looks.items()
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=min(len(handles), 4), frameon=False)
