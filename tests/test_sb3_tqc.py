"""The agent has the published hyper-parameters, and acts alike after it was saved and loaded."""

from __future__ import annotations

from pathlib import Path

import gymnasium as gym
import numpy as np
import pytest
import torch
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.vec_env import VecEnv

from mvr_agents import sb3_tqc
from mvr_wrappers.errors import ConfigError, ScorerError
from mvr_wrappers.registry import get_task


def pendulums() -> VecEnv:
    return make_vec_env(lambda: gym.make("Pendulum-v1"), n_envs=2, seed=0)


def test_hyper_parameters_are_the_published_ones() -> None:
    agent = sb3_tqc.make(pendulums(), get_task("hammer-v3").agent, seed=0, device="cpu")
    assert (agent.batch_size, agent.buffer_size, agent.learning_starts) == (256, 1_000_000 // 2 * 2, 10_000)
    assert (agent.tau, agent.gamma, agent.gradient_steps, agent.train_freq.frequency) == (0.005, 0.99, 16, 8)
    assert agent.top_quantiles_to_drop_per_net == 5 and agent.use_sde and agent.sde_sample_freq == 4
    assert agent.ent_coef == "auto"
    assert agent.lr_schedule(1.0) == 6e-4
    np.testing.assert_allclose(agent.lr_schedule(0.5), (6e-4 + 5e-5) / 2)
    np.testing.assert_allclose(agent.lr_schedule(0.0), 5e-5)
    for network in (agent.actor.latent_pi, *agent.critic.q_networks):
        layers = [layer for layer in network if isinstance(layer, torch.nn.Linear)]
        assert [layer.out_features for layer in layers[:3]] == [256, 256, 256]
        assert any(isinstance(layer, torch.nn.ReLU) for layer in network)
    assert len(agent.critic.q_networks) == 2
    assert agent.critic.quantiles_total == 2 * 50


def test_a_loaded_agent_acts_like_the_saved_one(tmp_path: Path) -> None:
    venv = pendulums()
    settings = {**get_task("hammer-v3").agent, "buffer_size": 100, "net_arch": [8]}
    agent = sb3_tqc.make(venv, settings, seed=0, device="cpu")
    agent.save(tmp_path / "model.zip")
    loaded = sb3_tqc.load(tmp_path / "model.zip", device="cpu")
    observation = venv.reset()
    expected, _ = agent.predict(observation, deterministic=True)
    np.testing.assert_array_equal(loaded.predict(observation, deterministic=True)[0], expected)


def test_settings_that_cannot_work_are_refused() -> None:
    settings = get_task("hammer-v3").agent
    with pytest.raises(ConfigError, match="50 of 50 quantiles"):
        sb3_tqc.make(pendulums(), {**settings, "top_quantiles_to_drop_per_net": 50}, seed=0)
    if not torch.cuda.is_available():
        with pytest.raises(ScorerError, match="cuda"):
            sb3_tqc.make(pendulums(), settings, seed=0, device="cuda")
