"""From runs to the numbers of a report: scores of arms, comparisons of pairs, profiles and learning curves."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from mvr_agents.runs.evaluations import Evaluations
from mvr_agents.sweeps.collect import Collection, Run
from mvr_agents.sweeps.scores import METRICS, MetricName, return_curve, success_curve
from mvr_agents.sweeps.statistics import (
    Array,
    Estimate,
    estimate,
    interquartile_mean,
    performance_profile,
    probability_of_improvement,
)
from mvr_wrappers.errors import ConfigError

By = Literal["task", "arm"]
CURVE_RESAMPLES = 1_000
THRESHOLDS = 101


@dataclass(frozen=True, slots=True)
class Group:
    """Tasks over which numbers are taken together.

    Attributes:
        name: of the task, or how many they are.
        tasks: their names.
        arms: that have runs of all of them.
    """

    name: str
    tasks: tuple[str, ...]
    arms: tuple[str, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Result:
    """What an arm scored: the interquartile mean of `runs` runs."""

    group: Group
    arm: str
    metric: MetricName
    estimate: Estimate
    runs: int


@dataclass(frozen=True, slots=True, eq=False)
class Comparison:
    """Two arms on one metric.

    Attributes:
        group: on which tasks.
        arm: the one.
        other: the other.
        improvement: probability that a run of `arm` beats one of `other`.
        difference: interquartile mean of `arm` - `other` over pairs of the same task and seed; None without such pairs.
        pairs: float64 (P,), those differences.
    """

    group: Group
    arm: str
    other: str
    improvement: Estimate
    difference: Estimate | None
    pairs: Array


@dataclass(frozen=True, slots=True, eq=False)
class Line:
    """A line with a band: a learning curve, or a performance profile.

    Attributes:
        group: on which tasks.
        arm: whose.
        quantity: "success", "return", or "profile": the share of runs with a score better than x.
        x: float64 (K,), env steps or scores.
        estimate: of K values.
    """

    group: Group
    arm: str
    quantity: str
    x: Array
    estimate: Estimate


@dataclass(frozen=True, slots=True, eq=False)
class Findings:
    """All numbers of a report, and sentences on what they leave out."""

    metric: MetricName
    groups: tuple[Group, ...]
    results: tuple[Result, ...]
    comparisons: tuple[Comparison, ...]
    profiles: tuple[Line, ...]
    curves: tuple[Line, ...]
    notes: tuple[str, ...]


def find(collection: Collection, metric: MetricName, by: By) -> Findings:
    """Computes the numbers of a report.

    Args:
        collection: the runs.
        metric: what arms are compared by; the others are told where they can be.
        by: "arm" takes the tasks together, "task" keeps them apart.

    Raises:
        ConfigError: a task never reports success and the metric is of success, or tasks that cannot be taken together.
    """
    groups, notes = _groups(collection, by)
    silent = {run.task for run in collection.runs if run.evaluations.successes is None}
    if METRICS[metric].of_success and silent:
        raise ConfigError(f"{min(silent)} never reports success; give --metric final_return, or leave its runs out")
    if metric == "final_return":
        _require_one_scale(collection, groups)
    pairs = [(group, *pair) for group in groups for pair in itertools.combinations(group.arms, 2)]
    return Findings(
        metric,
        tuple(groups),
        tuple(result for group in groups for result in _results(collection, group, silent)),
        tuple(_compare(collection, metric, *pair) for pair in pairs),
        tuple(line for group in groups for line in _profiles(collection, group, metric)),
        tuple(line for group in groups for line in _curves(collection, group, silent)),
        tuple(notes),
    )


def _groups(collection: Collection, by: By) -> tuple[list[Group], list[str]]:
    """Returns the groups, and a sentence on the tasks that are left out because an arm has no runs of them."""
    has = {task: tuple(arm for arm in collection.arms if collection.of(task, arm)) for task in collection.tasks}
    if by == "task" or len(has) == 1:
        return [Group(task, (task,), arms) for task, arms in has.items()], []
    shared = tuple(task for task, arms in has.items() if arms == collection.arms)
    if not shared:
        raise ConfigError(f"no task has runs of all arms ({', '.join(collection.arms)}); give --by task")
    left = [task for task in has if task not in shared]
    notes = [f"Left out, as an arm has no runs of it: {', '.join(left)}."] if left else []
    return [Group(shared[0] if len(shared) == 1 else f"{len(shared)} tasks", shared, collection.arms)], notes


def _one_scale(collection: Collection, group: Group) -> bool:
    """Returns whether the returns of a group are of one task and one reward."""
    return len(group.tasks) == 1 and len(_rewards(collection, group.tasks[0])) == 1


def _rewards(collection: Collection, task: str) -> set[str]:
    return {str(run.config.task_reward or "the task's own") for run in collection.runs if run.task == task}


def _require_one_scale(collection: Collection, groups: Sequence[Group]) -> None:
    for group in groups:
        if len(group.tasks) > 1:
            raise ConfigError("returns of different tasks are not on one scale; give --by task, or a metric of success")
        if not _one_scale(collection, group):
            rewards = " and ".join(sorted(_rewards(collection, group.name)))
            raise ConfigError(f"the returns of {group.name} are of different rewards, {rewards}; compare by success")


def _scores(runs: Sequence[Run], metric: MetricName) -> Array:
    return np.array([METRICS[metric].compute(run.evaluations) for run in runs], np.float64)


def _sign(metric: MetricName) -> float:
    """Returns what scores are multiplied by, so that more is better."""
    return 1.0 if METRICS[metric].more_is_better else -1.0


def _sample(collection: Collection, group: Group, arm: str, metric: MetricName) -> list[Array]:
    return [_scores(collection.of(task, arm), metric) for task in group.tasks]


def _results(collection: Collection, group: Group, silent: set[str]) -> Iterator[Result]:
    says_success, one_scale = silent.isdisjoint(group.tasks), _one_scale(collection, group)
    for arm in group.arms:
        for metric, known in METRICS.items():
            if not (says_success if known.of_success else one_scale):
                continue
            sample = _sample(collection, group, arm, metric)
            yield Result(group, arm, metric, estimate(interquartile_mean, sample), sum(map(len, sample)))


def _compare(collection: Collection, metric: MetricName, group: Group, arm: str, other: str) -> Comparison:
    sign = _sign(metric)
    samples = [[sign * scores for scores in _sample(collection, group, name, metric)] for name in (arm, other)]
    paired = [_paired(collection.of(task, arm), collection.of(task, other), metric) for task in group.tasks]
    paired = [differences for differences in paired if len(differences)]
    return Comparison(
        group,
        arm,
        other,
        improvement=estimate(probability_of_improvement, *samples),
        difference=estimate(interquartile_mean, paired) if paired else None,
        pairs=np.concatenate(paired) if paired else np.zeros(0),
    )


def _paired(runs: Sequence[Run], others: Sequence[Run], metric: MetricName) -> Array:
    """Returns score minus score of the runs of the same seed; where one never came so far, its whole length counts."""
    scores, other = (_by_seed(side, metric) for side in (runs, others))
    return np.array([scores[seed] - other[seed] for seed in scores if seed in other], np.float64)


def _by_seed(runs: Sequence[Run], metric: MetricName) -> Mapping[int, float]:
    scores = zip(runs, _scores(runs, metric), strict=True)
    return {
        run.seed: float(min(score, run.evaluations.steps[-1])) if np.isinf(score) else score for run, score in scores
    }


def _profiles(collection: Collection, group: Group, metric: MetricName) -> Iterator[Line]:
    """Yields a profile an arm, over the scores that there are; none where no run has a finite one."""
    samples = {arm: _sample(collection, group, arm, metric) for arm in group.arms}
    scores = np.concatenate([task for sample in samples.values() for task in sample])
    scores = scores[np.isfinite(scores)]
    if not len(scores):
        return
    if METRICS[metric].of_success and METRICS[metric].more_is_better:
        thresholds = np.linspace(0.0, 1.0, THRESHOLDS)
    else:
        thresholds = np.linspace(scores.min(), scores.max(), THRESHOLDS)
    sign = _sign(metric)
    for arm, sample in samples.items():
        better = [sign * task for task in sample]
        profile = estimate(performance_profile(sign * thresholds), better, resamples=CURVE_RESAMPLES)
        yield Line(group, arm, "profile", thresholds, profile)


def _curves(collection: Collection, group: Group, silent: set[str]) -> Iterator[Line]:
    grid = common_steps([run.evaluations.steps for run in collection.runs if run.task in group.tasks])
    quantities = {"success": success_curve} if silent.isdisjoint(group.tasks) else {}
    if _one_scale(collection, group):
        quantities["return"] = return_curve
    for quantity, curve in quantities.items():
        for arm in group.arms:
            sample = [np.stack([_at(grid, run, curve) for run in collection.of(task, arm)]) for task in group.tasks]
            yield Line(group, arm, quantity, grid, estimate(interquartile_mean, sample, resamples=CURVE_RESAMPLES))


def _at(grid: Array, run: Run, curve: Callable[[Evaluations], Array]) -> Array:
    """Returns a curve of a run at other steps than it was evaluated at, float64 (K,)."""
    return np.asarray(np.interp(grid, run.evaluations.steps, curve(run.evaluations)), np.float64)


def common_steps(steps: Sequence[NDArray[np.int64]]) -> Array:
    """Returns the steps of all evaluations, as far as every run has some before and after, float64 (K,).

    Args:
        steps: of the evaluations of each run, rising.
    """
    first, last = max(own[0] for own in steps), min(own[-1] for own in steps)
    grid = np.unique(np.concatenate(list(steps)))
    return np.asarray(grid[(grid >= first) & (grid <= last)], np.float64)
