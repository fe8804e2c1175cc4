"""Launching: the trials of a sweep as processes of this machine, some at a time."""

from __future__ import annotations

import contextlib
import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from mvr_agents.sweeps.folders import LOG, clear, goes_on, held, is_finished
from mvr_agents.sweeps.trials import Trial
from mvr_agents.sweeps.words import train_words

State = Literal["waiting", "running", "finished", "stopped", "failed"]

ATTEMPTS = 3
WORKER = (sys.executable, "-m", "mvr_agents.worker")
ONE_THREAD = {name: "1" for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NPROC")}
"""What keeps a process to one core: NumPy, torch, and with NPROC XLA. Values of the environment go before these."""
POLL = 0.2  # seconds


@dataclass(slots=True, eq=False)
class Job:
    """A trial and how far it has come.

    Attributes:
        trial: what is run.
        state: "stopped" was told to stop before its end.
        before: whether it was finished before this sweep began.
        attempts: how often it was started.
        began: `time.monotonic()` of the last start.
        slot: which of the places for processes it has.
        process: the running one.
    """

    trial: Trial
    state: State = "waiting"
    before: bool = False
    attempts: int = 0
    began: float = 0.0
    slot: int = -1
    process: subprocess.Popen[bytes] | None = None

    @property
    def log(self) -> Path:
        """What its processes printed."""
        return self.trial.run.path / LOG

    def last_words(self) -> str:
        """Returns the last line of its log; empty if there is none."""
        if not self.log.is_file():
            return ""
        lines = self.log.read_text(encoding="utf-8", errors="replace").split("\n")
        return next((line.strip() for line in reversed(lines) if line.strip()), "")


def jobs_of(trials: Sequence[Trial]) -> list[Job]:
    """Returns a job for each trial, those finished whose folder holds a whole run.

    Raises:
        ConfigError: a folder holds something else than a run of its trial.
    """
    done = [is_finished(trial) for trial in trials]
    return [Job(t, "finished" if whole else "waiting", before=whole) for t, whole in zip(trials, done, strict=True)]


def launch(
    jobs: Sequence[Job],
    at_once: int,
    *,
    stop: Callable[[], bool],
    show: Callable[[Sequence[Job]], object],
    notify: Callable[[str], object] = lambda line: None,
    gpus: Sequence[str] = (),
    worker: Sequence[str] = WORKER,
) -> None:
    """Runs what is not finished, each up to `ATTEMPTS` times, and returns when nothing runs any more.

    What has a checkpoint goes on from the latest. Where an exception leaves this, such as a second Ctrl-C, what runs is
    ended first.

    Args:
        jobs: see `jobs_of`; their states tell what came of them.
        at_once: processes at a time.
        stop: once true, nothing is started, and what runs is told to stop as by Ctrl-C.
        show: told the jobs several times a second.
        notify: told in a line that what runs has been told to stop.
        gpus: names of GPUs, of which processes get one each in turn; with fewer than two they see all there are.
        worker: command to which the words of `mvr` are added.

    Raises:
        ConfigError: another sweep runs in the same folder, or it cannot be written to.
    """
    told = False
    with held({job.trial.folder_of_suite for job in jobs}), _ended(jobs):
        while True:
            for job in jobs:
                _look_after(job, stopping=told)
            if stop() and not told:
                told = True
                notify("stopping: what runs saves what it has; Ctrl-C again ends it at once")
                for job in _running(jobs):
                    _process(job).send_signal(signal.SIGINT)
            if not told:
                _fill(jobs, at_once, gpus, worker)
            show(jobs)
            if not any(_running(jobs)):
                return
            time.sleep(POLL)


def _running(jobs: Sequence[Job]) -> Iterator[Job]:
    return (job for job in jobs if job.state == "running")


def _process(job: Job) -> subprocess.Popen[bytes]:
    assert job.process is not None
    return job.process


def _look_after(job: Job, *, stopping: bool) -> None:
    """Takes note of a process that has ended."""
    if job.state != "running" or _process(job).poll() is None:
        return
    close(job)
    if job.trial.run.finished.is_file():
        job.state = "finished"
    elif stopping:
        job.state = "stopped"
    else:
        job.state = "waiting" if job.attempts < ATTEMPTS else "failed"


def _fill(jobs: Sequence[Job], at_once: int, gpus: Sequence[str], worker: Sequence[str]) -> None:
    """Starts waiting trials while there is room for them."""
    free = sorted(set(range(at_once)) - {job.slot for job in _running(jobs)})
    waiting = [job for job in jobs if job.state == "waiting"]
    for job, slot in zip(waiting, free, strict=False):
        job.slot = slot
        start(job, gpus[slot % len(gpus)] if len(gpus) > 1 else None, worker)


def start(job: Job, gpu: str | None, worker: Sequence[str]) -> None:
    """Starts the process of a job, from its latest checkpoint if there is one.

    Args:
        job: it becomes "running".
        gpu: name of the only GPU that it sees; None leaves it all there are.
        worker: command to which the words of `mvr` are added.
    """
    if goes_on(job.trial):
        words = ["train", "--resume", str(job.trial.run.path)]
    else:
        clear(job.trial)
        words = train_words(job.trial.config)
    environment = ONE_THREAD | os.environ | ({} if gpu is None else {"CUDA_VISIBLE_DEVICES": gpu})
    with job.log.open("ab") as log:
        log.write(f"# {time.strftime('%Y-%m-%d %H:%M:%S')}: mvr {shlex.join(words)}\n".encode())
        log.flush()
        job.process = subprocess.Popen(  # in a session of its own, where Ctrl-C of the terminal does not reach it
            [*worker, *words],
            env=environment,
            stdin=subprocess.PIPE,  # closed by the end of this process, however it ends: see mvr_agents.worker
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    job.state, job.attempts, job.began = "running", job.attempts + 1, time.monotonic()


def close(job: Job) -> None:
    """Lets go of a process that has ended."""
    process = _process(job)
    if process.stdin is not None:
        process.stdin.close()
    job.process = None


@contextlib.contextmanager
def _ended(jobs: Sequence[Job]) -> Iterator[None]:
    """Ends at the end of the block what still runs, and the processes that it started."""
    try:
        yield
    finally:
        for job in _running(jobs):
            end(job)
            job.state = "stopped"


def end(job: Job) -> None:
    """Ends the process of a job, if it has one, and those that it started."""
    if job.process is None:
        return
    with contextlib.suppress(ProcessLookupError):
        os.killpg(job.process.pid, signal.SIGKILL)
    job.process.wait()
    close(job)
