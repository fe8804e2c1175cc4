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


def test_success_at_the_last_step_is_told_apart() -> None:
    """An episode seeded s ends with step s: solved at step 3 means solved at the last step for s = 3 alone."""
    result = evaluate(CountingEnv(solved_at=3), act, episodes=3, seed=2)
    assert result.last_successes is not None and result.last_successes.tolist() == [False, True, False]
    assert result.last_success_rate == pytest.approx(1 / 3)


def test_several_envs_play_in_turn() -> None:
    envs = [CountingEnv(), CountingEnv(), CountingEnv()]
    seeds: list[list[int | None]] = [[], [], []]
    for env, seen in zip(envs, seeds, strict=True):
        reset = env.reset
        env.reset = lambda reset=reset, seen=seen, **words: (seen.append(words["seed"]), reset(**words))[1]  # type: ignore[method-assign]
    assert evaluate(envs, act, episodes=5, seed=2).lengths.tolist() == [2, 3, 4, 5, 6]
    assert seeds == [[2, 5], [3, 6], [4]]


def test_success_is_unknown_where_the_env_does_not_say() -> None:
    result = evaluate(CountingEnv(), act, episodes=1, seed=1)
    assert result.successes is result.last_successes is None
    assert np.isnan([result.success_rate, result.last_success_rate]).all()


def test_no_episodes_is_an_error() -> None:
    with pytest.raises(ConfigError, match="at least 1"):
        evaluate(CountingEnv(), act, episodes=0)
