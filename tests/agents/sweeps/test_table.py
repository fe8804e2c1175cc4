"""A sweep is seen as a table, or as lines."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from mvr_agents.runs.metrics import MetricsRow, MetricsWriter
from mvr_agents.sweeps.launch import Job
from mvr_agents.sweeps.table import Lines, shown, standing, summary, table, whole_left
from tests.support.tiny_suite import small_trials


@pytest.fixture
def jobs(tmp_path: Path) -> list[Job]:
    return [Job(trial) for trial in small_trials(tmp_path)]


def run(job: Job, *rows: MetricsRow, attempts: int = 1) -> None:
    job.state, job.attempts = "running", attempts
    job.trial.run.path.mkdir(parents=True, exist_ok=True)
    job.trial.run.metrics.unlink(missing_ok=True)
    writer = MetricsWriter(job.trial.run.metrics)
    for row in rows:
        writer.write(row)


FIRST = MetricsRow(step=0, seconds=1.0, eval_return=5.0, eval_success=0.0)
HALF = MetricsRow(step=120, seconds=60.0, eval_return=12.5, eval_success=0.5)
LATER = MetricsRow(step=160, seconds=80.0)


def test_standing_is_read_from_the_metrics(jobs: list[Job]) -> None:
    assert standing(jobs[0]).step == 0 and np.isnan(standing(jobs[0]).left)
    run(jobs[0])
    assert np.isnan(standing(jobs[0]).task_return)
    run(jobs[0], FIRST, HALF, LATER)
    now = standing(jobs[0])
    assert (now.evaluations, now.step, now.steps, now.task_return, now.success) == (2, 160, 240, 12.5, 0.5)
    assert now.left == 40.0  # 80 steps at two a second


def test_the_rest_of_a_sweep_takes_what_its_trials_take(jobs: list[Job]) -> None:
    run(jobs[0], FIRST, LATER)
    standings = [standing(jobs[0])]
    assert whole_left(jobs, standings, 1) == (80 + 3 * 240) / 2
    assert whole_left(jobs, standings, 2) == (80 + 3 * 240) / 4
    assert whole_left(jobs, standings, 9) == (80 + 3 * 240) / 8
    assert np.isnan(whole_left(jobs, [], 1))


def test_the_table_has_what_runs_and_what_failed(jobs: list[Job]) -> None:
    run(jobs[0], FIRST, HALF, attempts=2)
    run(jobs[1])
    jobs[2].state = "failed"
    jobs[3].state, jobs[3].before = "finished", True
    text = rendered(jobs)
    assert "1 of 4 trials finished (1 of them before), 2 running, 1 failed; 0:03:00 left" in text
    assert "120 of 240 (attempt 2)" in text and "12.5" in text and "50%" in text and "0:01:00" in text
    assert "failed, see" in text and "seed-1/train.log" in "".join(text.split())


def rendered(jobs: list[Job]) -> str:
    console = Console(file=io.StringIO(), width=200)
    console.print(table(jobs, 1))
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_lines_tell_each_event_once(jobs: list[Job]) -> None:
    said: list[str] = []
    lines = Lines(said.append)
    jobs[1].state, jobs[1].before = "finished", True
    lines(jobs)
    assert said == []
    run(jobs[0], FIRST)
    lines(jobs)
    lines(jobs)
    run(jobs[0], FIRST, HALF, LATER)
    lines(jobs)
    jobs[0].state = "waiting"
    lines(jobs)
    run(jobs[0], attempts=2)
    lines(jobs)
    jobs[0].state = "finished"
    lines(jobs)
    assert said == [
        "tiny none seed 0: started",
        "tiny none seed 0: step 0 of 240, return 5.0, success 0%, - left",
        "tiny none seed 0: step 160 of 240, return 12.5, success 50%, 0:00:40 left",
        f"tiny none seed 0: attempt 1 of 3 failed, see {jobs[0].log}",
        "tiny none seed 0: started",
        "tiny none seed 0: finished",
    ]


def test_a_trial_that_fails_and_starts_between_two_looks_is_told(jobs: list[Job]) -> None:
    said: list[str] = []
    lines = Lines(said.append)
    run(jobs[0])
    lines(jobs)
    run(jobs[0], attempts=2)
    lines(jobs)
    assert [line.partition(": ")[2].split(",")[0] for line in said] == ["started", "attempt 1 of 3 failed", "started"]


@pytest.mark.parametrize(("terminal", "expected"), [(True, "12.5"), (False, "tiny none seed 0: started")])
def test_a_terminal_gets_a_table_and_a_file_lines(jobs: list[Job], terminal: bool, expected: str) -> None:
    stream = io.StringIO()
    console = Console(file=stream, force_terminal=terminal, width=150)
    run(jobs[0], FIRST, HALF)
    with shown(console, console.print, 2) as show:
        show(jobs)
        show(jobs)
    assert expected in stream.getvalue()
    assert summary(jobs) == "0 of 4 trials finished, 1 running, 3 waiting"
