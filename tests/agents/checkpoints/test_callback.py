"""CheckpointCallback in scripts of Stable-Baselines3: any algorithm, shaped or not, normalised, of several prompts."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from stable_baselines3 import PPO, SAC
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.callbacks import BaseCallback, CallbackList
from stable_baselines3.common.vec_env import DummyVecEnv, VecEnv, VecNormalize

import tests.support.tiny_task  # noqa: F401  registers MVR/tiny
from mvr_agents.checkpoints.callback import CheckpointCallback
from mvr_wrappers import MultiViewVLMRewardWrapper
from mvr_wrappers.errors import ConfigError
from mvr_wrappers.sb3 import MultiViewVLMRewardVecEnv, RelabelReplayBuffer, RewardLogger, make_vec_env
from tests.support.fake_scorer import FakeScorer
from tests.support.tiny_env import TinyEnv

Make = Callable[[], BaseAlgorithm]
STEPS = 160
TINY = {"clip": {"image_size": 32}, "device": "cpu"}


class Kill(BaseException):
    """Stands for SIGKILL."""


class KillAt(BaseCallback):
    """Ends a training."""

    def __init__(self, step: int) -> None:
        super().__init__()
        self.step = step

    def _on_step(self) -> bool:
        if self.num_timesteps >= self.step:
            raise Kill
        return True


def small_sac(venv: VecEnv, **options: Any) -> SAC:
    return SAC(
        *("MlpPolicy", venv),
        seed=3,
        learning_starts=32,
        train_freq=4,
        batch_size=16,
        buffer_size=200,
        policy_kwargs={"net_arch": [8]},
        replay_buffer_class=RelabelReplayBuffer,
        device="cpu",
        **options,
    )


def sac() -> BaseAlgorithm:
    venv = VecNormalize(make_vec_env("tiny", n_envs=2, seed=3, env_kwargs=TINY))
    return small_sac(venv, use_sde=True, replay_buffer_kwargs={"n_steps": 3})


def ppo() -> BaseAlgorithm:
    venv = make_vec_env("tiny", n_envs=2, seed=3, env_kwargs=TINY)
    return PPO("MlpPolicy", venv, n_steps=16, batch_size=16, n_epochs=2, seed=3, use_sde=True, device="cpu")


def several_prompts() -> BaseAlgorithm:
    films = make_vec_env("tiny", n_envs=2, seed=3, env_kwargs=TINY)
    assert isinstance(films, MultiViewVLMRewardVecEnv)
    prompts = ["a ball rolling to the red pillar", "a ball lying still"]
    options: dict[str, Any] = {"schedule": {"score_every": 20, "update_every": 40}, "relevance": {"max_steps": 5}}
    both = MultiViewVLMRewardVecEnv(films.venv, prompts, scorer=FakeScorer(), seed=3, device="cpu", **options)
    return small_sac(both)


def single_wrappers() -> BaseAlgorithm:
    def make(seed: int) -> Callable[[], Any]:
        options: dict[str, Any] = {"schedule": {"score_every": 20, "update_every": 40}, "relevance": {"max_steps": 5}}
        env = TinyEnv()
        return lambda: MultiViewVLMRewardWrapper(env, "a ball", scorer=FakeScorer(), seed=seed, device="cpu", **options)

    return PPO(
        "MlpPolicy", DummyVecEnv([make(1), make(2)]), n_steps=16, batch_size=16, n_epochs=2, seed=3, device="cpu"
    )


def learn(make: Make, folder: Path, kill: int | None = None) -> BaseAlgorithm:
    """What the script of a user does: the same words, whether or not it was killed before."""
    model, checkpoints = make(), CheckpointCallback(folder, every=40)
    done = checkpoints.resume(model)
    callbacks = [RewardLogger(), checkpoints, *([] if kill is None else [KillAt(kill)])]
    try:
        model.learn(STEPS - done, callback=CallbackList(callbacks), reset_num_timesteps=not done)
    except Kill:
        pass
    finally:
        assert model.env is not None
        model.env.close()
    return model


def tensors(model: BaseAlgorithm) -> dict[str, Any]:
    return {name: value.numpy() for name, value in model.policy.state_dict().items()}


@pytest.mark.parametrize("make", [sac, ppo, several_prompts, single_wrappers])
def test_a_script_goes_on_exactly(make: Make, tmp_path: Path) -> None:
    whole = learn(make, tmp_path / "whole")
    for kill in (70, 130):
        learn(make, tmp_path / "killed", kill)
    resumed = learn(make, tmp_path / "killed")
    assert resumed.num_timesteps == whole.num_timesteps >= STEPS
    one, other = tensors(whole), tensors(resumed)
    assert one.keys() == other.keys()
    for name, value in one.items():
        np.testing.assert_array_equal(value, other[name], err_msg=name)


def test_a_checkpoint_of_another_agent_is_refused(tmp_path: Path) -> None:
    learn(ppo, tmp_path, 70)
    other = sac()
    with pytest.raises(ConfigError, match=r"is of stable_baselines3.ppo.ppo.PPO, and this agent is .*SAC"):
        CheckpointCallback(tmp_path, every=40).resume(other)
    close(other.env)


def test_a_negative_interval_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="every is -1"):
        CheckpointCallback(tmp_path, every=-1)


def close(env: VecEnv | None) -> None:
    assert env is not None
    env.close()
