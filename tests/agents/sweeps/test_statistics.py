"""Each statistic against a case computed by hand, and the intervals against enumeration and SciPy's."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import scipy.stats

from mvr_agents.sweeps.statistics import (
    area_under,
    difference_of_means,
    estimate,
    interquartile_mean,
    performance_profile,
    probability_of_improvement,
    steps_to,
)


def sample(*tasks: list[float]) -> list[np.ndarray]:
    return [np.array(scores, np.float64) for scores in tasks]


def test_the_interquartile_mean_leaves_out_a_quarter_of_all_runs_at_each_end() -> None:
    """Of 0 1 2 3 10 20 30 100, two runs fall at each end, whatever their task: (2 + 3 + 10 + 20) / 4."""
    assert estimate(interquartile_mean, sample([0, 100, 2, 10], [3, 30, 1, 20])).value == 35 / 4


def test_up_to_three_runs_it_is_the_mean() -> None:
    assert estimate(interquartile_mean, sample([1, 2, 9])).value == 4
    assert estimate(interquartile_mean, sample([1, 2, 9, 11])).value == 11 / 2


def test_the_probability_of_improvement_counts_pairs_within_tasks() -> None:
    """Task 1: of 4 pairs, 3 > 1, 3 > 2, 2 > 1 and 2 = 2 count 3.5. Task 2: none of 2 pairs. (3.5 / 4 + 0 / 2) / 2."""
    x, y = sample([2, 3], [0]), sample([1, 2], [5, 6])
    assert estimate(probability_of_improvement, x, y).value == 3.5 / 8
    assert estimate(probability_of_improvement, y, x).value == 4.5 / 8
    rng = np.random.default_rng(0)
    x, y = [rng.integers(9, size=7).astype(float)], [rng.integers(9, size=5).astype(float)]
    u = scipy.stats.mannwhitneyu(x[0], y[0]).statistic
    assert estimate(probability_of_improvement, x, y).value == pytest.approx(u / 35)


def test_the_difference_of_means_weighs_tasks_alike_and_leaves_out_no_run() -> None:
    """Task 1: 2.5 - 1.5; task 2: 0 - 6. (1 - 6) / 2. The interval is that of draws of both sides."""
    x, y = sample([2, 3], [0]), sample([1, 2], [5, 6, 7])
    assert estimate(difference_of_means, x, y).value == -2.5
    # The mean of a draw of x is 0, 1/2 and 1 in 1, 2 and 1 of 4 cases.
    found = estimate(difference_of_means, sample([0, 1]), sample([0, 0]), resamples=4_000)
    assert [float(number) for number in (found.value, found.low, found.high)] == [
        0.5,
        0.0,
        1.0,
    ]  # means of x: 0, 1/2 and 1 in 1, 2 and 1 of 4 draws


def test_runs_that_never_arrive_are_ties_and_beaten_by_all_others() -> None:
    never = -np.inf
    assert estimate(probability_of_improvement, sample([never, -10]), sample([never, never])).value == 0.75


def test_the_profile_is_the_share_of_runs_above_a_threshold_averaged_over_tasks() -> None:
    """Above 0.5: 1 of 2 and 1 of 4 runs; equal to it is not above."""
    profile = estimate(performance_profile(np.array([-1.0, 0.5, 1.0])), sample([0.5, 1.0], [0.0, 0.1, 0.5, 0.6]))
    assert profile.value.tolist() == [1.0, (1 / 2 + 1 / 4) / 2, 0.0]
    assert profile.low.shape == profile.high.shape == (3,)


def test_the_interval_is_that_of_all_equally_likely_draws() -> None:
    """Three runs give 27 draws; the percentile is the value at which their distribution passes 2.5% and 97.5%."""
    runs = np.array([0.0, 1.0, 5.0])
    means = np.sort([np.mean(draw) for draw in itertools.product(runs, repeat=3)])
    found = estimate(interquartile_mean, [runs], resamples=40_000)
    assert (found.low, found.high) == (means[0], means[-1]) == (0.0, 5.0)  # each 1/27 = 3.7% likely
    runs = np.array([0.0, 1.0, 5.0, 7.0, 8.0])
    draws = np.sort([np.mean(np.sort(draw)[1:4]) for draw in itertools.product(runs, repeat=5)])
    found = estimate(interquartile_mean, [runs], resamples=40_000)
    expected = np.quantile(draws, (0.025, 0.975), method="inverted_cdf")
    np.testing.assert_allclose((found.low, found.high), expected, atol=0.15)


def test_the_interval_agrees_with_scipy() -> None:
    runs = np.random.default_rng(3).normal(size=20)
    found = estimate(interquartile_mean, [runs], resamples=20_000)
    other = scipy.stats.bootstrap(
        (runs,), lambda x, axis: scipy.stats.trim_mean(x, 0.25, axis), method="percentile", n_resamples=20_000, rng=1
    )
    np.testing.assert_allclose((found.low, found.high), other.confidence_interval, atol=0.02)


def test_seeds_are_drawn_within_tasks() -> None:
    """Tasks differ, seeds do not: nothing is uncertain, though the scores of all runs are far apart."""
    found = estimate(interquartile_mean, sample([0.0, 0.0], [1.0, 1.0]))
    assert found.low == found.value == found.high == 0.5


def test_curves_are_estimated_at_every_step() -> None:
    curves = [np.array([[0.0, 1.0], [0.0, 3.0]])]
    found = estimate(interquartile_mean, curves)
    assert found.value.tolist() == [0.0, 2.0]
    assert (found.low.tolist(), found.high.tolist()) == ([0.0, 1.0], [0.0, 3.0])


def test_one_seed_gives_no_interval() -> None:
    found = estimate(interquartile_mean, sample([1.0, 2.0], [3.0]))
    assert found.value == 2 and np.isnan(found.low) and np.isnan(found.high)


def test_intervals_repeat_and_may_be_infinite() -> None:
    runs = sample([10.0, 20.0, np.inf])
    first, second = (estimate(interquartile_mean, runs) for _ in range(2))
    assert (first.low, first.high) == (second.low, second.high)
    assert first.value == np.inf and first.high == np.inf and first.low == 10.0


def test_the_area_is_the_mean_height_of_the_curve() -> None:
    """Trapezoids of 10 x 0.25 and 30 x 0.75 over 40 steps."""
    assert area_under(np.array([0, 10, 40]), np.array([0.0, 0.5, 1.0])) == (2.5 + 22.5) / 40
    assert area_under(np.array([7]), np.array([0.5])) == 0.5


def test_the_level_is_reached_at_the_first_evaluation_at_or_above_it() -> None:
    steps = np.array([0, 10, 20, 30])
    assert steps_to(steps, np.array([0.0, 0.5, 0.2, 1.0]), 0.5) == 10
    assert steps_to(steps, np.array([0.0, 0.4, 0.2, 0.1]), 0.5) == np.inf
