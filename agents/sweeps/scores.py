"""What one run scored: a number of its evaluations, by name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np

from mvr_agents.runs.evaluations import Evaluations
from mvr_agents.sweeps.statistics import Array, area_under, steps_to

MetricName = Literal["success_auc", "final_success", "final_return", "steps_to_50"]


@dataclass(frozen=True, slots=True)
class Metric:
    """One kind of score.

    Attributes:
        title: what it is called in tables and pictures.
        meaning: how it is computed, a clause.
        form: how a value is written.
        of_success: it needs an env that reports success.
        more_is_better: a greater score is a better one.
        compute: from the evaluations of a run to its score; infinity where it never came so far.
    """

    title: str
    meaning: str
    form: str
    of_success: bool
    more_is_better: bool
    compute: Callable[[Evaluations], float]

    def written(self, value: float) -> str:
        """Returns a value as text: "never" for infinity, "-" for one that there is not."""
        if np.isnan(value):
            return "-"
        return "never" if np.isinf(value) else format(value, self.form)


def success_curve(evaluations: Evaluations) -> Array:
    """Returns the share of episodes with success at any step, float64 (K,); NaN if the env never says."""
    if evaluations.successes is None:
        return np.full(len(evaluations.steps), np.nan)
    return np.asarray(evaluations.successes.mean(axis=1), np.float64)


def return_curve(evaluations: Evaluations) -> Array:
    """Returns the mean task return of each evaluation, float64 (K,)."""
    return np.asarray(evaluations.returns.mean(axis=1), np.float64)


METRICS: dict[MetricName, Metric] = {
    "success_auc": Metric(
        "success, mean over training",
        "area under the success rate over env steps (trapezoidal rule), divided by the length of the step axis",
        ".3f",
        True,
        True,
        lambda evaluations: area_under(evaluations.steps, success_curve(evaluations)),
    ),
    "final_success": Metric(
        "success at the end",
        "share of the episodes of the last evaluation with success at any step",
        ".3f",
        True,
        True,
        lambda evaluations: float(success_curve(evaluations)[-1]),
    ),
    "final_return": Metric(
        "task return at the end",
        "undiscounted return of the task's own reward, mean over the episodes of the last evaluation",
        ",.4g",
        False,
        True,
        lambda evaluations: float(return_curve(evaluations)[-1]),
    ),
    "steps_to_50": Metric(
        "env steps to 50% success",
        "env steps before the first evaluation in which at least half of the episodes succeed; "
        "a run in which none does counts as infinitely many",
        ",.0f",
        True,
        False,
        lambda evaluations: steps_to(evaluations.steps, success_curve(evaluations), 0.5),
    ),
}
"""Name -> how it is computed and written."""
