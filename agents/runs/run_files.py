"""RunFiles: what a run keeps of its training as it goes, and goes on from where it is resumed."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

from mvr_agents.runs.evaluate import Evaluation
from mvr_agents.runs.evaluations import EvaluationsWriter
from mvr_agents.runs.metrics import MetricsRow, MetricsWriter
from mvr_agents.runs.run_dir import RunDirectory


class RunFiles:
    """Writes metrics.csv, evaluations.npz and, whenever an evaluation is the best so far, best.zip.

    The best has the highest share of episodes with success, and of equals the highest mean return.

    Args:
        run: where they go.
        save: writes the agent as it is to a file.
    """

    def __init__(self, run: RunDirectory, save: Callable[[Path], object]) -> None:
        self._metrics, self._evaluations = MetricsWriter(run.metrics), EvaluationsWriter(run.evaluations)
        self._path, self._save = run.best, save
        self._best = (-math.inf, -math.inf)

    def add_row(self, row: MetricsRow) -> None:
        """Appends a row to metrics.csv."""
        self._metrics.write(row)

    def add_evaluation(self, step: int, seconds: float, result: Evaluation) -> None:
        """Takes in an evaluation of the agent as it is; arguments as of `EvaluationsWriter.add`."""
        self._evaluations.add(step, seconds, result)
        success = 0.0 if math.isnan(result.success_rate) else result.success_rate
        value = success, result.mean_return
        if value > self._best:
            self._best = value
            draft = self._path.with_name(f".{self._path.name}")
            self._save(draft)
            draft.replace(self._path)

    def state_dict(self) -> dict[str, Any]:
        """Returns how much there is, JSON-safe."""
        return {"rows": self._metrics.rows, "evaluations": self._evaluations.count, "best": list(self._best)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Goes on from files that were as far; what was written to them afterwards is dropped.

        Raises:
            ConfigError: they are damaged, or hold less.
        """
        self._metrics.keep(state["rows"])
        self._evaluations.keep(state["evaluations"])
        self._best = (state["best"][0], state["best"][1])

    def cut_episodes(self) -> None:
        """Files know no episodes."""
