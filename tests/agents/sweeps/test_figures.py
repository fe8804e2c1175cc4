"""Pictures of many panels, arms and numbers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from mvr_agents.sweeps.figures import COLORS, _looks, draw_differences, draw_lines
from mvr_agents.sweeps.findings import Comparison
from mvr_agents.sweeps.groups import Group
from mvr_agents.sweeps.lines import Line
from mvr_agents.sweeps.statistics import Estimate

ARMS = tuple(f"arm {number}" for number in range(9))
GROUPS = tuple(Group(f"task {number}", (f"task {number}",), ARMS) for number in range(5))


def number(value: float | np.ndarray) -> Estimate:
    values = np.asarray(value, np.float64)
    return Estimate(values, values - 1, values + 1)


def size(path: Path) -> tuple[int, int]:
    with Image.open(path) as image:
        return image.size


def test_every_group_has_a_panel(tmp_path: Path) -> None:
    x = np.array([0.0, 5_000.0])
    lines = [Line(group, arm, "return", x, number(x)) for group in GROUPS for arm in ARMS]
    draw_lines(lines, ARMS, tmp_path / "five.png", "Five", "x", "y")
    draw_lines(lines[: len(ARMS)], ARMS, tmp_path / "one.png", "One", "x", "y")
    (wide, high), (narrow, low) = size(tmp_path / "five.png"), size(tmp_path / "one.png")
    assert wide > 1.8 * narrow and high > 1.5 * low  # three panels beside each other, two rows


def test_lines_without_an_interval_are_drawn(tmp_path: Path) -> None:
    x, none = np.array([0.0, 1.0]), np.full(2, np.nan)
    line = Line(GROUPS[0], "a", "success", x, Estimate(x, none, none))
    draw_lines([line], ["a", "b"], tmp_path / "a.png", "A", "x", "y")
    assert min(size(tmp_path / "a.png")) > 200


def test_every_pair_has_a_panel_and_every_group_a_row(tmp_path: Path) -> None:
    heights = []
    for groups in (GROUPS[:1], GROUPS):
        rows = [Comparison(group, "a", "b", number(0.5), number(2), np.array([-1.0, 2e6]), None) for group in groups]
        draw_differences(rows, tmp_path / "differences.png", "Differences", "x")
        heights.append(size(tmp_path / "differences.png")[1])
    assert heights[1] > 1.5 * heights[0]


def test_every_arm_has_a_look_of_its_own() -> None:
    looks = _looks(ARMS)
    assert len(set(looks.values())) == len(ARMS) > len(COLORS)
