"""Evaluation sums the task's reward over whole episodes and starts them where it is told."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
import pytest

from mvr_agents.runs.evaluate import evaluate
from mvr_wrappers.errors import ConfigError


class CountingEnv(gym.Env[Any, Any]):
    """Pays its step number; an episode seeded s lasts s steps and is solved at step `solved_at` alone."""

    observation_space = gym.spaces.Box(0, 1, (1,))
    action_space = gym.spaces.Box(0, 1, (1,))

    def __init__(self, solved_at: int | None = None, truncates: bool = False) -> None:
        self.solved_at, self.truncates = solved_at, truncates

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        super().reset(seed=seed)
        assert seed is not None
        self.length, self.t = seed, 0
        return np.zeros(1, np.float32), {}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        self.t += 1
        over = self.t >= self.length
        info = {} if self.solved_at is None else {"is_success": self.t == self.solved_at}
        return np.zeros(1, np.float32), float(self.t), over and not self.truncates, over and self.truncates, info


def act(observation: Any) -> Any:
    return np.zeros(1, np.float32)


@pytest.mark.parametrize("truncates", [False, True])
def test_returns_and_lengths_are_those_of_whole_episodes(truncates: bool) -> None:
    result = evaluate(CountingEnv(truncates=truncates), act, episodes=3, seed=2)
    assert result.lengths.tolist() == [2, 3, 4]
    assert result.returns.tolist() == [1 + 2, 1 + 2 + 3, 1 + 2 + 3 + 4]
    assert result.mean_return == pytest.approx(19 / 3)


def test_an_episode_is_solved_if_it_was_at_any_step() -> None:
    result = evaluate(CountingEnv(solved_at=3), act, episodes=3, seed=2)
    assert result.successes is not None and result.successes.tolist() == [False, True, True]
    assert result.success_rate == pytest.approx(2 / 3)


def test_success_is_unknown_where_the_env_does_not_say() -> None:
    result = evaluate(CountingEnv(), act, episodes=1, seed=1)
    assert result.successes is None and np.isnan(result.success_rate)


def test_no_episodes_is_an_error() -> None:
    with pytest.raises(ConfigError, match="at least 1"):
        evaluate(CountingEnv(), act, episodes=0)
