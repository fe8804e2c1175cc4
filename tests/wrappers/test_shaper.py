"""TransitionShaper, driven by hand: whose term a row gets, and what an episode adds up to."""

from __future__ import annotations

import numpy as np
import pytest

from mvr_wrappers import EngineGroup
from mvr_wrappers.wrappers.routing import EnginePerEnv
from mvr_wrappers.wrappers.shaper import TransitionShaper
from tests.support.tiny_task import learned_engine

NOWHERE = np.zeros(2, np.bool_)


def two_envs() -> TransitionShaper:
    group = EngineGroup([learned_engine()])
    shaper = TransitionShaper(EnginePerEnv(group, [None, None]), n_envs=2)
    shaper.begin(np.zeros((2, 4), np.float32))
    return shaper


@pytest.mark.parametrize("rule", ["additive", "potential"])
def test_each_row_is_shaped_by_its_engine(rule: str, rng: np.random.Generator) -> None:
    strong, weak = learned_engine(rule, weight=0.5), learned_engine(rule, weight=0.1)
    weak.prompt = "something"
    states, following = rng.normal(size=(2, 5, 4)).astype(np.float32)
    over = np.array([False, True, False, False, True])
    engines = [strong, weak, strong, weak, weak]
    shaper = TransitionShaper(EnginePerEnv(EngineGroup([strong, weak]), [each.prompt for each in engines]), n_envs=5)
    shaper.begin(states)
    step = shaper.step(np.arange(5.0), following, over)
    for i, which in enumerate(engines):
        row = slice(i, i + 1)
        term = which.shape(states[row], following[row], over[row])
        np.testing.assert_allclose(step.shaping[row], term, rtol=1e-5)
        np.testing.assert_allclose(step.vlm_rewards[row], which.vlm_reward(states[row]), rtol=1e-5)
        np.testing.assert_allclose(step.rewards[row], i + term, rtol=1e-5)
    assert step.shaping.dtype == step.vlm_rewards.dtype == np.float32


def test_success_counts_at_any_step_and_not_at_the_last_alone() -> None:
    shaper = two_envs()
    states, rewards = np.zeros((2, 4), np.float32), np.zeros(2)
    for success in ([True, False], [False, False], [False, True]):
        shaper.step(rewards, states, NOWHERE, np.array(success))
    both = np.array([True, True])
    np.testing.assert_array_equal(shaper.finish(both)["success"], [True, True])
    shaper.step(rewards, states, NOWHERE, NOWHERE)  # of the next episode
    np.testing.assert_array_equal(shaper.finish(both)["success"], [False, False])


def test_totals_are_those_of_the_episodes_that_ended() -> None:
    shaper = two_envs()
    states = np.ones((2, 4), np.float32)
    first = shaper.step(np.array([1.0, 10.0]), states, NOWHERE)
    totals = shaper.finish(np.array([True, False]))
    assert totals["task_return"].tolist() == [1.0, 10.0] and totals["length"].tolist() == [1, 1]
    second = shaper.step(np.array([2.0, 20.0]), states, NOWHERE, stepped=np.array([False, True]))
    totals = shaper.finish(np.array([True, True]))
    assert totals["length"].tolist() == [0, 2] and "success" not in totals
    assert totals["vlm_return"].tolist() == [0.0, float(first.vlm_rewards[1]) + float(second.vlm_rewards[1])]
    assert second.shaping[0] == 0 and second.shaping[1] != 0
