"""What a sweep will take is reckoned from the finished runs that are most like its own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from mvr_agents.runs.config import TrainConfig
from mvr_agents.sweeps.estimate import Estimate, Measured, estimate, measure
from tests.support.run_folders import write_run


def config(task: str = "tiny", steps: int = 100, **options: Any) -> TrainConfig:
    return TrainConfig.for_task(task, hyperparameters={"steps": steps}, **options)


def test_finished_runs_are_measured(tmp_path: Path) -> None:
    run = write_run(tmp_path / "a" / "seed-0", [0, 1, 2])  # 200 steps, an hour
    write_run(tmp_path / "a" / "seed-1", [0, 1], seed=1, finished=False)
    broken = write_run(tmp_path / "a" / "seed-2", [0, 1], seed=2)
    broken.finished.write_text("{")
    (found,) = measure(tmp_path)
    assert found.seconds_per_step == 18.0 and found.config == run.read_config()
    assert found.size == sum(path.stat().st_size for path in run.path.iterdir())
    assert measure(tmp_path / "absent") == []


def test_the_likest_runs_count() -> None:
    measured = [
        Measured(config(), 1.0, 10),
        Measured(config(), 3.0, 30),
        Measured(config(shaping=False), 0.5, 4),
        Measured(config("push-v3"), 7.0, 1),
        Measured(config(agent="sb3-tqc"), 100.0, 1000),
    ]
    assert estimate([config(steps=10)], measured) == Estimate(20.0, 20.0, 0)
    assert estimate([config(steps=10, shaping=False), config()], measured) == Estimate(5.0 + 200.0, 24.0, 0)
    # Of another task without shaping nothing was measured: the tiny one's stands in, the scorer being none as well.
    assert estimate([config("push-v3", steps=10, shaping=False)], measured) == Estimate(5.0, 4.0, 1)
    assert estimate([config(steps=10, agent="sb3-tqc", shaping=False)], measured).unlike == 1


@pytest.mark.parametrize("steps", [1, 1000])
def test_time_grows_with_steps_and_size_does_not(steps: int) -> None:
    assert estimate([config(steps=steps)], [Measured(config(), 2.0, 5)]) == Estimate(2.0 * steps, 5.0, 0)
