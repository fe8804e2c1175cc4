"""Pictures are written, show the frames they were given, and survive runs that lack a quantity."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from mvr_agents.pictures.figures import DPI, Trace, draw_curve, draw_relevance
from mvr_agents.runs.metrics import COLUMNS


def pixels(path: Path) -> NDArray[np.uint8]:
    with Image.open(path) as picture:
        return np.asarray(picture.convert("RGB"))


def share(picture: NDArray[np.uint8], color: tuple[int, int, int]) -> float:
    """Share of the pixels that have exactly this colour."""
    return float((picture == color).all(axis=-1).mean())


def metrics(rows: int) -> dict[str, NDArray[np.float64]]:
    table = {name: np.full(rows, np.nan) for name in COLUMNS}
    return table | {"step": np.linspace(0, 1000, rows), "updates": np.arange(rows) // 3}


@pytest.mark.parametrize("rows", [0, 1, 12])
def test_the_curve_is_drawn_from_any_number_of_rows(rows: int, tmp_path: Path) -> None:
    table = metrics(rows)
    table["eval_return"][:1] = 3.0
    table["vlm_reward"][:] = -0.5
    draw_curve(table, tmp_path / "curve.png", 'a task\n"a prompt"')
    assert pixels(tmp_path / "curve.png").shape == (8 * DPI, 8 * DPI, 3)


def test_the_curve_shows_what_it_was_given(tmp_path: Path) -> None:
    table = metrics(12)
    draw_curve(table, tmp_path / "empty.png", "title")
    table["eval_return"][[0, -1]] = [1.0, 2.0]
    draw_curve(table, tmp_path / "points.png", "title")
    blue = (0x2A, 0x6F, 0xBB)
    assert share(pixels(tmp_path / "empty.png"), blue) == 0 < share(pixels(tmp_path / "points.png"), blue)


@pytest.mark.parametrize("success_step", [None, 7])
@pytest.mark.parametrize("reference", [0.4, float("nan")])
def test_relevance_is_drawn_under_its_frames(success_step: int | None, reference: float, tmp_path: Path) -> None:
    frames = np.zeros((4, 10, 10, 3), np.uint8)
    frames[-1] = (250, 0, 0)
    values = np.linspace(-1, 0, 20, dtype=np.float32)
    draw_relevance(Trace(values, 0.1 * values, frames, reference, success_step), tmp_path / "r.png", "title")
    picture = pixels(tmp_path / "r.png")
    _, columns = np.nonzero((picture == (250, 0, 0)).all(axis=-1))
    assert columns.min() > 0.7 * picture.shape[1]  # the last of four frames stands over the last quarter
    assert (share(picture, (0xB8, 0x37, 0x3B)) > 0) == (success_step is not None)
