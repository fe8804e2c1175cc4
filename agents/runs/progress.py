"""What is seen of a run while it trains: a bar with the last evaluation in its tail, and a line at each evaluation."""

from __future__ import annotations

import math
from collections.abc import Callable

from rich.console import Console
from rich.markup import escape
from rich.progress import (
    BarColumn,
    Progress,
    ProgressColumn,
    Task,
    TaskProgressColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.text import Text
from stable_baselines3.common.callbacks import BaseCallback

from mvr_agents.runs.metrics import MetricsRow

PARTS = {
    "eval_return": "return {:,.1f}",
    "eval_success": "success {:.0%}",
    "vlm_reward": "VLM reward {:.3f}",
    "pair_accuracy": "pair accuracy {:.0%}",
    "fade": "fade {:.1%}",
}
"""Column of metrics.csv -> how an evaluation's line tells it; left out where there is no value."""
TAIL = ("eval_return", "eval_success")


def evaluation_line(row: MetricsRow, planned: int) -> str:
    """Returns one line on an evaluation.

    Args:
        row: of metrics.csv, with the evaluation in it.
        planned: env steps of the whole training; the time left is that of the remaining steps at the pace so far,
            evaluations included.
    """
    parts = [f"step {row.step:,} of {planned:,}", *_parts(row, tuple(PARTS))]
    if 0 < row.step < planned:
        parts.append(f"{_duration(row.seconds / row.step * (planned - row.step))} left")
    return ", ".join(parts)


def tell_evaluation(row: MetricsRow, planned: int, notify: Callable[[str], object]) -> None:
    """Gives `evaluation_line` to `notify` if an evaluation was made for the row."""
    if row.has_evaluation:
        notify(evaluation_line(row, planned))


def _parts(row: MetricsRow, names: tuple[str, ...]) -> list[str]:
    values = {name: getattr(row, name) for name in names}
    return [PARTS[name].format(value) for name, value in values.items() if not math.isnan(value)]


def _duration(seconds: float) -> str:
    """Writes a time as 42 s, 7 min or 3 h 05 min."""
    if seconds < 60:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02d} min"


class ProgressBar(BaseCallback):
    """A bar of env steps, with the return and the success of the last evaluation in its tail.

    Lines that are printed on the same console while it is shown appear above it.

    Args:
        shown: False draws nothing.
        console: where it is drawn; None is the process's own.
    """

    def __init__(self, *, shown: bool = True, console: Console | None = None) -> None:
        super().__init__()
        columns = (
            TextColumn("{task.percentage:>3.0f}%"),
            BarColumn(bar_width=None),
            TextColumn("{task.completed:,}/{task.total:,}"),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            _Speed(),
            TextColumn("{task.description}"),
        )
        self._bar = Progress(*columns, console=console, expand=True, disable=not shown)
        self._work = self._bar.add_task("", start=False, total=None)

    def tell(self, row: MetricsRow) -> None:
        """Shows an evaluation in the tail; a row without one changes nothing."""
        if row.has_evaluation:
            self._bar.update(self._work, description=escape(", ".join(_parts(row, TAIL))))

    def stop(self) -> None:
        """Leaves the bar as it is; to be called where an error may have ended the training."""
        self._bar.stop()

    def _on_training_start(self) -> None:
        self._bar.update(self._work, completed=self.num_timesteps, total=self.locals["total_timesteps"])
        self._bar.start_task(self._work)
        self._bar.start()

    def _on_step(self) -> bool:
        self._bar.update(self._work, completed=self.num_timesteps)
        return True

    def _on_training_end(self) -> None:
        self.stop()


class _Speed(ProgressColumn):
    def render(self, task: Task) -> Text:
        return TaskProgressColumn.render_speed(task.finished_speed or task.speed)
