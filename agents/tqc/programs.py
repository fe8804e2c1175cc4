"""The device calls of the JAX TQC: act, train, store. Each is compiled once and takes its state as an argument."""

from __future__ import annotations

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp

from mvr_agents.tqc import distributions
from mvr_agents.tqc.networks import Actor, ActorOutput
from mvr_agents.tqc.normalise import Normaliser, Statistics
from mvr_agents.tqc.outcome import TrainOutcome
from mvr_agents.tqc.storage import Filled, Staged, Storage, is_finite, sample, write
from mvr_agents.tqc.update import Batch, Hyper, Losses, Params, TQCSpec, TrainState, update

Array = jax.Array


class Held(NamedTuple):
    """Independent noise that several vector steps share: drawn from one key at each of them.

    The key is kept, not the noise: the state fits any number of envs.

    Attributes:
        key: uint32 (2,), of the noise.
        left: int32, vector steps that still take it.
    """

    key: Array
    left: Array


class RolloutState(NamedTuple):
    """What acting changes.

    Attributes:
        key: uint32 (2,), of all random numbers of exploration.
        statistics: of the observations acted on; None where they are not normalised.
        noise: standard normal (E, H, A), one exploration matrix an env; None without gSDE.
        held: the independent noise that is kept over several vector steps; None where each draws its own.
    """

    key: Array
    statistics: Statistics | None
    noise: Array | None
    held: Held | None = None


@partial(jax.jit, static_argnames=("spec", "batch_size", "n_steps"), donate_argnames=("state",))
def train(
    spec: TQCSpec,
    state: TrainState,
    storage: Storage,
    filled: Filled,
    scales: Normaliser | Statistics,
    hyper: Hyper,
    gradient_steps: Array | int,
    batch_size: int,
    n_steps: int,
) -> tuple[TrainState, TrainOutcome]:
    """Draws batches and learns from them, `gradient_steps` times or until a batch is not finite."""
    normaliser = Normaliser.from_statistics(scales) if isinstance(scales, Statistics) else scales

    def draw(state: TrainState) -> tuple[TrainState, Batch]:
        key, sample_key = jax.random.split(state.key)
        batch = sample(storage, filled, sample_key, batch_size, n_steps, hyper.gamma, normaliser)
        return state._replace(key=key), batch

    def proceed(loop: tuple[Array, TrainState, Batch, Losses]) -> Array:
        done, _, batch, _ = loop
        return (done < gradient_steps) & is_finite(batch)

    def step(loop: tuple[Array, TrainState, Batch, Losses]) -> tuple[Array, TrainState, Batch, Losses]:
        done, state, batch, sums = loop
        state, new = update(spec, hyper, state, batch)
        # The next batch is drawn before it is known to be wanted: a bad one must be seen before it is learned from.
        return done + 1, *draw(state), jax.tree.map(jnp.add, sums, new)

    zero = jnp.zeros(())
    start = (jnp.zeros((), jnp.int32), *draw(state), Losses(zero, zero, zero, zero))
    done, state, batch, sums = jax.lax.while_loop(proceed, step, start)
    finite = jnp.stack([jnp.isfinite(part).all() for part in batch])
    return state, TrainOutcome(losses=sums, updates=done, finite=finite)


def _respond(actor: Actor, params: Params, statistics: Statistics | None, observations: Array) -> ActorOutput:
    """Evaluates the actor on observations as the envs gave them."""
    output = actor.apply(params, Normaliser.from_statistics(statistics).observations(observations))
    assert isinstance(output, ActorOutput)
    return output


@partial(jax.jit, static_argnames=("actor", "noise_repeat"), donate_argnames=("storage",))
def act(
    actor: Actor,
    params: Params,
    rollout: RolloutState,
    observations: Array,
    warm_up: Array | bool,
    storage: Storage | None,
    staged: Staged | None,
    noise_repeat: int = 1,
) -> tuple[Array, RolloutState, Storage | None]:
    """Chooses exploring actions for E envs, and writes the row that waits on the way.

    Args:
        actor: the policy network.
        params: its parameters.
        rollout: keys, statistics and noise.
        observations: (E, D), as the envs gave them.
        warm_up: draw actions uniformly instead.
        storage: where `staged` is written; None when nothing waits.
        staged: the row that waits, or None.
        noise_repeat: calls that share one draw of independent noise, where `rollout` holds some.

    Returns:
        Actions (E, A) in [-1, 1], the new rollout state, the new storage.
    """
    if storage is not None and staged is not None:
        storage = write(storage, staged)
    key, noise_key, uniform_key = jax.random.split(rollout.key, 3)
    statistics = rollout.statistics
    if statistics is not None:
        statistics = statistics.add(observations)
    output = _respond(actor, params, statistics, observations)
    held = rollout.held
    if held is not None:
        held = _hold(held, noise_key, noise_repeat)
        noise_key = held.key
    noise = jax.random.normal(noise_key, output.mean.shape) if rollout.noise is None else rollout.noise
    actions = distributions.explore(output, noise)
    uniform = jax.random.uniform(uniform_key, actions.shape, minval=-1.0, maxval=1.0)
    rollout = RolloutState(key, statistics, rollout.noise, held)
    return jnp.where(warm_up, uniform, actions), rollout, storage


def _hold(held: Held, fresh_key: Array, noise_repeat: int) -> Held:
    """Returns what this vector step takes: the noise held so far, or where that was used up, some of a fresh key."""
    used_up = held.left <= 0
    return Held(jnp.where(used_up, fresh_key, held.key), jnp.where(used_up, noise_repeat, held.left) - 1)


@partial(jax.jit, static_argnames=("actor", "deterministic"))
def predict(
    actor: Actor, params: Params, rollout: RolloutState, observations: Array, deterministic: bool
) -> tuple[Array, Array]:
    """Chooses actions (N, A) for any observations (N, D) and changes no statistics; returns them and a new key."""
    output = _respond(actor, params, rollout.statistics, observations)
    if deterministic:
        return distributions.mode(output), rollout.key
    key, noise_key = jax.random.split(rollout.key)
    if rollout.noise is None:
        noise = jax.random.normal(noise_key, output.mean.shape)
    else:
        # As in Stable-Baselines3: other than one observation an env, all share the first env's matrix.
        noise = rollout.noise if len(rollout.noise) == len(observations) else rollout.noise[0]
    return distributions.explore(output, noise), key


@partial(jax.jit, static_argnames=("actor", "n_envs"))
def draw_noise(actor: Actor, key: Array, n_envs: int) -> tuple[Array, Array]:
    """Draws the exploration matrices of gSDE; returns a new key and standard normal noise (E, H, A)."""
    key, noise_key = jax.random.split(key)
    return key, jax.random.normal(noise_key, (n_envs, actor.net_arch[-1], actor.action_dim))


store = jax.jit(write, donate_argnames=("storage",))
"""Writes one row in place."""
