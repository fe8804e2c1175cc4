"""metrics.csv: one row a log or an evaluation, one column a quantity, an empty cell where there is no value."""

from __future__ import annotations

import csv
import math
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mvr_wrappers.errors import ConfigError

NAN = float("nan")


@dataclass(frozen=True, slots=True)
class MetricsRow:
    """What was known at one moment of training; NaN where nothing was.

    Attributes:
        step: env steps so far, over all sub-envs.
        seconds: wall time since training began.
        eval_return: task return, mean over the episodes of an evaluation with the deterministic policy.
        eval_success: share of those episodes with success at any step.
        eval_success_last: share of them with success at the last step.
        task_return: task return, mean over the training episodes that ended since the last row.
        shaped_return: shaped return of the same episodes.
        success: share of the same episodes with success.
        vlm_reward: r_vlm, unweighted, mean over the steps since the last row.
        shaping: the term added to the task reward, mean over the same steps.
        abs_shaping: its absolute value, mean over the same steps.
        abs_task_reward: absolute value of the task reward, mean over the same steps.
        fade: abs_shaping over abs_task_reward; NaN where the task paid nothing.
        clips_scored: so far.
        mean_score: psi, mean over the videos of the last scoring.
        updates: of the relevance model, so far.
        update_steps: optimiser steps of its last update.
        stopped_early: 1 where the held-out loss ended that update, 0 where `relevance.max_steps` did.
        matching_loss: mean over the last steps of that update.
        representation_loss: unweighted, the same.
        held_out_loss: both, on clips of held-out episodes, after that update.
        held_out_episodes: how many episodes these clips are of.
        pair_accuracy: share of their pairs that f orders as their scores do.
        reference_relevance: f, mean over the reference states, in the latest reward.
        actor_loss: of the learner's last training, mean over its gradient steps.
        critic_loss: of the same training.
        entropy_coefficient: in the same training.
        learner_seconds: wall time of the learner's updates, so far.
        film_seconds: wall time of waiting for frames, so far.
        score_seconds: wall time of scoring, so far.
        update_seconds: wall time of updating the relevance model, so far.
        eval_seconds: wall time of evaluations, so far.
    """

    step: int
    seconds: float
    eval_return: float = NAN
    eval_success: float = NAN
    eval_success_last: float = NAN
    task_return: float = NAN
    shaped_return: float = NAN
    success: float = NAN
    vlm_reward: float = NAN
    shaping: float = NAN
    abs_shaping: float = NAN
    abs_task_reward: float = NAN
    fade: float = NAN
    clips_scored: int = 0
    mean_score: float = NAN
    updates: int = 0
    update_steps: int = 0
    stopped_early: float = NAN
    matching_loss: float = NAN
    representation_loss: float = NAN
    held_out_loss: float = NAN
    held_out_episodes: int = 0
    pair_accuracy: float = NAN
    reference_relevance: float = NAN
    actor_loss: float = NAN
    critic_loss: float = NAN
    entropy_coefficient: float = NAN
    learner_seconds: float = 0.0
    film_seconds: float = 0.0
    score_seconds: float = 0.0
    update_seconds: float = 0.0
    eval_seconds: float = 0.0

    @property
    def has_evaluation(self) -> bool:
        """Whether an evaluation was made for this row."""
        return not math.isnan(self.eval_return)


COLUMNS = tuple(field.name for field in fields(MetricsRow))
WHOLE = frozenset(field.name for field in fields(MetricsRow) if field.type == "int")
"""Columns of whole numbers."""


class MetricsWriter:
    """Appends rows to metrics.csv, each at once on disk, so that a run that dies leaves what it had.

    Args:
        path: the file. What is in it stays until the first `write`; call `keep` before where a run goes on.

    Attributes:
        rows: how many it has written.
    """

    def __init__(self, path: Path) -> None:
        self._path, self.rows = path, 0
        if not path.exists():
            self._begin()

    def keep(self, rows: int) -> None:
        """Goes on from the first rows of the file, by the names of its columns; those after them are dropped.

        Raises:
            ConfigError: it has not so many.
        """
        columns = read_metrics(self._path)
        if len(columns["step"]) < rows:
            raise ConfigError(f"{self._path} has {len(columns['step'])} rows of {rows}; it was changed since")
        self.rows = 0
        for i in range(rows):
            values = {name: column[i].item() for name, column in columns.items()}
            self.write(MetricsRow(**{name: int(value) if name in WHOLE else value for name, value in values.items()}))

    def write(self, row: MetricsRow) -> None:
        """Appends a row."""
        if not self.rows:
            self._begin()
        with self._path.open("a", newline="", encoding="utf-8") as stream:
            csv.writer(stream).writerow([_cell(getattr(row, name)) for name in COLUMNS])
        self.rows += 1

    def _begin(self) -> None:
        with self._path.open("w", newline="", encoding="utf-8") as stream:
            csv.writer(stream).writerow(COLUMNS)


def read_metrics(path: Path) -> dict[str, NDArray[np.float64]]:
    """Reads the columns of metrics.csv by name: column -> float64 (rows,), NaN for empty cells.

    A column that another version did not write holds the default of `MetricsRow`; one that this version does not know
    is left out.

    Raises:
        ConfigError: no such file, or one of something else.
    """
    if not path.is_file():
        raise ConfigError(f"there is no {path}; a run writes it when training begins")
    with path.open(newline="", encoding="utf-8") as stream:
        reader = csv.DictReader(stream)
        names = reader.fieldnames or ()
        if not {"step", "seconds"}.issubset(names):
            raise ConfigError(f"{path} has the columns {', '.join(names)}; it is no table of a run")
        rows = list(reader)
    return {
        column.name: np.array([float(row[column.name] or NAN) for row in rows], np.float64)
        if column.name in names
        else np.full(len(rows), column.default, np.float64)
        for column in fields(MetricsRow)
    }


def _cell(value: float) -> str:
    if isinstance(value, int):
        return str(value)
    return "" if math.isnan(value) else f"{value:.6g}"
