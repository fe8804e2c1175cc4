"""Lines with bands: learning curves, the fade of the shaping, performance profiles."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mvr_agents.sweeps.collect import Collection, Run
from mvr_agents.sweeps.groups import Group, one_scale, sample_of, sign_of
from mvr_agents.sweeps.scores import METRICS, MetricName, return_curve, success_curve
from mvr_agents.sweeps.statistics import Array, Estimate, estimate, interquartile_mean, performance_profile

RESAMPLES = 1_000
THRESHOLDS = 101
Steps = NDArray[np.int64] | Array
Points = tuple[Steps, Array]
"""Steps, rising, and values of a curve of one run."""


@dataclass(frozen=True, slots=True, eq=False)
class Line:
    """A line with a band: a learning curve, or a performance profile.

    Attributes:
        group: on which tasks.
        arm: whose.
        quantity: "success", "return", "fade" (|shaping| beside |task reward|), or "profile": the share of runs with a
            score better than x.
        x: float64 (K,), env steps or scores.
        estimate: of K values.
    """

    group: Group
    arm: str
    quantity: str
    x: Array
    estimate: Estimate


def profiles(collection: Collection, group: Group, metric: MetricName) -> Iterator[Line]:
    """Yields a profile an arm, over the scores that there are; none where no run has a finite one.

    Args:
        collection: the runs.
        group: on which tasks.
        metric: the score.
    """
    samples = {arm: sample_of(collection, group, arm, metric) for arm in group.arms}
    scores = np.concatenate([task for sample in samples.values() for task in sample])
    scores = scores[np.isfinite(scores)]
    if not len(scores):
        return
    if METRICS[metric].of_success and METRICS[metric].more_is_better:
        thresholds = np.linspace(0.0, 1.0, THRESHOLDS)
    else:
        thresholds = np.linspace(scores.min(), scores.max(), THRESHOLDS)
    sign = sign_of(metric)
    for arm, sample in samples.items():
        better = [sign * task for task in sample]
        profile = estimate(performance_profile(sign * thresholds), better, resamples=RESAMPLES)
        yield Line(group, arm, "profile", thresholds, profile)


def curves(collection: Collection, group: Group, silent: set[str]) -> Iterator[Line]:
    """Yields the curves of an arm each: success where all tasks report it, returns where they are on one scale, fade.

    Args:
        collection: the runs.
        group: on which tasks.
        silent: tasks that never report success.
    """
    quantities: dict[str, Callable[[Run], Points]] = {}
    if silent.isdisjoint(group.tasks):
        quantities["success"] = lambda run: (run.evaluations.steps, success_curve(run.evaluations))
    if one_scale(collection, group):
        quantities["return"] = lambda run: (run.evaluations.steps, return_curve(run.evaluations))
    quantities["fade"] = _fade
    for quantity, points in quantities.items():
        samples = {arm: _points(collection, group, arm, points) for arm in group.arms}
        steps = [run[0] for sample in samples.values() for task in sample for run in task]
        grid = common_steps(steps) if steps else np.zeros(0)
        for arm, sample in samples.items():
            heights = [np.stack([np.interp(grid, *run) for run in task]) for task in sample if task]
            if heights and len(grid):
                found = estimate(interquartile_mean, heights, resamples=RESAMPLES)
                yield Line(group, arm, quantity, grid, found)


def _points(collection: Collection, group: Group, arm: str, points: Callable[[Run], Points]) -> list[list[Points]]:
    """Returns the curves of an arm that have a point at all, a list a task."""
    return [[found for run in collection.of(task, arm) if len((found := points(run))[0])] for task in group.tasks]


def _fade(run: Run) -> Points:
    """Returns the rows of metrics.csv at which the task paid something and shaping was known."""
    steps, fade = run.fading
    known = np.isfinite(fade)
    return steps[known], fade[known]


def common_steps(steps: Sequence[Steps]) -> Array:
    """Returns the steps of all curves, as far as every one has some before and after, float64 (K,).

    Args:
        steps: of the points of each, rising.
    """
    first, last = max(own[0] for own in steps), min(own[-1] for own in steps)
    grid = np.unique(np.concatenate(list(steps)))
    return np.asarray(grid[(grid >= first) & (grid <= last)], np.float64)
