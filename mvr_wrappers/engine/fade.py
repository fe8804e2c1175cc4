"""Fade: how large the shaping is beside the task reward, lately."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray


class Fade:
    """Mean |shaping| over mean |task reward| of the latest steps; guidance that fades falls towards 0.

    The latest are the steps since the last `turn`, and those between it and the turn before.
    """

    __slots__ = ("_before", "_now")

    def __init__(self) -> None:
        self._now: NDArray[np.float64] = np.zeros(2)  # sums of |shaping| and of |task reward|
        self._before: NDArray[np.float64] = np.zeros(2)

    def add(self, shaping: NDArray[np.floating], task_rewards: NDArray[np.floating]) -> None:
        """Takes in what steps were paid, (N,) both."""
        self._now += np.abs(shaping).sum(), np.abs(task_rewards).sum()

    def turn(self) -> None:
        """Begins a new stretch of steps, and forgets the one before the last."""
        self._before, self._now = self._now, np.zeros(2)

    @property
    def value(self) -> float:
        """The ratio; NaN while the task has paid nothing."""
        shaping, task = (self._before + self._now).tolist()
        return shaping / task if task else math.nan

    def to_list(self) -> list[list[float]]:
        """Returns everything, as JSON can hold it."""
        return [self._before.tolist(), self._now.tolist()]

    @classmethod
    def from_list(cls, sums: list[list[float]]) -> Fade:
        """Returns what `to_list` described."""
        fade = cls()
        fade._before, fade._now = (np.array(part) for part in sums)
        return fade
