"""Numbers of many runs, with intervals, as Agarwal et al. 2021 define them (arXiv 2108.13264).

A *sample* is what one arm scored: one array (N_m, ...) a task, with the scores of its N_m seeds along the first axis;
tasks are the strata. A *statistic* takes samples of which R copies lie along a new first axis, (R, N_m, ...) a task,
and returns (R, ...): the sample itself is one copy, and the bootstrap draws many.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Sample = Sequence[Array]
Statistic = Callable[..., Array]

RESAMPLES = 5_000
LEVEL = 0.95
_CHUNK = 2**22  # numbers that are drawn at a time


@dataclass(frozen=True, slots=True, eq=False)
class Estimate:
    """A number, or an array of numbers, and the interval of each.

    Attributes:
        value: float64 (...), the statistic of the sample.
        low: float64 (...), lower end of the interval; NaN where one seed alone gives none.
        high: float64 (...), upper end.
    """

    value: Array
    low: Array
    high: Array


def estimate(statistic: Statistic, *samples: Sample, resamples: int = RESAMPLES, seed: int = 0) -> Estimate:
    """Returns a statistic with its 95% interval from the stratified bootstrap (section 4.1).

    Seeds are drawn with replacement within each task, as many as there are, independently for each task and sample; the
    interval lies between the 2.5th and the 97.5th percentile of the statistic over the draws. A percentile is one of
    the drawn values, never between two, so that it exists where some are infinite. Where a task has a single seed there
    is nothing to draw from, and the interval is NaN.

    Args:
        statistic: see the module.
        samples: what it takes.
        resamples: draws.
        seed: of the draws.
    """
    value = statistic(*([scores[np.newaxis] for scores in sample] for sample in samples))[0]
    if any(len(scores) < 2 for sample in samples for scores in sample):
        return Estimate(value, np.full_like(value, np.nan), np.full_like(value, np.nan))
    rng = np.random.default_rng(seed)
    size = sum(scores.size for sample in samples for scores in sample)
    chunk = max(1, min(resamples, _CHUNK // size))
    draws = [
        statistic(*([_draw(scores, min(chunk, resamples - done), rng) for scores in sample] for sample in samples))
        for done in range(0, resamples, chunk)
    ]
    tail = (1 - LEVEL) / 2
    low, high = np.quantile(np.concatenate(draws), (tail, 1 - tail), axis=0, method="inverted_cdf")
    return Estimate(value, low, high)


def _draw(scores: Array, count: int, rng: np.random.Generator) -> Array:
    """Returns `count` times N of the N rows, with replacement: (count, N, ...)."""
    return scores[rng.integers(len(scores), size=(count, len(scores)))]


def interquartile_mean(sample: Sample) -> Array:
    """Returns the mean of the middle half of all runs of all tasks (section 4.3): `scipy.stats.trim_mean(x, 0.25)`.

    The quarter that is cut at each end is rounded down to whole runs: up to three runs none are, and it is the mean.
    """
    from scipy.stats import trim_mean

    return np.asarray(trim_mean(np.concatenate(list(sample), axis=1), 0.25, axis=1), np.float64)


def probability_of_improvement(sample: Sample, other: Sample) -> Array:
    """Returns how likely a run of one arm beats a run of another on a task drawn at random (section 4.3).

    P(X > Y) = mean over the tasks m of 1 / (N_m K_m) sum_ij S(x_mi, y_mj), with S = 1 where x > y, 1/2 where they are
    equal, 0 where x < y: the Mann-Whitney U statistic over its greatest value. Scores are those where more is better.
    """
    tasks = []
    for x, y in zip(sample, other, strict=True):
        left, right = x[:, :, np.newaxis], y[:, np.newaxis, :]
        tasks.append(((left > right) + 0.5 * (left == right)).mean(axis=(1, 2)))
    return np.asarray(np.mean(tasks, axis=0), np.float64)


def difference_of_means(sample: Sample, other: Sample) -> Array:
    """Returns the mean over tasks of one arm's mean score less the other's, seeds of the two drawn independently.

    The interquartile mean leaves out half of the runs, and may so leave out tasks that one arm alone solves; here every
    run counts.
    """
    tasks = [x.mean(axis=1) - y.mean(axis=1) for x, y in zip(sample, other, strict=True)]
    return np.asarray(np.mean(tasks, axis=0), np.float64)


def performance_profile(thresholds: Array) -> Statistic:
    """Returns the statistic F(tau), (T,): mean over tasks of the share of runs that score above tau (section 4.2)."""

    def profile(sample: Sample) -> Array:
        shares = [(scores[..., np.newaxis] > thresholds).mean(axis=1) for scores in sample]
        return np.asarray(np.mean(shares, axis=0), np.float64)

    return profile


def area_under(steps: NDArray[np.int64], values: Array) -> float:
    """Returns the mean height of a curve: the area under it by the trapezoidal rule, over the length of the step axis.

    Args:
        steps: (K,), rising.
        values: (K,), such as success rates; the result then lies in [0, 1].
    """
    if len(steps) == 1:
        return float(values[0])
    return float(np.trapezoid(values, steps) / (steps[-1] - steps[0]))


def steps_to(steps: NDArray[np.int64], values: Array, level: float) -> float:
    """Returns the step of the first evaluation that reaches `level`; infinity if none does.

    Args:
        steps: (K,), rising.
        values: (K,).
        level: such as 0.5 of a success rate.
    """
    reached = np.flatnonzero(values >= level)
    return float(steps[reached[0]]) if len(reached) else float("inf")
