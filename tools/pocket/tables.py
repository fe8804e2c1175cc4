"""The figures as the model card shows them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tools.pocket.captions import HELD_OUT, PAPER_TASKS, TASKS
from tools.pocket.figures import Figure

BEGIN, END = "<!-- evaluation: written by tools.pocket.evaluate -->", "<!-- end of evaluation -->"


@dataclass(frozen=True, slots=True)
class Report:
    """All figures: by group of tasks and title, of the bodies on the ring and off it, and of the scorer."""

    tasks: dict[str, dict[str, Figure]]
    bodies: dict[str, Figure]
    view_shares: dict[str, list[float]]
    milliseconds: float
    threads: int

    def lines(self) -> list[str]:
        """Returns the tables in Markdown."""
        lines = ["| figure | " + " | ".join(self.tasks) + " |", "| --- " * (len(self.tasks) + 1) + "|"]
        titles = list(next(iter(self.tasks.values())))
        lines += [
            f"| {title} | " + " | ".join(str(figures[title]) for figures in self.tasks.values()) + " |"
            for title in titles
        ]
        lines += ["", "| what | figure |", "| --- | --- |"]
        for view, figure in self.bodies.items():
            lines.append(f"| h. top-1 motion among those of a body, {view} | {figure} |")
            lines += [f"| of which {body} | {value:.3f} |" for body, value in figure.tasks.items()]
        for kind, values in self.view_shares.items():
            what = f"share of score variance the view explains, {kind} clips (mean, worst task)"
            lines.append(f"| {what} | {np.mean(values):.2f}, {max(values):.2f} |")
        lines.append(f"| elapsed milliseconds a clip, batch of 16, {self.threads} threads | {self.milliseconds:.1f} |")
        return [*lines, "", *task_table({title: self._every(title) for title in titles})]

    def _every(self, title: str) -> Figure:
        figures = [group[title] for group in self.tasks.values()]
        tasks = {task: value for figure in figures for task, value in figure.tasks.items()}
        return Figure(tasks, figures[0].mean, figures[0].low, figures[0].high)


def task_table(columns: dict[str, Figure]) -> list[str]:
    """Returns a row a task and a column a figure, in Markdown; bold tasks are of the paper, slanted ones held out."""
    lines = ["| task | " + " | ".join(columns) + " |", "| --- " * (len(columns) + 1) + "|"]
    for task in TASKS:
        name = f"**{task}**" if task in PAPER_TASKS else f"*{task}*" if task in HELD_OUT else task
        cells = [f"{column.tasks[task]:.3f}" if task in column.tasks else "-" for column in columns.values()]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return lines


def write_card(card: Path, lines: list[str]) -> None:
    """Puts the tables between the two marks of a model card."""
    text = card.read_text("utf-8")
    head, rest = text.split(BEGIN)
    card.write_text(head + BEGIN + "\n" + "\n".join(lines) + "\n" + END + rest.split(END)[1], "utf-8")
