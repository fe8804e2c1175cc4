"""TorchRL's GymEnv and GymWrapper on our ids."""

from __future__ import annotations

import multiprocessing
from typing import Any

import gymnasium as gym
import numpy as np
import pytest

import mvr_wrappers  # noqa: F401 - registers the ids
from mvr_wrappers.errors import ConfigError, UnknownOptionError
from tests.support.conformance import FAST, IDS, METAWORLD_ACTIONS, need_packages

TERMS = ["task_reward", "vlm_reward", "shaping"]


@pytest.fixture
def torchrl() -> Any:
    """TorchRL, without the start method of processes that importing it sets for everybody."""
    before = multiprocessing.get_start_method(allow_none=True)
    module = pytest.importorskip("torchrl.envs", reason="pip install torchrl")
    multiprocessing.set_start_method(before, force=True)
    return module


@pytest.mark.parametrize("env_id", IDS)
@pytest.mark.filterwarnings(METAWORLD_ACTIONS)
def test_gym_env(torchrl: Any, env_id: str) -> None:
    need_packages(env_id)
    env = torchrl.GymEnv(env_id, device="cpu", **FAST)
    torchrl.check_env_specs(env, seed=0)
    rollout = env.rollout(60, break_when_any_done=False)
    assert rollout["next", "observation"].shape == (60, *env.observation_spec["observation"].shape)
    assert rollout["next", "done"].sum() >= 2
    engine = env.get_wrapper_attr("engine")
    assert engine.version >= 1
    env.close()
    assert engine.closed


def test_the_terms_of_the_reward_reach_the_tensordict(torchrl: Any) -> None:
    from torchrl.data import Unbounded

    class Reader(torchrl.default_info_dict_reader):  # type: ignore[misc]  # a class to whoever has TorchRL
        """TorchRL's own reader asks values for their dtype, which Python's numbers, as in our infos, do not have."""

        def __call__(self, info: dict[str, Any], tensordict: Any) -> Any:
            return super().__call__({key: np.asarray(info[key]) for key in TERMS if key in info}, tensordict)

    env = torchrl.GymWrapper(gym.make("MVR/Hopper-v5", **FAST))
    env.set_info_dict_reader(Reader(TERMS, spec=dict.fromkeys(TERMS, Unbounded(()))))
    rollout = env.rollout(60, break_when_any_done=False)["next"]
    assert rollout["shaping"].any()
    np.testing.assert_allclose(rollout["reward"][:, 0], rollout["task_reward"] + rollout["shaping"], rtol=1e-5)
    env.close()


def test_frame_skip(torchrl: Any) -> None:
    """GymEnv offers the env `frameskip=`, and repeats actions itself where a TypeError says that nobody takes it."""
    env = torchrl.GymEnv("MVR/Hopper-v5", device="cpu", frame_skip=2, **FAST)
    env.rollout(5)
    assert env.get_wrapper_attr("engine").metrics()["env_steps"] == 10
    env.close()


def test_an_unknown_option_is_a_type_error_and_a_config_error() -> None:
    with pytest.raises(UnknownOptionError, match=r"unexpected keyword argument 'frame_skp'") as caught:
        gym.make("MVR/Hopper-v5", frame_skp=2)
    assert isinstance(caught.value, TypeError) and isinstance(caught.value, ConfigError)
