"""The squashed Gaussian of the actor: sampling and log-densities, with independent noise or gSDE."""

from __future__ import annotations

import math

import jax
import jax.numpy as jnp

from mvr_agents.tqc.networks import Actor, ActorOutput

Array = jax.Array

_VARIANCE_FLOOR = 1e-6  # of gSDE, as in Stable-Baselines3
_SLOPE_FLOOR = 1e-6  # of tanh, as there
_LOG_SQRT_2PI = 0.5 * math.log(2.0 * math.pi)


def noise_shape(actor: Actor, batch: int) -> tuple[int, int]:
    """Returns the shape of the standard normal noise that one update needs for `batch` observations.

    Independent noise has one row an observation. gSDE has one exploration matrix for all of them.
    """
    return (actor.net_arch[-1] if actor.use_sde else batch, actor.action_dim)


def sample(output: ActorOutput, noise: Array) -> tuple[Array, Array]:
    """Draws actions a = tanh(u), u = mean + deviation, and returns their log-densities.

    log p(a) = sum over dimensions of log N(u; mean, scale) - log(1 - tanh(u)^2 + epsilon) (SAC, arXiv 1801.01290,
    appendix C). The epsilon, 1e-6 as in Stable-Baselines3, bounds what a saturated action costs.

    Args:
        output: of the actor for B observations.
        noise: standard normal, (B, A); with gSDE (H, A), or (B, H, A) for one matrix an observation.

    Returns:
        Actions in (-1, 1) (B, A), and log-densities (B,).
    """
    deviation, scale = _deviation(output, noise)
    u = output.mean + deviation
    log_prob = -0.5 * (deviation / scale) ** 2 - jnp.log(scale) - _LOG_SQRT_2PI
    actions = jnp.tanh(u)
    return actions, (log_prob - jnp.log(1.0 - actions**2 + _SLOPE_FLOOR)).sum(axis=-1)


def mode(output: ActorOutput) -> Array:
    """Returns the deterministic actions tanh(mean), (B, A)."""
    return jnp.tanh(output.mean)


def explore(output: ActorOutput, noise: Array) -> Array:
    """Returns the actions of `sample` alone."""
    return jnp.tanh(output.mean + _deviation(output, noise)[0])


def _deviation(output: ActorOutput, noise: Array) -> tuple[Array, Array]:
    """Returns what is added to the mean, and its standard deviation, (B, A) both."""
    if output.latent is None:
        return output.std * noise, output.std
    # gSDE (arXiv 2005.05719): the noise is a random linear function of the latent features.
    formula = "nh,nhm->nm" if noise.ndim == 3 else "nh,hm->nm"
    deviation = jnp.einsum(formula, output.latent, output.std * noise)
    return deviation, jnp.sqrt(jnp.square(output.latent) @ jnp.square(output.std) + _VARIANCE_FLOOR)
