"""One whole update of the JAX TQC equals `TQC.train(1)` of sb3-contrib: same weights, batch and noise."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import pytest

pytest.importorskip("jax")
pytest.importorskip("sb3_contrib")

import gymnasium as gym
import jax
import sb3_contrib
import torch as th
from stable_baselines3.common.logger import configure
from stable_baselines3.common.type_aliases import ReplayBufferSamples

import mvr_agents
from mvr_agents.tqc.distributions import noise_shape
from mvr_agents.tqc.update import Batch, Hyper, TrainState, update
from tests.support.sb3_tqc_weights import weights_of

B, D, A = 64, 17, 6
LEARNING_RATE = {th.optim.Adam: 1e-3, th.optim.SGD: 0.1}  # Adam's first step shows signs alone, that of SGD sizes


class Still(gym.Env[Any, Any]):
    """An env for the sake of its spaces."""

    observation_space = gym.spaces.Box(-np.inf, np.inf, (D,), np.float32)
    action_space = gym.spaces.Box(-1.0, 1.0, (A,), np.float32)


@pytest.fixture
def batch(rng: np.random.Generator) -> Batch:
    arrays: dict[str, Any] = dict(
        observations=rng.normal(size=(B, D)).astype(np.float32),
        actions=rng.uniform(-1, 1, size=(B, A)).astype(np.float32),
        rewards=rng.normal(size=B).astype(np.float32),
        next_observations=rng.normal(size=(B, D)).astype(np.float32),
        discounts=np.where(rng.random(B) < 0.3, 0.0, 0.97).astype(np.float32),
    )
    return Batch(**arrays)


def agents(use_sde: bool, optimizer: Any) -> tuple[sb3_contrib.TQC, mvr_agents.TQC]:
    """Makes both agents, with three critics and the same weights."""
    networks = {"net_arch": [32, 32], "n_critics": 3, "n_quantiles": 25, "optimizer_class": optimizer}
    arguments = {"learning_rate": LEARNING_RATE[optimizer], "use_sde": use_sde, "tau": 0.1, "ent_coef": "auto_0.3"}
    theirs, ours = (
        module.TQC("MlpPolicy", Still(), policy_kwargs=dict(networks), seed=0, device="cpu", **arguments)
        for module in (sb3_contrib, mvr_agents)
    )
    with th.no_grad():  # as targets are after some updates
        for parameter in theirs.critic_target.parameters():
            parameter.add_(0.05 * th.randn_like(parameter))
    ours.policy.train_state = ours.policy.train_state._replace(**weights_of(theirs))
    return theirs, ours


def train(agent: sb3_contrib.TQC, batch: Batch, noises: list[np.ndarray], monkeypatch: pytest.MonkeyPatch) -> None:
    """Lets sb3-contrib's agent take one gradient step on `batch`, each standard normal draw taken from `noises`."""
    columns = [batch.rewards[:, None], batch.discounts[:, None]]
    dones = (columns[1] == 0.0).astype(np.float32)
    parts = (batch.observations, batch.actions, batch.next_observations, dones, *columns)
    samples = ReplayBufferSamples(*map(th.tensor, parts))
    monkeypatch.setattr(agent.replay_buffer, "sample", lambda batch_size, env: samples)
    queue = iter(noises)

    def standard_normal(shape: Any, dtype: Any, device: Any) -> th.Tensor:
        return th.tensor(next(queue)).reshape(shape)

    monkeypatch.setattr(th.distributions.normal, "_standard_normal", standard_normal)
    agent.set_logger(configure(None, []))
    agent.train(gradient_steps=1, batch_size=B)
    assert next(queue, None) is None


def noise_of(state: TrainState, shape: tuple[int, int], use_sde: bool) -> list[np.ndarray]:
    """Returns what our update draws, in the order in which sb3-contrib's draws it."""
    _, now_key, next_key, *_ = jax.random.split(state.key, 6)
    now, following = (np.array(jax.random.normal(key, shape)) for key in (now_key, next_key))
    # gSDE draws one matrix for both, and one for each env that acts, of which there is none here.
    return [now, np.zeros_like(now)] if use_sde else [now, following]


@pytest.mark.parametrize("optimizer", LEARNING_RATE)
@pytest.mark.parametrize("use_sde", [False, True])
def test_every_parameter_is_that_of_sb3_contrib(
    use_sde: bool, optimizer: Any, batch: Batch, monkeypatch: pytest.MonkeyPatch
) -> None:
    theirs, ours = agents(use_sde, optimizer)
    spec, before = ours.policy.spec, ours.policy.train_state
    hyper = Hyper(LEARNING_RATE[optimizer], gamma=0.97, tau=0.1, target_entropy=float(ours.target_entropy))
    train(theirs, batch, noise_of(before, noise_shape(spec.actor, B), use_sde), monkeypatch)
    after, _ = jax.jit(update, static_argnames="spec")(spec, hyper, before, batch)
    for part, expected in weights_of(theirs).items():
        got = getattr(after, part)
        moved = jax.tree.leaves(jax.tree.map(lambda a, b: np.abs(a - b).max(), got, getattr(before, part)))
        assert min(moved) > 1e-5, part  # else equality would say nothing
        jax.tree.map(partial(np.testing.assert_allclose, rtol=0, atol=1e-5, err_msg=part), got, expected)
