"""The JAX learner has the published hyper-parameters, and acts alike after it was saved and loaded."""

from __future__ import annotations

import sys
import types
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("jax")

from stable_baselines3.common.type_aliases import TrainFreq, TrainFrequencyUnit

from mvr_agents.learners import LEARNERS, jax_tqc, learner
from mvr_agents.tqc.policy import TQCPolicy
from mvr_agents.tqc.replay import DeviceReplayBuffer
from mvr_wrappers.errors import ConfigError
from mvr_wrappers.sb3 import make_vec_env
from mvr_wrappers.tasks.registry import get_task
from tests.support.known import of_type, present
from tests.support.pendulums import pendulums
from tests.support.tiny_task import learned_engine, publish

SMALL: dict[str, Any] = {"buffer_size": 100, "batch_size": 8, "net_arch": [8]}


def settings(**changes: Any) -> Any:
    return {**get_task("hammer-v3").agent, **SMALL, **changes}


def test_hyper_parameters_are_the_published_ones() -> None:
    agent = jax_tqc.make(pendulums(), get_task("hammer-v3").agent, seed=0, device="cpu")
    assert (agent.batch_size, agent.buffer_size, agent.learning_starts) == (256, 1_000_000, 10_000)
    assert (agent.tau, agent.gamma, agent.gradient_steps) == (0.005, 0.99, 16)
    assert of_type(TrainFreq, agent.train_freq) == (8, TrainFrequencyUnit.STEP)
    assert agent.top_quantiles_to_drop_per_net == 5 and agent.ent_coef == "auto"
    assert agent.use_sde and agent.sde_sample_freq == 4 and agent.policy.spec.actor.use_sde
    assert agent.lr_schedule(1.0) == 6e-4
    np.testing.assert_allclose(agent.lr_schedule(0.5), (6e-4 + 5e-5) / 2)
    np.testing.assert_allclose(agent.lr_schedule(0.0), 5e-5)
    options = agent.policy.options
    assert (options.net_arch, options.n_critics, options.n_quantiles) == ([256, 256, 256], 2, 50)
    assert not options.layer_norm
    assert (options.log_std_init, options.clip_mean) == (-3.0, 2.0)
    assert (agent.noise_repeat, agent.ent_coef_lr) == (1, None)


def test_exploration_is_what_the_settings_say() -> None:
    asked: Any = {"use_sde": False, "noise_repeat": 4, "ent_coef_lr": 6e-4, "log_std_init": -1.0, "clip_mean": 0.5}
    agent = jax_tqc.make(pendulums(), settings(**asked), seed=0, device="cpu")
    assert (agent.noise_repeat, agent.ent_coef_lr, agent.policy.noise_repeat) == (4, 6e-4, 4)
    assert not agent.policy.spec.actor.use_sde
    agent = jax_tqc.make(pendulums(), settings(**asked | {"use_sde": True, "noise_repeat": 1}), seed=0, device="cpu")
    np.testing.assert_allclose(agent.policy.get_std(), np.exp(-1.0), rtol=1e-6)
    assert agent.policy.spec.actor.clip_mean == 0.5
    with pytest.raises(ConfigError, match="set sde_sample_freq"):
        jax_tqc.make(pendulums(), settings(noise_repeat=4), seed=0, device="cpu")


def test_layer_norm_and_returns_of_several_steps_are_passed_on() -> None:
    settings: Any = {**get_task("hammer-v3").agent, **SMALL, "layer_norm": True, "n_steps": 3}
    agent = jax_tqc.make(pendulums(), settings, seed=0, device="cpu")
    assert "LayerNorm_0" in str(agent.policy.state_dict().keys())
    assert agent.n_steps == 3 and present(agent.replay_buffer).n_steps == 3


def test_a_loaded_agent_acts_like_the_saved_one(tmp_path: Path) -> None:
    venv = pendulums()
    settings: Any = {**get_task("hammer-v3").agent, **SMALL}
    agent = jax_tqc.make(venv, settings, seed=0, device="cpu")
    agent.save(tmp_path / "model.zip")
    loaded = jax_tqc.load(tmp_path / "model.zip", device="cpu")
    observation: Any = venv.reset()
    expected, _ = agent.predict(observation, deterministic=True)
    np.testing.assert_array_equal(loaded.predict(observation, deterministic=True)[0], expected)


def test_files_name_no_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Classes are pickled by reference, and the modules of older versions lay elsewhere."""
    agent = jax_tqc.make(pendulums(), settings(), seed=0, device="cpu")
    former = types.ModuleType("mvr_agents.former")
    for name, kind in (("policy_class", TQCPolicy), ("replay_buffer_class", DeviceReplayBuffer)):
        moved = type(kind.__name__, (kind,), {"__module__": former.__name__})
        setattr(former, kind.__name__, moved)
        setattr(agent, name, moved)
    monkeypatch.setitem(sys.modules, former.__name__, former)
    agent.save(tmp_path / "model.zip")
    monkeypatch.delitem(sys.modules, former.__name__)
    assert type(jax_tqc.load(tmp_path / "model.zip", device="cpu").policy) is TQCPolicy


def test_losses_are_those_of_the_last_training() -> None:
    agent = jax_tqc.make(pendulums(), settings(), seed=0, device="cpu")
    assert jax_tqc.losses(agent) == {}
    agent.learning_starts = 16
    agent.learn(34)
    assert set(jax_tqc.losses(agent)) == {"actor_loss", "critic_loss", "ent_coef", "ent_coef_loss"}
    assert np.isfinite(list(jax_tqc.losses(agent).values())).all()


def test_settings_that_cannot_work_are_refused() -> None:
    settings = get_task("hammer-v3").agent
    with pytest.raises(ConfigError, match="50 of 50 quantiles"):
        jax_tqc.make(pendulums(), {**settings, "top_quantiles_to_drop_per_net": 50}, seed=0)
    with pytest.raises(ConfigError, match="unknown device 'abacus'"):
        jax_tqc.make(pendulums(), settings, seed=0, device="abacus")


def shaping_of(buffer: Any) -> np.ndarray:
    """Returns the shaping of all stored transitions, as the next batch would have it."""
    buffer.sample(1)
    return np.array(buffer.storage.shaping if isinstance(buffer, DeviceReplayBuffer) else buffer.shaping)


@pytest.mark.parametrize("name", LEARNERS)
@pytest.mark.parametrize("relabel", [True, False])
def test_every_learner_relabels_unless_told_not_to(name: str, relabel: bool) -> None:
    from mvr_wrappers.sb3 import RewardLogger
    from mvr_wrappers.wrappers.relabelling import FollowsEngine

    venv = make_vec_env("MVR/tiny", n_envs=2, engine=learned_engine(relabel=relabel))
    settings: Any = {**get_task("tiny").agent, **SMALL, "learning_starts": 100}
    module = learner(name)
    agent = module.make(venv, settings, seed=0, device="cpu")
    agent.learn(8, callback=RewardLogger())
    module.wait(agent)
    buffer: Any = agent.replay_buffer
    assert isinstance(buffer, FollowsEngine) and buffer.engine is venv.engine
    before = shaping_of(buffer)
    publish(venv.engine)
    assert np.array_equal(shaping_of(buffer), before) is not relabel
