"""evaluations.npz: every episode of every evaluation of a run, so that means can be taken over what one likes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mvr_agents.runs.evaluate import Evaluation
from mvr_wrappers.engine.arrays_file import read_arrays, write_arrays
from mvr_wrappers.errors import ConfigError, EngineError

FORMAT = 1
"""Of evaluations.npz. Raise it where an array gets another name or meaning."""


@dataclass(frozen=True, slots=True, eq=False)
class Evaluations:
    """K evaluations of N episodes each, in the order in which they were made.

    Attributes:
        steps: int64 (K,), env steps of training before each evaluation, over all sub-envs.
        seconds: float64 (K,), wall time since training began, each evaluation included.
        returns: float64 (K, N), undiscounted sums of the task's reward.
        lengths: int64 (K, N), steps of the episodes.
        successes: bool (K, N), whether the env reported success at any step; None if it never said.
        last_successes: bool (K, N), whether it did at the last step; None if it never said.
    """

    steps: NDArray[np.int64]
    seconds: NDArray[np.float64]
    returns: NDArray[np.float64]
    lengths: NDArray[np.int64]
    successes: NDArray[np.bool_] | None
    last_successes: NDArray[np.bool_] | None

    def first(self, count: int) -> Evaluations:
        """Returns the first evaluations alone."""
        names = ("steps", "seconds", "returns", "lengths", "successes", "last_successes")
        columns = (getattr(self, name) for name in names)
        return Evaluations(*(None if column is None else column[:count] for column in columns))  # type: ignore[arg-type]


class EvaluationsWriter:
    """Keeps the evaluations of a run; the file is written whole at each, so that a run that dies leaves what it had.

    Args:
        path: the file.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._moments: list[tuple[int, float]] = []
        self._results: list[Evaluation] = []

    @property
    def count(self) -> int:
        """Evaluations taken in so far."""
        return len(self._moments)

    def keep(self, count: int) -> None:
        """Goes on from the first evaluations of the file; those after them are dropped at the next `add`.

        Raises:
            ConfigError: it is damaged, or has not so many.
        """
        if count == 0:
            return
        saved = read_evaluations(self._path)
        if len(saved.steps) < count:
            raise ConfigError(f"{self._path} has {len(saved.steps)} evaluations of {count}; it was changed since")
        self._moments = [(int(saved.steps[i]), float(saved.seconds[i])) for i in range(count)]
        said, said_last = saved.successes, saved.last_successes
        self._results = [
            Evaluation(
                saved.returns[i],
                saved.lengths[i],
                None if said is None else said[i],
                None if said_last is None else said_last[i],
            )
            for i in range(count)
        ]

    def add(self, step: int, seconds: float, result: Evaluation) -> None:
        """Takes in an evaluation made after `step` env steps and `seconds` of wall time, and writes all there are."""
        self._moments.append((step, seconds))
        self._results.append(result)
        steps, times = zip(*self._moments, strict=True)
        arrays = {
            "steps": np.array(steps, np.int64),
            "seconds": np.array(times, np.float64),
            "returns": np.stack([result.returns for result in self._results]),
            "lengths": np.stack([result.lengths for result in self._results]),
        }
        for name in ("successes", "last_successes"):
            rows = [getattr(result, name) for result in self._results]
            if any(row is not None for row in rows):  # an evaluation in which the env said nothing had no success
                none = np.zeros_like(arrays["returns"][0], np.bool_)
                arrays[name] = np.stack([none if row is None else row for row in rows])
        write_arrays(self._path, {"format": FORMAT}, arrays)


def read_evaluations(path: Path) -> Evaluations:
    """Reads the evaluations of a run.

    Raises:
        ConfigError: no such file, a damaged one, or one that a newer version wrote.
    """
    if not path.is_file():
        raise ConfigError(f"there is no {path}; it is written at the first evaluation of `mvr train`")
    try:
        header, arrays = read_arrays(path)
        if header.get("format") != FORMAT:
            raise ConfigError(f"{path} has format {header.get('format')}, and this version reads {FORMAT}")
        always = {name: arrays[name] for name in ("steps", "seconds", "returns", "lengths")}
        return Evaluations(**always, successes=arrays.get("successes"), last_successes=arrays.get("last_successes"))
    except (EngineError, KeyError, AttributeError) as error:
        raise ConfigError(f"{path} is damaged; delete the folder and train that run again") from error
