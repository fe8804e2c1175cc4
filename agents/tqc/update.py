"""One gradient step of TQC (Kuznetsov et al. 2020, arXiv 2005.04269), a pure function of the training state."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax

from mvr_agents.tqc import distributions, losses
from mvr_agents.tqc.networks import Actor

Array = jax.Array
Params = Any  # a pytree of float32 arrays


@dataclass(frozen=True)
class OptimizerSpec:
    """An optax optimizer by its factory, so that equal optimizers share one compiled program.

    Attributes:
        factory: such as `optax.adam`. It is called with learning_rate=1 and its updates are scaled afterwards, which is
            the same for every optimizer whose last step is that scaling.
        options: its other arguments, as sorted pairs.
    """

    factory: Callable[..., optax.GradientTransformation] = optax.adam
    options: tuple[tuple[str, Any], ...] = ()

    def build(self) -> optax.GradientTransformation:
        """Returns the optimizer for a learning rate of 1."""
        return self.factory(learning_rate=1.0, **dict(self.options))


ENT_COEF_OPTIMIZER = OptimizerSpec(optax.adam)
"""Of the entropy coefficient, whatever trains the networks: weight decay would pull it to 1."""


@dataclass(frozen=True)
class TQCSpec:
    """The networks and all else that is fixed when the update is compiled.

    Attributes:
        actor: the policy network.
        critics: all critics as one module, see `networks.stacked_critics`.
        n_critics: C.
        drop_per_critic: largest quantiles dropped, for each critic, from the mixture of all target critics.
        learn_ent_coef: False keeps the entropy coefficient where it is.
        optimizer: of actor and critics; the entropy coefficient has Adam, as in sb3-contrib.
        target_update_interval: updates between two moves of the target critics.
    """

    actor: Actor
    critics: nn.Module
    n_critics: int
    drop_per_critic: int
    learn_ent_coef: bool = True
    optimizer: OptimizerSpec = OptimizerSpec()
    target_update_interval: int = 1


class Hyper(NamedTuple):
    """Numbers that may change between updates without compiling again.

    Attributes:
        learning_rate: of all networks, and of the entropy coefficient unless it has its own.
        gamma: discount of one environment step.
        tau: share of the way the target critics move.
        target_entropy: nats, that the entropy coefficient aims at.
        ent_coef_lr: learning rate of the entropy coefficient; None is that of the networks.
    """

    learning_rate: Array | float
    gamma: Array | float
    tau: Array | float
    target_entropy: Array | float
    ent_coef_lr: Array | float | None = None


class Batch(NamedTuple):
    """B transitions, float32.

    Attributes:
        observations: (B, D), normalised as the networks expect them.
        actions: (B, A), in [-1, 1].
        rewards: (B,), task reward plus shaping, over n steps.
        next_observations: (B, D), n steps later.
        discounts: (B,), gamma^n, 0 where the next observation is terminal.
    """

    observations: Array
    actions: Array
    rewards: Array
    next_observations: Array
    discounts: Array


class Losses(NamedTuple):
    """Scalars of one update, or their sums over several."""

    critic: Array
    actor: Array
    ent_coef: Array
    ent_coef_value: Array


class TrainState(NamedTuple):
    """All that an update changes.

    Attributes:
        actor, critics: parameters.
        targets: parameters of the target critics.
        log_ent_coef: scalar.
        actor_optimizer, critics_optimizer, ent_coef_optimizer: states of the optimizers.
        key: uint32 (2,), of all random numbers of training.
        updates: int32, gradient steps so far.
    """

    actor: Params
    critics: Params
    targets: Params
    log_ent_coef: Array
    actor_optimizer: optax.OptState
    critics_optimizer: optax.OptState
    ent_coef_optimizer: optax.OptState
    key: Array
    updates: Array


def init_state(spec: TQCSpec, key: Array, observation_dim: int, log_ent_coef: float) -> TrainState:
    """Draws the networks of a new agent.

    Args:
        spec: the networks.
        key: uint32 (2,).
        observation_dim: D.
        log_ent_coef: log of the (first) entropy coefficient.
    """
    key, actor_key, critics_key, dropout_key = jax.random.split(key, 4)
    observations = jnp.zeros((1, observation_dim))
    actions = jnp.zeros((1, spec.actor.action_dim))
    actor = spec.actor.init(actor_key, observations)
    critics = spec.critics.init({"params": critics_key, "dropout": dropout_key}, observations, actions)
    coefficient = jnp.asarray(log_ent_coef, jnp.float32)
    optimizer = spec.optimizer.build()
    return TrainState(
        actor=actor,
        critics=critics,
        targets=jax.tree.map(jnp.copy, critics),  # their own memory: the state is donated
        log_ent_coef=coefficient,
        actor_optimizer=optimizer.init(actor),
        critics_optimizer=optimizer.init(critics),
        ent_coef_optimizer=ENT_COEF_OPTIMIZER.build().init(coefficient),
        key=key,
        updates=jnp.zeros((), jnp.int32),
    )


def update(spec: TQCSpec, hyper: Hyper, state: TrainState, batch: Batch) -> tuple[TrainState, Losses]:
    """Takes one gradient step with each network, in the order of sb3-contrib.

    Entropy coefficient, critics, actor (against the new critics), then target critics. All see the actor and the
    entropy coefficient as they were before.
    """
    key, now_key, next_key, *dropout_keys = jax.random.split(state.key, 6)
    rngs = [{"dropout": dropout_key} for dropout_key in dropout_keys]
    noise = jax.random.normal(now_key, distributions.noise_shape(spec.actor, len(batch.rewards)))
    # gSDE explores with one matrix an update: the next actions share it.
    next_noise = noise if spec.actor.use_sde else jax.random.normal(next_key, noise.shape)
    optimizer, rate = spec.optimizer.build(), hyper.learning_rate

    def policy(params: Params) -> tuple[Array, Array]:
        return distributions.sample(spec.actor.apply(params, batch.observations), noise)

    # One pass of the actor serves the entropy coefficient and, through its transpose, the actor's own gradient.
    (actions, log_prob), transpose = jax.vjp(policy, state.actor)
    ent_coef = jnp.exp(state.log_ent_coef)
    ent_coef_loss, log_ent_coef, ent_coef_optimizer = _step_ent_coef(spec, hyper, state, log_prob)

    target_atoms, keep = critic_targets(spec, state, batch, next_noise, ent_coef, rngs[0])

    def critic_objective(params: Params) -> Array:
        quantiles = spec.critics.apply(params, batch.observations, batch.actions, rngs=rngs[1])
        return losses.quantile_huber_loss(quantiles, target_atoms, keep)

    critic_loss, gradient = jax.value_and_grad(critic_objective)(state.critics)
    critics, critics_optimizer = _descend(optimizer, rate, gradient, state.critics_optimizer, state.critics)

    def actor_objective(actions: Array, log_prob: Array) -> Array:
        values = spec.critics.apply(critics, batch.observations, actions, True, rngs=rngs[2])
        return losses.actor_loss(log_prob, values, ent_coef)

    actor_loss, cotangents = jax.value_and_grad(actor_objective, argnums=(0, 1))(actions, log_prob)
    (gradient,) = transpose(cotangents)
    actor, actor_optimizer = _descend(optimizer, rate, gradient, state.actor_optimizer, state.actor)

    updates = state.updates + 1
    share = jnp.where(updates % spec.target_update_interval == 0, hyper.tau, 0.0)
    targets = jax.tree.map(lambda target, new: target + share * (new - target), state.targets, critics)
    new = TrainState(
        actor=actor,
        critics=critics,
        targets=targets,
        log_ent_coef=log_ent_coef,
        actor_optimizer=actor_optimizer,
        critics_optimizer=critics_optimizer,
        ent_coef_optimizer=ent_coef_optimizer,
        key=key,
        updates=updates,
    )
    return new, Losses(critic=critic_loss, actor=actor_loss, ent_coef=ent_coef_loss, ent_coef_value=ent_coef)


def critic_targets(
    spec: TQCSpec,
    state: TrainState,
    batch: Batch,
    noise: Array,
    ent_coef: Array,
    rngs: dict[str, Array] | None = None,
) -> tuple[Array, Array]:
    """Computes the target atoms of the critics' loss, (B, M) with M = C N, and the mask of those that remain."""
    next_actions, next_log_prob = distributions.sample(spec.actor.apply(state.actor, batch.next_observations), noise)
    quantiles = spec.critics.apply(state.targets, batch.next_observations, next_actions, rngs=rngs)
    atoms = jnp.moveaxis(quantiles, 0, 1).reshape(len(batch.rewards), -1)
    keep = losses.truncation_mask(atoms, spec.drop_per_critic * spec.n_critics)
    return losses.td_targets(atoms, next_log_prob, batch.rewards, batch.discounts, ent_coef), keep


def _step_ent_coef(
    spec: TQCSpec, hyper: Hyper, state: TrainState, log_prob: Array
) -> tuple[Array, Array, optax.OptState]:
    """Returns the loss of the entropy coefficient, its new logarithm and its optimizer's new state."""
    if not spec.learn_ent_coef:
        return jnp.zeros(()), state.log_ent_coef, state.ent_coef_optimizer
    objective = jax.value_and_grad(losses.ent_coef_loss)
    loss, gradient = objective(state.log_ent_coef, log_prob, hyper.target_entropy)
    rate = hyper.learning_rate if hyper.ent_coef_lr is None else hyper.ent_coef_lr
    return loss, *_descend(ENT_COEF_OPTIMIZER.build(), rate, gradient, state.ent_coef_optimizer, state.log_ent_coef)


def _descend(
    optimizer: optax.GradientTransformation,
    rate: Array | float,
    gradient: Params,
    state: optax.OptState,
    params: Params,
) -> tuple[Params, optax.OptState]:
    """Returns new parameters and the optimizer's new state."""
    direction, state = optimizer.update(gradient, state, params)
    return jax.tree.map(lambda old, step: old + rate * step, params, direction), state
