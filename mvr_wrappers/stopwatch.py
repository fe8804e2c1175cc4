"""Stopwatch: what work of one kind has cost so far."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

Value = TypeVar("Value")


@dataclass(slots=True)
class Stopwatch:
    """Sums up wall time.

    Attributes:
        seconds: so far.
    """

    seconds: float = 0.0

    def time(self, work: Callable[[], Value]) -> Value:
        """Does it, and adds the time it takes."""
        began = time.perf_counter()
        value = work()
        self.seconds += time.perf_counter() - began
        return value
