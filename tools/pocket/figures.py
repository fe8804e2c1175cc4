"""The figures the pocket scorer is judged by, and their bootstrap intervals."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


@dataclass(frozen=True, slots=True)
class Figure:
    """A mean over tasks, with its 95% bootstrap interval.

    Attributes:
        tasks: value of each task.
        mean, low, high: over the tasks.
    """

    tasks: dict[str, float]
    mean: float
    low: float
    high: float

    def __str__(self) -> str:
        """As the tables have it."""
        return f"{self.mean:.3f} ({self.low:.3f}-{self.high:.3f})"


def auc(positive: Array, negative: Array) -> float:
    """Returns the chance that a draw of `positive` exceeds one of `negative`, ties counted half."""
    gaps = positive[:, None] - negative
    return float((gaps > 0).mean() + 0.5 * (gaps == 0).mean())


def auc_table(positive: Sequence[Array], negative: Sequence[Array]) -> Array:
    """Returns the AUC (P, N) of every positive episode's scores against every negative one's; its mean is the AUC."""
    return np.array([[auc(a, b) for b in negative] for a in positive])


def view_share(scores: Array, views: Array) -> float:
    """Returns the share of the variance of `scores` that the view explains, corrected for chance (epsilon squared)."""
    groups = [scores[views == view] for view in np.unique(views)]
    within = sum(((group - group.mean()) ** 2).sum() for group in groups) / max(len(scores) - len(groups), 1)
    return float(max(1 - within / scores.var(ddof=1), 0))


def over_tables(tables: dict[str, Array], replicates: int, seed: int = 0) -> Figure:
    """Mean over tasks of each table's mean; rows and columns, which are episodes, are drawn anew for the interval."""

    def draw(table: Array, rng: np.random.Generator) -> float:
        rows, columns = (rng.integers(n, size=n) for n in table.shape)
        return float(table[np.ix_(rows, columns)].mean())

    return _figure(tables, draw, replicates, seed)


def over_episodes(values: dict[str, Array], replicates: int, seed: int = 0) -> Figure:
    """Mean over tasks of the mean over their episodes; the episodes are drawn anew for the interval."""
    return _figure(values, lambda v, rng: float(rng.choice(v, len(v)).mean()), replicates, seed)


def _figure(
    values: dict[str, Array], draw: Callable[[Array, np.random.Generator], float], replicates: int, seed: int
) -> Figure:
    rng = np.random.default_rng(seed)
    tasks = {task: float(value.mean()) for task, value in values.items()}
    means = [np.mean([draw(value, rng) for value in values.values()]) for _ in range(replicates)]
    low, high = np.percentile(means, [2.5, 97.5])
    return Figure(tasks, float(np.mean(list(tasks.values()))), float(low), float(high))
