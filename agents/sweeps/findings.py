"""From runs to the numbers of a report: scores of arms, comparisons of pairs, profiles and learning curves."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from mvr_agents.sweeps.collect import Collection, Run
from mvr_agents.sweeps.groups import By, Group, make_groups, one_scale, require_one_scale, sample_of, scores_of, sign_of
from mvr_agents.sweeps.lines import Line, curves, profiles
from mvr_agents.sweeps.scores import METRICS, MetricName
from mvr_agents.sweeps.statistics import (
    Array,
    Estimate,
    difference_of_means,
    estimate,
    interquartile_mean,
    probability_of_improvement,
)
from mvr_wrappers.errors import ConfigError


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
        means: mean over tasks of the mean of `arm` - that of `other`; None where a run never came so far.
    """

    group: Group
    arm: str
    other: str
    improvement: Estimate
    difference: Estimate | None
    pairs: Array
    means: Estimate | None


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
    groups, notes = make_groups(collection, by)
    silent = {run.task for run in collection.runs if run.evaluations.successes is None}
    if METRICS[metric].of_success and silent:
        raise ConfigError(f"{min(silent)} never reports success; give --metric final_return, or leave its runs out")
    if metric == "final_return":
        require_one_scale(collection, groups)
    pairs = [(group, *pair) for group in groups for pair in itertools.combinations(group.arms, 2)]
    return Findings(
        metric,
        tuple(groups),
        tuple(result for group in groups for result in _results(collection, group, silent)),
        tuple(_compare(collection, metric, *pair) for pair in pairs),
        tuple(line for group in groups for line in profiles(collection, group, metric)),
        tuple(line for group in groups for line in curves(collection, group, silent)),
        tuple(notes),
    )


def _results(collection: Collection, group: Group, silent: set[str]) -> Iterator[Result]:
    says_success, comparable = silent.isdisjoint(group.tasks), one_scale(collection, group)
    for arm in group.arms:
        for metric, known in METRICS.items():
            if not (says_success if known.of_success else comparable):
                continue
            sample = sample_of(collection, group, arm, metric)
            yield Result(group, arm, metric, estimate(interquartile_mean, sample), sum(map(len, sample)))


def _compare(collection: Collection, metric: MetricName, group: Group, arm: str, other: str) -> Comparison:
    sign = sign_of(metric)
    samples = [sample_of(collection, group, name, metric) for name in (arm, other)]
    better = [[sign * scores for scores in sample] for sample in samples]
    finite = all(np.isfinite(scores).all() for sample in samples for scores in sample)
    paired = [_paired(collection.of(task, arm), collection.of(task, other), metric) for task in group.tasks]
    paired = [differences for differences in paired if len(differences)]
    return Comparison(
        group,
        arm,
        other,
        improvement=estimate(probability_of_improvement, *better),
        difference=estimate(interquartile_mean, paired) if paired else None,
        pairs=np.concatenate(paired) if paired else np.zeros(0),
        means=estimate(difference_of_means, *samples) if finite else None,
    )


def _paired(runs: Sequence[Run], others: Sequence[Run], metric: MetricName) -> Array:
    """Returns score minus score of the runs of the same seed; where one never came so far, its whole length counts."""
    scores, other = (_by_seed(side, metric) for side in (runs, others))
    return np.array([scores[seed] - other[seed] for seed in scores if seed in other], np.float64)


def _by_seed(runs: Sequence[Run], metric: MetricName) -> Mapping[int, float]:
    scores = zip(runs, scores_of(runs, metric), strict=True)
    return {
        run.seed: float(min(score, run.evaluations.steps[-1])) if np.isinf(score) else score for run, score in scores
    }
