"""Running statistics of states and of scores, accumulated in float64."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mvr_wrappers.arrays import Arrays

ROUNDING = 1e-6


class RunningMoments:
    """Mean and deviation of every feature of all states ever seen (Chan et al. 1983)."""

    __slots__ = ("count", "m2", "mean")

    def __init__(self) -> None:
        self.count = 0
        self.mean: NDArray[np.float64] = np.zeros(0)
        self.m2: NDArray[np.float64] = np.zeros(0)

    def update(self, states: NDArray[np.float32]) -> None:
        """Takes in states (..., D)."""
        rows = states.reshape(-1, states.shape[-1]).astype(np.float64)
        count, mean = len(rows), rows.mean(axis=0)
        m2 = ((rows - mean) ** 2).sum(axis=0)
        if self.count == 0:
            self.count, self.mean, self.m2 = count, mean, m2
            return
        delta, total = mean - self.mean, self.count + count
        self.mean = self.mean + delta * (count / total)
        self.m2 = self.m2 + m2 + delta**2 * (self.count * count / total)
        self.count = total

    def std(self, constant: float = ROUNDING) -> NDArray[np.float64]:
        """Returns the deviations (D,), 1 for features that count as constant.

        Args:
            constant: these are the features whose deviation is below this share of max(1, |mean|), in their own units,
                and below half the median deviation of those that vary, so that states in small units are not lost.
        """
        std, scale = np.sqrt(self.m2 / self.count), np.maximum(1.0, np.abs(self.mean))
        varies = std > ROUNDING * scale
        usual = float(np.median(std[varies])) if varies.any() else 0.0
        return np.where(varies & (std >= np.minimum(constant * scale, 0.5 * usual)), std, 1.0)

    def state_dict(self) -> dict[str, NDArray[Any]]:
        """Returns the statistics as named arrays."""
        return {"count": np.array(self.count), "mean": self.mean, "m2": self.m2}

    def load_state_dict(self, arrays: Arrays) -> None:
        """Takes over saved statistics."""
        self.count, self.mean, self.m2 = int(arrays["count"]), np.array(arrays["mean"]), np.array(arrays["m2"])


class ViewMeans:
    """Mean score of every view over all clips ever seen.

    Cameras differ in how well any behaviour matches the sentence. Differences of centred scores compare behaviour.
    """

    __slots__ = ("count", "total")

    def __init__(self) -> None:
        self.count: NDArray[np.int64] = np.zeros(0, np.int64)
        self.total: NDArray[np.float64] = np.zeros(0)

    def update(self, views: NDArray[np.int64], scores: NDArray[np.float32]) -> None:
        """Takes in the scores (R,) of rows filmed from `views` (R,)."""
        size = max(len(self.count), int(views.max()) + 1)
        missing = size - len(self.count)
        self.count = np.pad(self.count, (0, missing)) + np.bincount(views, minlength=size)
        self.total = np.pad(self.total, (0, missing)) + np.bincount(views, scores.astype(np.float64), minlength=size)

    @property
    def offsets(self) -> NDArray[np.float64]:
        """(n,): each view's mean less the mean of all rows, 0 for a view never seen.

        Subtracting these instead of the view means keeps centred scores on the scale of cosines.
        """
        overall = self.total.sum() / max(self.count.sum(), 1)
        return np.where(self.count > 0, self.total / np.maximum(self.count, 1) - overall, 0.0)

    def state_dict(self) -> dict[str, NDArray[Any]]:
        """Returns the statistics as named arrays."""
        return {"count": self.count, "total": self.total}

    def load_state_dict(self, arrays: Arrays) -> None:
        """Takes over saved statistics."""
        self.count, self.total = np.array(arrays["count"]), np.array(arrays["total"])
