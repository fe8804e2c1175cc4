"""The losses of TQC (Kuznetsov et al. 2020, arXiv 2005.04269) as pure functions."""

from __future__ import annotations

import jax
import jax.numpy as jnp

Array = jax.Array


def truncation_mask(atoms: Array, drop: int) -> Array:
    """Marks the atoms that remain when the `drop` largest of each row are removed (TQC, section 4).

    Nothing has to be sorted: the loss is a sum over the atoms that remain, in any order.

    Args:
        atoms: (B, M), quantiles of all target critics.
        drop: atoms removed from each row; below M.

    Returns:
        float32 (B, M), 1 where an atom remains and 0 where it is dropped.
    """
    keep = jnp.ones(atoms.shape, jnp.float32)
    if drop == 0:
        return keep
    _, dropped = jax.lax.top_k(atoms, drop)
    return keep.at[jnp.arange(atoms.shape[0])[:, None], dropped].set(0.0)


def td_targets(
    next_atoms: Array, next_log_prob: Array, rewards: Array, discounts: Array, ent_coef: Array | float
) -> Array:
    """Computes the atoms of the target distribution: y = r + discount (z - alpha log pi(a'|s')) (TQC, section 4).

    Args:
        next_atoms: z, (B, M), quantiles of the target critics at (s', a').
        next_log_prob: log pi(a'|s'), (B,).
        rewards: (B,), summed and discounted over the n steps of n-step returns.
        discounts: (B,), gamma^n, 0 where s' is terminal.
        ent_coef: alpha.

    Returns:
        (B, M).
    """
    soft = next_atoms - ent_coef * next_log_prob[:, None]
    return rewards[:, None] + discounts[:, None] * soft


@jax.custom_vjp
def quantile_huber_loss(quantiles: Array, targets: Array, keep: Array) -> Array:
    """Computes the mean quantile Huber loss over all pairs of a quantile and a target atom (TQC, section 4).

    rho_tau(d) = |tau - 1{d < 0}| H(d), with d = y_j - theta_i, tau_i = (i + 1/2) / N and H the Huber function with
    threshold 1. As in sb3-contrib the mean is taken over quantiles, too. The gradient with respect to the quantiles
    comes out of the same pass as the loss; targets and mask are constants.

    Args:
        quantiles: theta, (C, B, N).
        targets: y, (B, M), in any order.
        keep: float (B, M), 1 for atoms that count and 0 for others, such as `truncation_mask` returns.

    Returns:
        Scalar.
    """
    return _loss_and_gradient(quantiles, targets, keep)[0]


def _forward(quantiles: Array, targets: Array, keep: Array) -> tuple[Array, Array]:
    return _loss_and_gradient(quantiles, targets, keep)


def _backward(gradient: Array, cotangent: Array) -> tuple[Array, None, None]:
    return cotangent * gradient, None, None


quantile_huber_loss.defvjp(_forward, _backward)


def _loss_and_gradient(quantiles: Array, targets: Array, keep: Array) -> tuple[Array, Array]:
    """Returns the loss and its gradient with respect to the quantiles."""
    loss, gradient = jax.lax.platform_dependent(quantiles, targets, keep, cpu=_sum_in_turn, default=_sum_at_once)
    scale = 1.0 / (quantiles.shape[0] * quantiles.shape[2] * keep.sum())
    return scale * loss, -scale * gradient


def _sum_in_turn(quantiles: Array, targets: Array, keep: Array) -> tuple[Array, Array]:
    """Sums over targets one at a time: 2 (C, B, N) accumulators stay in the cache, and the pairs are never stored."""

    def add(sums: tuple[Array, Array], target: tuple[Array, Array]) -> tuple[tuple[Array, Array], None]:
        loss, slope = _pairs(quantiles, *(part[:, None] for part in target))
        return (sums[0] + loss, sums[1] + slope), None

    zeros = jnp.zeros_like(quantiles)
    (loss, gradient), _ = jax.lax.scan(add, (zeros, zeros), (targets.T, keep.T))
    return loss.sum(), gradient


def _sum_at_once(quantiles: Array, targets: Array, keep: Array) -> tuple[Array, Array]:
    """Sums over targets in one reduction, which an accelerator fuses with the pairs."""
    loss, slope = _pairs(quantiles[:, :, None, :], targets[:, :, None], keep[:, :, None])
    return loss.sum(), slope.sum(axis=2)


def _pairs(quantiles: Array, targets: Array, keep: Array) -> tuple[Array, Array]:
    """Returns rho_tau(d) and its derivative with respect to d, for arrays (..., N) and (..., 1) that broadcast."""
    n_quantiles = quantiles.shape[-1]
    tau = (jnp.arange(n_quantiles, dtype=quantiles.dtype) + 0.5) / n_quantiles
    delta = targets - quantiles
    clipped = jnp.clip(delta, -1.0, 1.0)
    slope = keep * jnp.where(delta < 0.0, 1.0 - tau, tau) * clipped
    # H(d) = c (d - c / 2) with c = clip(d, -1, 1): d^2 / 2 inside, |d| - 1/2 outside.
    return slope * (delta - 0.5 * clipped), slope


def actor_loss(log_prob: Array, values: Array, ent_coef: Array | float) -> Array:
    """Computes mean(alpha log pi(a|s) - Q(s, a)) (TQC, section 4), Q the mean over all quantiles of all critics.

    Args:
        log_prob: (B,).
        values: Q of each critic, (C, B).
        ent_coef: alpha.
    """
    return jnp.mean(ent_coef * log_prob - values.mean(axis=0))


def ent_coef_loss(log_ent_coef: Array, log_prob: Array, target_entropy: Array | float) -> Array:
    """Computes -log(alpha) mean(log pi(a|s) + target entropy) (SAC, arXiv 1812.05905, section 5, but in log alpha)."""
    return -log_ent_coef * jax.lax.stop_gradient(jnp.mean(log_prob) + target_entropy)
