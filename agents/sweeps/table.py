"""A sweep as it is seen: a table that is kept up to date on a terminal, a line for each event elsewhere."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from mvr_agents.runs.metrics import NAN, read_metrics
from mvr_agents.sweeps.launch import ATTEMPTS, Job, State
from mvr_wrappers.errors import ConfigError

Show = Callable[[Sequence[Job]], object]

EVERY = 1.0  # seconds between two looks at the files of running trials


@dataclass(frozen=True, slots=True)
class Standing:
    """How far a trial has come, by its metrics; NaN while nothing is known.

    Attributes:
        evaluations: made so far.
        step: env steps.
        steps: env steps of the whole training.
        task_return: of the last evaluation.
        success: of the last evaluation, at any step.
        left: seconds that the rest will take at the pace so far.
    """

    evaluations: int
    step: int
    steps: int
    task_return: float
    success: float
    left: float


def standing(job: Job) -> Standing:
    """Reads how far a trial has come."""
    steps = job.trial.config.hyperparameters["steps"]
    try:
        metrics = read_metrics(job.trial.run.metrics)
    except ConfigError:  # not there yet
        return Standing(0, 0, steps, NAN, NAN, NAN)
    if not len(metrics["step"]):
        return Standing(0, 0, steps, NAN, NAN, NAN)
    step, seconds = metrics["step"][-1], metrics["seconds"][-1]
    left = (steps - step) * seconds / step if step else NAN
    returns, success = metrics["eval_return"], _last(metrics["eval_success"])
    return Standing(int(np.isfinite(returns).sum()), int(step), steps, _last(returns), success, float(left))


def _last(column: NDArray[np.float64]) -> float:
    known = column[np.isfinite(column)]
    return float(known[-1]) if len(known) else NAN


def whole_left(jobs: Sequence[Job], standings: Sequence[Standing], at_once: int) -> float:
    """Returns the seconds until the whole sweep is over, at the pace of the trials that run; NaN if none has one."""
    paces = [s.left / (s.steps - s.step) for s in standings if np.isfinite(s.left) and s.step < s.steps]
    if not paces:
        return NAN
    waiting = [job.trial.config.hyperparameters["steps"] for job in jobs if job.state == "waiting"]
    steps = sum(waiting) + sum(s.steps - s.step for s in standings)
    return steps * float(np.mean(paces)) / min(at_once, len(standings) + len(waiting))


def summary(jobs: Sequence[Job]) -> str:
    """Returns one line: how many trials are in which state."""
    count = Counter(job.state for job in jobs)
    states: tuple[State, ...] = ("running", "waiting", "stopped", "failed")
    before = sum(job.before for job in jobs)
    earlier = f" ({before} of them before)" if before else ""
    rest = "".join(f", {count[state]} {state}" for state in states if count[state])
    return f"{count['finished']} of {len(jobs)} trials finished{earlier}{rest}"


def table(jobs: Sequence[Job], at_once: int) -> Table:
    """Returns the trials that run and those that failed."""
    running = [job for job in jobs if job.state == "running"]
    standings = [standing(job) for job in running]
    left = whole_left(jobs, standings, at_once)
    title = Text(summary(jobs) + (f"; {_duration(left)} left" if np.isfinite(left) else ""))
    made = Table("task", "arm", "seed", "step", "return", "success", "ETA", title=title, title_justify="left")
    for job, now in zip(running, standings, strict=True):
        again = f" (attempt {job.attempts})" if job.attempts > 1 else ""
        made.add_row(*_cells(job), f"{now.step:,} of {now.steps:,}{again}", *_numbers(now))
    for job in jobs:
        if job.state == "failed":
            made.add_row(*_cells(job), Text(f"failed, see {job.log}", style="red", overflow="fold"))
    return made


def _cells(job: Job) -> tuple[Text, Text, Text]:
    trial = job.trial
    return Text(trial.task), Text(trial.arm), Text(str(trial.config.seed))


def _numbers(now: Standing) -> tuple[str, str, str]:
    return _form(now.task_return, "{:.1f}"), _form(now.success, "{:.0%}"), _duration(now.left)


def _form(value: float, form: str) -> str:
    return form.format(value) if np.isfinite(value) else "-"


def _duration(seconds: float) -> str:
    return str(timedelta(seconds=round(seconds))) if np.isfinite(seconds) else "-"


class Lines:
    """Says what has changed since the last look, a line for each: starts, evaluations, ends.

    Args:
        say: takes a line.
    """

    def __init__(self, say: Callable[[str], object]) -> None:
        self._say = say
        self._known: dict[Job, tuple[State, int, int]] = {}

    def __call__(self, jobs: Sequence[Job]) -> None:
        """Looks at the jobs."""
        for job in jobs:
            state, attempts, seen = self._known.get(job, ("finished" if job.before else "waiting", 0, 0))
            if (state, attempts) != (job.state, job.attempts):
                seen = 0
                for line in self._changes(job, state, attempts):
                    self._say(line)
            if job.state == "running":
                now = standing(job)
                if now.evaluations > seen:
                    task_return, success, left = _numbers(now)
                    result = f"return {task_return}, success {success}, {left} left"
                    self._say(f"{job.trial.name}: step {now.step:,} of {now.steps:,}, {result}")
                    seen = now.evaluations
            self._known[job] = job.state, job.attempts, seen

    @staticmethod
    def _changes(job: Job, state: State, attempts: int) -> Iterator[str]:
        if state == "running" and (job.attempts > attempts or job.state in ("waiting", "failed")):
            yield f"{job.trial.name}: attempt {attempts} of {ATTEMPTS} failed, see {job.log}"
        if job.attempts > attempts:
            yield f"{job.trial.name}: started"
        if job.state in ("finished", "stopped"):
            yield f"{job.trial.name}: {job.state}"


@contextmanager
def shown(console: Console, say: Callable[[str], object], at_once: int) -> Iterator[Show]:
    """Yields what shows the jobs: in a table on a terminal, gone at the end; as lines elsewhere."""
    if not console.is_terminal:
        yield _now_and_then(Lines(say))
        return
    with Live(console=console, transient=True, auto_refresh=False) as live:
        yield _now_and_then(lambda jobs: live.update(table(jobs, at_once), refresh=True))


def _now_and_then(show: Show) -> Show:
    """Returns `show`, but called only every `EVERY` seconds, and whenever a job's state has changed."""
    last = -EVERY
    seen: list[tuple[State, int]] = []

    def look(jobs: Sequence[Job]) -> None:
        nonlocal last, seen
        states = [(job.state, job.attempts) for job in jobs]
        if states != seen or time.monotonic() >= last + EVERY:
            show(jobs)
            last, seen = time.monotonic(), states

    return look
