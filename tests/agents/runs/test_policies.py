"""Each policy that can be named acts, and the names that cannot are refused."""

from __future__ import annotations

import gymnasium as gym
import numpy as np
import pytest

import tests.support.tiny_task  # noqa: F401  registers MVR/tiny
from mvr_agents.runs.evaluate import evaluate
from mvr_agents.runs.policies import make_policy, random_policy
from mvr_wrappers.envs.task_env import make_task_env
from mvr_wrappers.errors import ConfigError
from mvr_wrappers.tasks.registry import get_task
from tests.support.tiny_env import TinyEnv


def test_the_random_policy_repeats_for_its_seed_and_leaves_the_space_alone() -> None:
    space = gym.spaces.Box(-1, 1, (2,), seed=0)
    untouched = gym.spaces.Box(-1, 1, (2,), seed=0)
    first, second, third = (random_policy(space, seed) for seed in (1, 1, 2))
    actions = [policy(np.zeros(4)) for policy in (first, second, third)]
    np.testing.assert_array_equal(actions[0], actions[1])
    assert not np.array_equal(actions[0], actions[2])
    np.testing.assert_array_equal(space.sample(), untouched.sample())


def test_the_scripted_policy_closes_the_window() -> None:
    spec = get_task("window-close-v3")
    env = make_task_env(spec, max_episode_steps=200)
    policy = make_policy("scripted", spec, env, seed=0)
    result = evaluate(env, policy, episodes=1)
    assert result.success_rate == 1
    env.close()


def test_policies_that_cannot_be_are_refused() -> None:
    spec = get_task("tiny")
    env = TinyEnv()
    with pytest.raises(ConfigError, match="tiny has no scripted policy"):
        make_policy("scripted", spec, env, seed=0)
    with pytest.raises(ConfigError, match="there is no policy 'randm'"):
        make_policy("randm", spec, env, seed=0)
    with pytest.raises(ConfigError, match="not a run directory"):
        make_policy("tests", spec, env, seed=0)
