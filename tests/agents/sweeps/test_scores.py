"""What a run scored, against evaluations counted by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from mvr_agents.runs.evaluations import Evaluations
from mvr_agents.sweeps.scores import METRICS, MetricName, success_curve


def evaluations(successes: list[list[int]] | None) -> Evaluations:
    """Of two episodes each at steps 0, 100 and 300, with returns 0 and 10, 20 and 30, 40 and 50."""
    returns = np.arange(0, 60, 10, dtype=np.float64).reshape(3, 2)
    solved = None if successes is None else np.array(successes, np.bool_)
    return Evaluations(np.array([0, 100, 300]), np.zeros(3), returns, np.ones((3, 2), np.int64), solved, solved)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("success_auc", (100 * 0.25 + 200 * 0.75) / 300),
        ("final_success", 1.0),
        ("final_return", 45.0),
        ("steps_to_50", 100.0),
    ],
)
def test_a_run_scores(name: MetricName, expected: float) -> None:
    assert METRICS[name].compute(evaluations([[0, 0], [1, 0], [1, 1]])) == pytest.approx(expected)


def test_a_run_that_never_gets_there() -> None:
    steps = METRICS["steps_to_50"]
    never = steps.compute(evaluations([[0, 0], [0, 0], [0, 0]]))
    assert never == math.inf and steps.written(never) == "never" and steps.written(1e6) == "1,000,000"
    assert steps.written(math.nan) == "-"


def test_success_that_nobody_tells_is_unknown() -> None:
    assert np.isnan(success_curve(evaluations(None))).all()
