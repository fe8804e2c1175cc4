from __future__ import annotations

from pathlib import Path

from tools.pocket.captions import TASKS
from tools.pocket.figures import Figure
from tools.pocket.tables import BEGIN, END, Report, task_table, write_card

PUSH = Figure({"push-v3": 0.5}, 0.5, 0.4, 0.6)


def test_the_card_keeps_what_is_around_the_tables(tmp_path: Path) -> None:
    card = tmp_path / "CARD.md"
    card.write_text(f"before\n{BEGIN}\nold\n{END}\nafter\n", "utf-8")
    write_card(card, ["new"])
    assert card.read_text("utf-8") == f"before\n{BEGIN}\nnew\n{END}\nafter\n"


def test_the_task_table_has_a_row_a_task() -> None:
    held_out = Figure({"coffee-pull-v3": 1.0}, 1.0, 1.0, 1.0)
    lines = task_table({"a": PUSH, "b": held_out})
    assert len(lines) == 2 + len(TASKS)
    assert "| **push-v3** | 0.500 | - |" in lines and "| *coffee-pull-v3* | - | 1.000 |" in lines


def test_a_report_has_every_figure() -> None:
    lines = Report({"all": {"a": PUSH}}, {"ring": PUSH}, {"success": [0.2, 0.4]}, 3.14, 2).lines()
    assert lines[2] == "| a | 0.500 (0.400-0.600) |"
    assert "| h. top-1 motion among those of a body, ring | 0.500 (0.400-0.600) |" in lines
    assert any(line.endswith("| 0.30, 0.40 |") for line in lines)
    assert any("2 threads | 3.1 |" in line for line in lines)
