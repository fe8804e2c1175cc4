"""Returns of n steps in a ring of transitions, for NumPy and for jax.numpy: both replay buffers compute them here."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

Array = Any  # of NumPy or of JAX


class NStepReturns(NamedTuple):
    """What B transitions come to over n steps, fewer where their trajectory ends.

    Attributes:
        rewards: float32 (B,), discounted sums of the rewards.
        last: int (B,), the rows of the last steps.
        discounts: float32 (B,), gamma to the number of steps, of what follows the last one.
    """

    rewards: Array
    last: Array
    discounts: Array


def n_step_returns(
    rewards_at: Callable[[Array, Array], Array],
    ends: Array,
    newest: Array | int,
    rows: Array,
    envs: Array,
    n_steps: int,
    gamma: Array | float,
    xp: Any = np,
) -> NStepReturns:
    """Sums the rewards of the transitions that start at `rows` of `envs`: r_0 + gamma r_1 + ... (Sutton 1988).

    A sum stops at the end of a trajectory, and at the newest row: beyond it lie older transitions, or nothing.

    Args:
        rewards_at: rows (B, n) and envs (B, 1) -> the reward of each single step, (B, n).
        ends: bool (R, E), whether a trajectory ends with this transition.
        newest: the row written last.
        rows: int (B,).
        envs: int (B,).
        n_steps: n.
        gamma: discount of one step.
        xp: numpy or jax.numpy.
    """
    steps = xp.arange(n_steps)
    window = (rows[:, None] + steps) % ends.shape[0]
    stops = ends[window, envs[:, None]] | (window == newest)
    lengths = xp.where(stops.any(axis=1), stops.argmax(axis=1) + 1, n_steps)
    gamma = xp.asarray(gamma, xp.float32)
    powers = xp.where(steps < lengths[:, None], xp.power(gamma, steps.astype(xp.float32)), 0.0)
    rewards = (rewards_at(window, envs[:, None]) * powers).sum(axis=1, dtype=xp.float32)
    return NStepReturns(rewards, (rows + lengths - 1) % ends.shape[0], xp.power(gamma, lengths.astype(xp.float32)))
