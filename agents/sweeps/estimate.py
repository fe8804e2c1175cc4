"""What a sweep will take, by what finished runs took."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from mvr_agents.runs.config import TrainConfig
from mvr_agents.runs.finished import read_finished
from mvr_agents.runs.run_dir import RunDirectory
from mvr_wrappers.errors import MVRError


@dataclass(frozen=True, slots=True)
class Measured:
    """A finished run.

    Attributes:
        config: as it was trained.
        seconds_per_step: wall time of training and evaluation over env steps.
        size: bytes of its folder.
    """

    config: TrainConfig
    seconds_per_step: float
    size: int


@dataclass(frozen=True, slots=True)
class Estimate:
    """What runs will take one after the other.

    Attributes:
        seconds: wall time.
        size: bytes on disk.
        unlike: how many of the runs are of a kind of which none was measured: another task, learner, or scorer.
    """

    seconds: float
    size: float
    unlike: int


def measure(outputs: Path) -> list[Measured]:
    """Returns the finished runs below a folder; those that this version cannot read are left out."""
    found = []
    for path in sorted(outputs.rglob("finished.json")):
        run = RunDirectory(path.parent)
        try:
            finished, config = read_finished(path), run.read_config()
        except MVRError:
            continue
        size = sum(file.stat().st_size for file in run.path.rglob("*") if file.is_file())
        found.append(Measured(config, finished.seconds / max(finished.steps, 1), size))
    return found


def estimate(configs: Iterable[TrainConfig], measured: Sequence[Measured]) -> Estimate:
    """Returns what runs will take, each by the median of the measured runs most like it.

    Args:
        configs: of the runs.
        measured: at least one.
    """
    seconds, size, unlike = 0.0, 0.0, 0
    for config in configs:
        alike = [_likeness(config, run.config) for run in measured]
        nearest = [run for run, same in zip(measured, alike, strict=True) if same == max(alike)]
        seconds += config.hyperparameters["steps"] * statistics.median(run.seconds_per_step for run in nearest)
        size += statistics.median(run.size for run in nearest)
        unlike += max(alike) < (1, 1, 1, 1)
    return Estimate(seconds, size, unlike)


def _likeness(one: TrainConfig, other: TrainConfig) -> tuple[int, ...]:
    """Returns a value that is greater the more alike the costs of two runs are; all ones for runs of one kind."""
    scorers = [config.scorer if config.shaping else None for config in (one, other)]
    return (
        int(one.shaping == other.shaping),
        int(one.agent == other.agent),
        int(scorers[0] == scorers[1]),
        int(one.task == other.task),
    )
