"""Networks of TQC in Flax: a squashed Gaussian actor, with or without gSDE, and critics stacked into batched products.

Every layer starts as PyTorch's `nn.Linear` does, so that a run differs from one of sb3-contrib in its arithmetic alone.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp

Array = jax.Array
Activation = Callable[[Array], Array]

ACTIVATIONS: dict[str, Activation] = {
    "relu": jax.nn.relu,
    "tanh": jnp.tanh,
    "elu": jax.nn.elu,
    "gelu": jax.nn.gelu,
    "silu": jax.nn.silu,
    "leakyrelu": jax.nn.leaky_relu,
}
LOG_STD_MIN, LOG_STD_MAX = -20.0, 2.0


def uniform_fan_in(fan_in: int) -> Callable[..., Array]:
    """Returns an initialiser that draws from [-1/sqrt(fan_in), 1/sqrt(fan_in)], as PyTorch's `nn.Linear` does."""
    bound = 1.0 / math.sqrt(fan_in)

    def init(key: Array, shape: tuple[int, ...]) -> Array:
        return jax.random.uniform(key, shape, minval=-bound, maxval=bound)

    return init


@jax.custom_vjp
def bfloat16_matmul(x: Array, kernel: Array) -> Array:
    """Multiplies float32 (B, I) and (I, O) with operands rounded to bfloat16, sums in float32; so for gradients."""
    return jax.lax.platform_dependent(x, kernel, cpu=_rounded_matmul, default=_bfloat16_matmul)


def _bfloat16_matmul(x: Array, kernel: Array) -> Array:
    return jnp.matmul(x.astype(jnp.bfloat16), kernel.astype(jnp.bfloat16), preferred_element_type=jnp.float32)


def _rounded_matmul(x: Array, kernel: Array) -> Array:
    """The same numbers on the CPU, for which XLA has no such product in all layouts."""
    return jnp.matmul(*(jax.lax.reduce_precision(part, exponent_bits=8, mantissa_bits=7) for part in (x, kernel)))


def _bfloat16_forward(x: Array, kernel: Array) -> tuple[Array, tuple[Array, Array]]:
    return bfloat16_matmul(x, kernel), (x, kernel)


def _bfloat16_backward(saved: tuple[Array, Array], cotangent: Array) -> tuple[Array, Array]:
    x, kernel = saved
    return bfloat16_matmul(cotangent, kernel.T), bfloat16_matmul(x.T, cotangent)


bfloat16_matmul.defvjp(_bfloat16_forward, _bfloat16_backward)


class Linear(nn.Module):
    """An affine layer: float32 (B, I) -> float32 (B, features).

    Attributes:
        features: outputs.
        bfloat16: round the operands of the product to bfloat16. Parameters and sums stay float32.
    """

    features: int
    bfloat16: bool = False

    @nn.compact
    def __call__(self, x: Array) -> Array:
        """Applies the layer."""
        kernel, bias = affine_parameters(self, x.shape[-1], self.features)
        return (bfloat16_matmul if self.bfloat16 else jnp.matmul)(x, kernel) + bias


def affine_parameters(module: nn.Module, fan_in: int, features: int) -> tuple[Array, Array]:
    """Declares the kernel (fan_in, features) and the bias (features,) of an affine layer of `module`."""
    init = uniform_fan_in(fan_in)
    return module.param("kernel", init, (fan_in, features)), module.param("bias", init, (features,))


class Torso(nn.Module):
    """The hidden layers: affine, dropout, layer norm, activation (the order of DroQ, arXiv 2110.02034).

    Attributes:
        net_arch: width of each layer.
        activation: elementwise function.
        layer_norm: normalise each layer.
        dropout_rate: share of units dropped; 0 drops none and needs no random key.
        bfloat16: as in `Linear`.
    """

    net_arch: tuple[int, ...]
    activation: Activation = jax.nn.relu
    layer_norm: bool = False
    dropout_rate: float = 0.0
    bfloat16: bool = False

    @nn.compact
    def __call__(self, x: Array) -> Array:
        """Returns the last hidden layer: (B, I) -> (B, net_arch[-1])."""
        for width in self.net_arch:
            x = Linear(width, self.bfloat16)(x)
            if self.dropout_rate > 0.0:
                x = nn.Dropout(self.dropout_rate, deterministic=False)(x)
            if self.layer_norm:
                x = nn.LayerNorm()(x)
            x = self.activation(x)
        return x


class ActorOutput(NamedTuple):
    """What the actor says about B observations; see `distributions.sample` for its meaning.

    Attributes:
        mean: (B, A), of the Gaussian before the tanh.
        std: (B, A), its standard deviation; with gSDE (H, A), that of the exploration matrix.
        latent: (B, H), last hidden layer, with gSDE; else None.
    """

    mean: Array
    std: Array
    latent: Array | None


class Actor(nn.Module):
    """The policy network: observations (B, D) -> ActorOutput.

    Attributes:
        action_dim: A.
        net_arch: width of each hidden layer.
        activation: elementwise function of the hidden layers.
        bfloat16: as in `Linear`.
        use_sde: generalised state-dependent exploration (gSDE, arXiv 2005.05719).
        log_std_init: first log standard deviation of the exploration matrix.
        use_expln: make the deviation of gSDE positive by `expln` instead of exp.
        clip_mean: with gSDE, bound of the mean before the tanh; 0 sets none.
    """

    action_dim: int
    net_arch: tuple[int, ...]
    activation: Activation = jax.nn.relu
    bfloat16: bool = False
    use_sde: bool = False
    log_std_init: float = -3.0
    use_expln: bool = False
    clip_mean: float = 2.0

    @nn.compact
    def __call__(self, observations: Array) -> ActorOutput:
        """Returns mean, deviation and, with gSDE, the latent features."""
        latent = Torso(self.net_arch, self.activation, bfloat16=self.bfloat16)(observations)
        if not self.use_sde:
            mean, log_std = jnp.split(Linear(2 * self.action_dim, self.bfloat16)(latent), 2, axis=-1)
            return ActorOutput(mean, jnp.exp(jnp.clip(log_std, LOG_STD_MIN, LOG_STD_MAX)), None)
        mean = Linear(self.action_dim, self.bfloat16)(latent)
        if self.clip_mean > 0.0:
            mean = jnp.clip(mean, -self.clip_mean, self.clip_mean)
        shape = (latent.shape[-1], self.action_dim)
        log_std = self.param("log_std", nn.initializers.constant(self.log_std_init), shape)
        return ActorOutput(mean, expln(log_std) if self.use_expln else jnp.exp(log_std), latent)


def expln(x: Array) -> Array:
    """Returns exp(x) where x <= 0 and 1 + log(1 + x) elsewhere: positive, smooth, and slow to grow."""
    return jnp.where(x > 0.0, jnp.log1p(jnp.maximum(x, 0.0)) + 1.0, jnp.exp(jnp.minimum(x, 0.0)))


class Critic(nn.Module):
    """One critic: observations (B, D) and actions (B, A) -> quantiles (B, N) of the return.

    Attributes:
        n_quantiles: N.
        net_arch, activation, layer_norm, dropout_rate, bfloat16: as in `Torso`.
    """

    n_quantiles: int
    net_arch: tuple[int, ...]
    activation: Activation = jax.nn.relu
    layer_norm: bool = False
    dropout_rate: float = 0.0
    bfloat16: bool = False

    @nn.compact
    def __call__(self, observations: Array, actions: Array, mean: bool = False) -> Array:
        """Returns the quantiles (B, N), or with `mean` their mean (B,).

        The mean of an affine layer's outputs is an affine function of its inputs: asked for alone, as the actor's loss
        does, it needs no product with the whole last layer.
        """
        x = jnp.concatenate([observations, actions], axis=-1)
        latent = Torso(self.net_arch, self.activation, self.layer_norm, self.dropout_rate, self.bfloat16)(x)
        kernel, bias = affine_parameters(self, latent.shape[-1], self.n_quantiles)
        if mean:
            return latent @ kernel.mean(axis=1) + bias.mean()
        return (bfloat16_matmul if self.bfloat16 else jnp.matmul)(latent, kernel) + bias


def stacked_critics(n_critics: int, **attributes: Any) -> nn.Module:
    """Returns C critics as one module: quantiles (C, B, N), or means (C, B).

    Their parameters are stacked along a first axis, so that each layer of all critics is one batched product.

    Args:
        n_critics: C.
        attributes: of `Critic`.
    """
    return _stacked(n_critics)(**attributes)


@functools.cache  # a new class each time would be unequal to the last, and compiled again
def _stacked(n_critics: int) -> type[nn.Module]:
    return nn.vmap(
        Critic,
        variable_axes={"params": 0},
        split_rngs={"params": True, "dropout": True},
        in_axes=None,
        out_axes=0,
        axis_size=n_critics,
    )
