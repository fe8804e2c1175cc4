"""How sure a share is that was counted on a few cases."""

from __future__ import annotations

import math

Z_95 = 1.959964
"""Standard normal deviate that 95% lie within."""


def wilson_interval(share: float, count: int, z: float = Z_95) -> tuple[float, float]:
    """Returns the score interval of a share (Wilson 1927, Journal of the American Statistical Association 22, p. 209).

    It holds the shares p with |share - p| <= z sqrt(p (1 - p) / count), that is
    (share + z^2 / 2n +- z sqrt(share (1 - share) / n + z^2 / 4n^2)) / (1 + z^2 / n) with n = count.

    Args:
        share: of the cases, in [0, 1].
        count: independent cases, at least 1.
        z: standard normal deviate; the default gives 95%.
    """
    square = z**2 / count
    middle = share + square / 2
    half = z * math.sqrt(share * (1 - share) / count + square / (4 * count))
    return max(0.0, (middle - half) / (1 + square)), min(1.0, (middle + half) / (1 + square))
