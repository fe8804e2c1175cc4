"""The agent has the published hyper-parameters, and acts alike after it was saved and loaded."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from mvr_agents.learners import sb3_tqc
from mvr_wrappers.errors import ConfigError, ScorerError
from mvr_wrappers.sb3 import RelabelReplayBuffer, RewardLogger, make_vec_env
from mvr_wrappers.tasks.registry import get_task
from tests.support.pendulums import pendulums
from tests.support.tiny_task import learned_engine


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
    settings: Any = {**get_task("hammer-v3").agent, "buffer_size": 100, "net_arch": [8]}
    agent = sb3_tqc.make(venv, settings, seed=0, device="cpu")
    agent.save(tmp_path / "model.zip")
    loaded = sb3_tqc.load(tmp_path / "model.zip", device="cpu", trust=True)
    observation = venv.reset()
    expected, _ = agent.predict(observation, deterministic=True)
    np.testing.assert_array_equal(loaded.predict(observation, deterministic=True)[0], expected)


@pytest.mark.parametrize("shaping", [True, False])
def test_returns_of_several_steps_are_learned_from(shaping: bool) -> None:
    settings: Any = {
        **get_task("hammer-v3").agent,
        "batch_size": 8,
        "buffer_size": 100,
        "net_arch": [8],
        "n_steps": 3,
        "learning_starts": 20,
        "train_freq": 1,
    }
    venv = make_vec_env("MVR/tiny", n_envs=2, shaping=shaping, engine=learned_engine())
    agent = sb3_tqc.make(venv, settings, seed=0, device="cpu").learn(40, RewardLogger() if shaping else None)
    assert isinstance(agent.replay_buffer, RelabelReplayBuffer) == shaping
    assert agent.replay_buffer.n_steps == 3 and agent.replay_buffer.gamma == 0.99
    discounts = agent.replay_buffer.sample(64).discounts
    assert discounts is not None and discounts.min() < 0.99**2 + 1e-6


def test_the_entropy_coefficient_may_have_a_constant_learning_rate(tmp_path: Path) -> None:
    small: Any = {"batch_size": 8, "buffer_size": 100, "net_arch": [8], "learning_starts": 8, "train_freq": 1}
    settings: Any = {**get_task("hammer-v3").agent, **small, "gradient_steps": 1, "ent_coef_lr": 2e-3}
    agent = sb3_tqc.make(pendulums(), settings, seed=0, device="cpu").learn(20)
    rates = [o.param_groups[0]["lr"] for o in (agent.ent_coef_optimizer, agent.actor.optimizer)]
    assert rates[0] == 2e-3 and rates[1] == pytest.approx(5e-5)
    agent.save(tmp_path / "model.zip")
    assert sb3_tqc.load(tmp_path / "model.zip", device="cpu", trust=True).ent_coef_lr == 2e-3


def test_gsde_begins_as_the_settings_say() -> None:
    settings: Any = {**get_task("hammer-v3").agent, "net_arch": [8], "log_std_init": -1.0, "clip_mean": 0.5}
    agent = sb3_tqc.make(pendulums(), settings, seed=0, device="cpu")
    np.testing.assert_allclose(agent.actor.get_std().detach(), np.exp(-1.0), rtol=1e-6)
    assert agent.actor.clip_mean == 0.5


def test_repeated_noise_is_left_out_with_a_warning() -> None:
    settings: Any = {**get_task("hammer-v3").agent, "use_sde": False, "noise_repeat": 4}
    with pytest.warns(UserWarning, match="repeats no noise"):
        sb3_tqc.make(pendulums(), settings, seed=0, device="cpu")


def test_layer_norm_is_left_out_with_a_warning() -> None:
    with pytest.warns(UserWarning, match="has no layer norm"):
        sb3_tqc.make(pendulums(), {**get_task("hammer-v3").agent, "layer_norm": True}, seed=0, device="cpu")


def test_settings_that_cannot_work_are_refused() -> None:
    settings = get_task("hammer-v3").agent
    with pytest.raises(ConfigError, match="50 of 50 quantiles"):
        sb3_tqc.make(pendulums(), {**settings, "top_quantiles_to_drop_per_net": 50}, seed=0)
    if not torch.cuda.is_available():
        with pytest.raises(ScorerError, match="cuda"):
            sb3_tqc.make(pendulums(), settings, seed=0, device="cuda")
