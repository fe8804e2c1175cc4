"""State relevance f(s) as plain arrays and a pure function, for NumPy, torch and jax.numpy alike."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

Array = Any  # an array of whichever library `xp` is

TINY = 1e-12
UNBOUNDED = float(np.finfo(np.float32).max)


class RelevanceNet(NamedTuple):
    """The arrays of f(s) = <d, g(s)>, g(s) = h(s) / |h(s)|, h a two-layer ReLU network (paper section 4.2).

    Attributes:
        mean: float32 (D,), subtracted from the states.
        scale: float32 (D,), multiplied with the centred states (one over the standard deviation).
        weight_1: float32 (D, H).
        bias_1: float32 (H,).
        weight_2: float32 (H, H).
        bias_2: float32 (H,).
        direction: float32 (H,), a unit vector.
        bound: float32 (), scaled states are clipped to [-bound, bound]; `UNBOUNDED` does not clip.
    """

    mean: Array
    scale: Array
    weight_1: Array
    bias_1: Array
    weight_2: Array
    bias_2: Array
    direction: Array
    bound: Array = np.array(UNBOUNDED, np.float32)


def relevance(net: RelevanceNet, states: Array, xp: Any = np) -> Array:
    """Evaluates f(s) in [-1, 1] (paper section 4.2): float32 (..., D) -> float32 (...)."""
    inputs = xp.clip((states - net.mean) * net.scale, -net.bound, net.bound)
    hidden = inputs @ net.weight_1 + net.bias_1
    hidden = xp.clip(hidden, 0.0, None) @ net.weight_2 + net.bias_2
    norm = xp.sqrt((hidden * hidden).sum(-1))
    return xp.clip(hidden @ net.direction / (norm + TINY), -1.0, 1.0)
