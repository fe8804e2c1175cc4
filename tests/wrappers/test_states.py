"""Observations of any space become the same states in every kind of vector."""

from __future__ import annotations

import functools
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.vector import AsyncVectorEnv, AutoresetMode, SyncVectorEnv

from mvr_wrappers import FilmedEnv, MultiViewVLMRewardVectorWrapper, MultiViewVLMRewardWrapper
from mvr_wrappers.errors import EnvError
from mvr_wrappers.wrappers.states import StateReader
from tests.support.marks import may_fork
from tests.support.tiny_env import TinyEnv
from tests.support.tiny_task import CLIP, learned_engine


class Keyed(gym.ObservationWrapper[Any, Any, Any]):
    """The tiny env's state among other things: a scalar and a choice in a Dict of their own, and a picture."""

    def __init__(self) -> None:
        super().__init__(TinyEnv(7))
        number, picture = gym.spaces.Box(-np.inf, np.inf, (), np.float64), gym.spaces.Box(0, 255, (2, 2, 3), np.uint8)
        part = gym.spaces.Dict(number=number, choice=gym.spaces.Discrete(3))
        self.observation_space = gym.spaces.Dict(ball=self.env.observation_space, part=part, picture=picture)

    def observation(self, observation: Any) -> dict[str, Any]:
        part = {"number": np.array(observation[0]), "choice": 1}
        return {"ball": observation, "part": part, "picture": np.full((2, 2, 3), 7, np.uint8)}


def ball(observation: dict[str, Any]) -> Any:
    return observation["ball"]


def make(state_fn: Any = ball) -> FilmedEnv:
    return FilmedEnv(Keyed(), clip={**CLIP, "image_size": 16}, state_fn=state_fn)


def action(step: int) -> Any:
    return np.full(2, np.sin(step), np.float32)


def test_batches_are_read_as_single_observations_are() -> None:
    space = Keyed().observation_space
    flat: Any = functools.partial(gym.spaces.utils.flatten, space)
    observations = [Keyed().observation(np.arange(4.0) + i) for i in range(3)]
    empty: Any = gym.vector.utils.create_empty_array(space, n=3, fn=np.zeros)
    batch: Any = gym.vector.utils.concatenate(space, observations, empty)
    states = StateReader(space, flat).batch(batch, 3)
    assert states.shape == (3, 20) and states.dtype == np.float32
    np.testing.assert_array_equal(states, [flat(observation).astype(np.float32) for observation in observations])


@may_fork
@pytest.mark.parametrize("kind", [SyncVectorEnv, AsyncVectorEnv])
@pytest.mark.parametrize("mode", list(AutoresetMode))
def test_a_vector_shapes_as_one_env_does(kind: Any, mode: AutoresetMode) -> None:
    one = MultiViewVLMRewardWrapper(make(), engine=learned_engine())
    one.reset(seed=0)
    expected = [one.step(action(step))[4]["shaping"] for step in range(7)]
    venv = MultiViewVLMRewardVectorWrapper(
        kind([make] * 2, autoreset_mode=mode), engine=learned_engine(), state_fn=ball
    )
    venv.reset(seed=[0, 4])
    shaped = [venv.step(np.stack([action(step)] * 2))[4]["shaping"][0] for step in range(7)]
    np.testing.assert_allclose(shaped, expected, rtol=1e-6)
    assert np.ptp(expected) > 0
    venv.close()


def test_sub_envs_must_film_states_of_the_same_size() -> None:
    venv = SyncVectorEnv([functools.partial(make, lambda observation: observation["ball"][:3])] * 2)
    with pytest.raises(EnvError, match=r"film states of 3 numbers, and here states have 4.*same state_fn"):
        MultiViewVLMRewardVectorWrapper(venv, engine=learned_engine(), state_fn=ball)


def test_so_must_those_of_sb3() -> None:
    vec_env = pytest.importorskip("stable_baselines3.common.vec_env")
    from mvr_wrappers.sb3 import MultiViewVLMRewardVecEnv

    outside = vec_env.DummyVecEnv([lambda: gym.wrappers.FlattenObservation(make())])
    with pytest.raises(EnvError, match=r"film states of 4 numbers, and here states have 20.*outside wrappers"):
        MultiViewVLMRewardVecEnv(outside, engine=learned_engine())
