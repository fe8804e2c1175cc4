"""One gradient step of the JAX TQC, recomputed in torch."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

pytest.importorskip("jax")
pytest.importorskip("sb3_contrib")

import jax
import jax.numpy as jnp
import optax
import torch as th
from sb3_contrib.common.utils import quantile_huber_loss

from mvr_agents.tqc import distributions
from mvr_agents.tqc.networks import Actor, stacked_critics
from mvr_agents.tqc.update import Batch, Hyper, OptimizerSpec, TQCSpec, init_state, update

B, D, A, N, DROP = 16, 5, 2, 6, 2
HYPER = Hyper(learning_rate=1e-3, gamma=0.98, tau=0.01, target_entropy=-2.0)
SPEC = TQCSpec(Actor(A, (8, 8)), stacked_critics(2, n_quantiles=N, net_arch=(8, 8)), 2, DROP)
jitted = jax.jit(update, static_argnames="spec")


def start(spec: TQCSpec = SPEC, ent_coef: float = 0.7):
    return init_state(spec, jax.random.PRNGKey(0), D, math.log(ent_coef))


@pytest.fixture
def batch(rng) -> Batch:
    observations, next_observations = rng.normal(size=(2, B, D)).astype(np.float32)
    arrays: Any = (
        observations,
        rng.uniform(-1, 1, size=(B, A)).astype(np.float32),
        rng.normal(size=B).astype(np.float32),
        next_observations,
        np.where(rng.random(B) < 0.25, 0.0, 0.98).astype(np.float32),
    )
    return Batch(*arrays)


def to_torch(params, requires_grad: bool = False):
    return jax.tree.map(lambda p: th.tensor(np.array(p), requires_grad=requires_grad), params["params"])


def layers(x, torso):
    for name in sorted(torso):
        x = th.relu(x @ torso[name]["kernel"] + torso[name]["bias"])
    return x


def torch_actor(params, observations, noise):
    head = params["Linear_0"]
    mean, log_std = (layers(observations, params["Torso_0"]) @ head["kernel"] + head["bias"]).split(A, dim=1)
    gaussian = th.distributions.Normal(mean, log_std.clamp(-20, 2).exp())
    u = mean + gaussian.scale * noise
    return u.tanh(), (gaussian.log_prob(u) - th.log(1 - u.tanh() ** 2 + 1e-6)).sum(1)  # as Stable-Baselines3


def torch_critics(params, observations, actions):
    x = th.cat([observations, actions], dim=1)
    quantiles = []
    for i in range(2):
        own = jax.tree.map(lambda p, i=i: p[i], params)
        quantiles.append(layers(x, own["Torso_0"]) @ own["kernel"] + own["bias"])
    return th.stack(quantiles, dim=1)


def test_losses_and_new_parameters_equal_torch(batch):
    state = start()
    _, now_key, next_key, *_ = jax.random.split(state.key, 6)
    noise, next_noise = (th.tensor(np.array(jax.random.normal(k, (B, A)))) for k in (now_key, next_key))
    observations, actions, rewards, following, discounts = (th.tensor(part) for part in batch)
    actor, critics = to_torch(state.actor, True), to_torch(state.critics, True)
    targets = to_torch(state.targets)
    log_ent_coef = th.tensor(math.log(0.7), requires_grad=True)
    optimizers = [th.optim.Adam(jax.tree.leaves(p), lr=1e-3) for p in (actor, critics, [log_ent_coef])]

    pi, log_prob = torch_actor(actor, observations, noise)
    ent_loss = -(log_ent_coef * (log_prob + HYPER.target_entropy).detach()).mean()
    with th.no_grad():
        next_pi, next_log_prob = torch_actor(actor, following, next_noise)
        atoms = torch_critics(targets, following, next_pi).reshape(B, -1).sort(dim=1).values[:, : 2 * N - 2 * DROP]
        y = rewards[:, None] + discounts[:, None] * (atoms - 0.7 * next_log_prob[:, None])
    critic_loss = quantile_huber_loss(
        torch_critics(critics, observations, actions), y[:, None], sum_over_quantiles=False
    )
    for optimizer, loss in ((optimizers[2], ent_loss), (optimizers[1], critic_loss)):
        loss.backward()
        optimizer.step()
    values = torch_critics(critics, observations, pi).mean(dim=2).mean(dim=1)
    actor_loss = (0.7 * log_prob - values).mean()
    actor_loss.backward()
    optimizers[0].step()

    new, ours = jitted(SPEC, HYPER, state, batch)
    theirs = [part.item() for part in (critic_loss, actor_loss, ent_loss)]
    np.testing.assert_allclose(ours[:3], theirs, rtol=1e-5)
    assert float(ours.ent_coef_value) == pytest.approx(0.7)
    for mine, other in ((new.actor, actor), (new.critics, critics)):
        jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b.detach(), atol=2e-5), mine["params"], other)
    assert float(new.log_ent_coef) == pytest.approx(log_ent_coef.item(), abs=1e-6)
    jax.tree.map(
        lambda old, critic, moved: np.testing.assert_allclose(moved, 0.99 * old + 0.01 * critic, atol=1e-7),
        *(state.targets, new.critics, new.targets),
    )


def test_target_critics_move_at_their_interval(batch):
    spec = TQCSpec(SPEC.actor, SPEC.critics, 2, DROP, target_update_interval=2)
    first, _ = jitted(spec, HYPER, start(spec), batch)
    second, _ = jitted(spec, HYPER, first, batch)
    jax.tree.map(np.testing.assert_array_equal, first.targets, start(spec).targets)
    assert any(jax.tree.leaves(jax.tree.map(lambda a, b: (a != b).any(), second.targets, first.targets)))
    assert int(second.updates) == 2


def test_a_fixed_ent_coef_stays(batch):
    spec = TQCSpec(SPEC.actor, SPEC.critics, 2, DROP, learn_ent_coef=False)
    state, report = jitted(spec, HYPER, start(spec, 0.3), batch)
    assert float(report.ent_coef_value) == pytest.approx(0.3)
    assert float(state.log_ent_coef) == pytest.approx(math.log(0.3))
    assert float(report.ent_coef) == 0.0


def test_an_ent_coef_of_zero_is_finite(batch):
    spec = TQCSpec(SPEC.actor, SPEC.critics, 2, DROP, learn_ent_coef=False)
    state = init_state(spec, jax.random.PRNGKey(0), D, -math.inf)
    state, report = jitted(spec, HYPER, state, batch)
    assert np.isfinite(report).all() and float(report.ent_coef_value) == 0.0
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(state.actor))


def test_ent_coef_grows_below_the_target_entropy(batch):
    low, high = (jitted(SPEC, HYPER._replace(target_entropy=t), start(), batch)[0].log_ent_coef for t in (-50.0, 50.0))
    assert float(low) < math.log(0.7) < float(high)


def test_a_learning_rate_of_its_own_moves_the_ent_coef_alone(batch):
    """Equal to the bit where it is the rate of the networks; ten times the rate is ten times Adam's step."""
    shared, same, other = (
        jitted(SPEC, HYPER._replace(ent_coef_lr=rate), start(ent_coef=1.0), batch)[0] for rate in (None, 1e-3, 1e-2)
    )
    jax.tree.map(np.testing.assert_array_equal, shared, same)
    assert float(other.log_ent_coef) == pytest.approx(10 * float(shared.log_ent_coef), rel=1e-5)
    jax.tree.map(np.testing.assert_array_equal, shared, other._replace(log_ent_coef=shared.log_ent_coef))


def test_optimizer_spec_scales_as_optax_does():
    gradient, params = jnp.array([1.0, -3.0]), jnp.array([0.5, 0.5])
    for factory, options in (
        (optax.adam, ()),
        (optax.adamw, (("weight_decay", 0.1),)),
        (optax.sgd, (("momentum", 0.9),)),
    ):
        ours, theirs = OptimizerSpec(factory, options).build(), factory(learning_rate=0.01, **dict(options))
        expected, _ = theirs.update(gradient, theirs.init(params), params)
        direction, _ = ours.update(gradient, ours.init(params), params)
        np.testing.assert_allclose(0.01 * direction, expected, rtol=1e-6)


def test_learning_drives_the_critics_to_the_return(batch):
    """With discount 0 everywhere the quantiles of Q(s, a) must all become the reward."""
    batch = batch._replace(discounts=np.zeros(B, np.float32))
    state = start()
    for _ in range(600):
        state, report = jitted(SPEC, HYPER._replace(learning_rate=1e-2), state, batch)
    quantiles = SPEC.critics.apply(state.critics, batch.observations, batch.actions)
    assert np.abs(quantiles - batch.rewards[None, :, None]).mean() < 0.1
    assert float(report.critic) < 0.01


def test_gsde_shares_one_matrix(batch, monkeypatch):
    spec = TQCSpec(Actor(A, (8, 8), use_sde=True), SPEC.critics, 2, DROP)
    seen = []
    sample = distributions.sample
    monkeypatch.setattr(distributions, "sample", lambda output, noise: (seen.append(noise), sample(output, noise))[1])
    _, report = jax.jit(update, static_argnums=0)(spec, HYPER, start(spec), batch)
    assert np.isfinite(report).all()
    assert [noise.shape for noise in seen] == [(8, A), (8, A)]
    assert seen[0] is seen[1]


def test_dropout_needs_no_more_than_the_state(batch):
    critics = stacked_critics(2, n_quantiles=N, net_arch=(8,), dropout_rate=0.3, layer_norm=True)
    spec = TQCSpec(SPEC.actor, critics, 2, DROP)
    (first, _), (again, _) = (jitted(spec, HYPER, start(spec), batch) for _ in range(2))
    jax.tree.map(np.testing.assert_array_equal, first, again)
