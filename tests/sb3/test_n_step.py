"""Returns of n steps, by hand."""

from __future__ import annotations

import numpy as np

from mvr_wrappers.sb3.n_step import n_step_returns


def test_sums_stop_at_ends_at_the_newest_row_and_go_on_over_the_last() -> None:
    rewards = 100 + np.arange(9, dtype=np.float32)[:, None]
    ends = np.isin(np.arange(9), [2, 5])[:, None]
    rows, envs = np.array([0, 1, 2, 3, 7, 8]), np.zeros(6, int)
    returns = n_step_returns(lambda row, env: rewards[row, env], ends, 1, rows, envs, n_steps=4, gamma=0.5)
    expected = [100 + 101 / 2, 101, 102, 103 + 104 / 2 + 105 / 4, 107 + 108 / 2 + 100 / 4 + 101 / 8]
    expected.append(108 + 100 / 2 + 101 / 4)
    np.testing.assert_allclose(returns.rewards, expected)
    np.testing.assert_array_equal(returns.last, [1, 1, 2, 5, 1, 1])
    np.testing.assert_allclose(returns.discounts, 0.5 ** np.array([2, 1, 1, 3, 4, 3]))
    assert returns.rewards.dtype == returns.discounts.dtype == np.float32


def test_envs_are_kept_apart() -> None:
    rewards = np.array([[1, 10], [2, 20], [3, 30], [4, 40]], np.float32)
    ends = np.array([[0, 0], [0, 1], [0, 0], [0, 0]], bool)
    returns = n_step_returns(lambda row, env: rewards[row, env], ends, 3, np.zeros(2, int), np.arange(2), 3, gamma=0.1)
    np.testing.assert_allclose(returns.rewards, [1.23, 12.0], rtol=1e-6)
