"""`mvr sweep`: many runs, on the cores and GPUs of this machine."""

from __future__ import annotations

import os
import shlex
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Literal

import tyro

from mvr_agents.command.terminal import console, say
from mvr_agents.sweeps.estimate import estimate, measure
from mvr_agents.sweeps.launch import ATTEMPTS, Job, jobs_of, launch
from mvr_agents.sweeps.suites import choose, read_seeds
from mvr_agents.sweeps.table import shown, summary
from mvr_agents.sweeps.trials import Trial, crossed, trials
from mvr_wrappers.errors import ConfigError
from mvr_wrappers.tasks.files import read_value

FAILED, INTERRUPTED = 1, 130


@dataclass(frozen=True, slots=True)
class SweepArgs:
    """Run suites, or tasks, with each of their arms and seeds; what is finished already is not run again.

    Each run is a process of its own with one thread, and writes OUTPUTS/<suite>/<task>/<arm>/seed-<n>/, its log beside
    the rest; <suite> is "sweep" for tasks given by name. What fails is tried twice more. After Ctrl-C, or when the
    machine was switched off, the same command goes on.

    Attributes:
        targets: suites of the registry or of --file, tasks, or both.
        seeds: in place of the suites' own: numbers, or a range such as 0..4. Of tasks given by name: 0 alone.
        arms: which arms; without it, all of a suite. Tasks given by name have mvr, none (not shaped) and potential, and
            run mvr alone unless told.
        changes: an option of `mvr train` and its values, as in weight=0.01,0.1 or clip.film-every=1,4: each arm is run
            with each of them, and with each combination where several options are given. Arms that are not shaped are
            not multiplied by options of shaping.
        jobs: processes at a time; without it, one for each core.
        engine: what runs them: processes of this machine.
        steps: env steps of each run, in place of what suite, preset and task say.
        preset: of tasks given by name.
        outputs: where the folders of suites are written.
        dry_run: say what would be run, and by what was measured before, how long it takes.
        file: a task file of your own, with suites and tasks besides the shipped ones.
    """

    targets: Annotated[tuple[str, ...], tyro.conf.Positional, tyro.conf.arg(metavar="SUITE-OR-TASK [...]")] = ()
    seeds: Annotated[tuple[str, ...], tyro.conf.arg(metavar="[SEED ...]")] = ()
    arms: Annotated[tuple[str, ...], tyro.conf.arg(metavar="[ARM ...]")] = ()
    changes: Annotated[tuple[str, ...], tyro.conf.arg(name="set", metavar="[OPTION=VALUE,... ...]")] = ()
    jobs: int | None = None
    engine: Literal["local"] = "local"
    steps: int | None = None
    preset: str = "default"
    outputs: Path = Path("outputs")
    dry_run: bool = False
    file: Path | None = None


def sweep(args: SweepArgs) -> int:
    """Runs what is not finished, and says what came of it."""
    at_once = cores() if args.jobs is None else args.jobs
    if at_once < 1:
        raise ConfigError(f"jobs is {at_once}; give at least 1")
    jobs = jobs_of(_planned(args))
    if args.dry_run:
        _tell_plan(jobs, at_once, args.outputs)
        return 0
    return _run(jobs, at_once)


def _planned(args: SweepArgs) -> list[Trial]:
    suites = choose(args.targets, args.file, arms=args.arms, preset=args.preset)
    if args.seeds:
        seeds = read_seeds(args.seeds, "--seeds")
        suites = [replace(suite, seeds=seeds) for suite in suites]
    changes = dict(map(_change, args.changes))
    suites = [replace(suite, arms=crossed(suite.arms, changes)) for suite in suites]
    return trials(suites, args.outputs, steps=args.steps)


def _change(word: str) -> tuple[str, list[Any]]:
    """Reads "weight=0.01,0.1"."""
    option, equals, values = word.partition("=")
    if not equals or not option or not values:
        raise ConfigError(f"--set {word}: write an option and its values, as in weight=0.01,0.1")
    return option, read_value(f"[{values}]")


def _run(jobs: Sequence[Job], at_once: int) -> int:
    from mvr_agents.runs.interrupt import stop_on_signal

    gpus = gpus_here()
    with stop_on_signal() as stop, shown(console, say, at_once) as show:
        launch(jobs, at_once, stop=lambda: bool(stop), show=show, gpus=gpus, notify=say)
    say(summary(jobs))
    failed = [job for job in jobs if job.state == "failed"]
    for job in failed:
        say(f"failed {ATTEMPTS} times: {job.trial.name}, see {job.log}: {job.last_words()}")
    if stop:
        say("interrupted; the same command goes on")
        return INTERRUPTED
    if not failed:
        folders = dict.fromkeys(str(job.trial.folder_of_suite) for job in jobs)
        say(f"to compare them: mvr report {shlex.join(folders)}")
    return FAILED if failed else 0


def cores() -> int:
    """Returns how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def gpus_here() -> list[str]:
    """Returns the names of the GPUs that this process may use."""
    from mvr_agents.runs.provenance import gpu_names

    return _gpus(len(gpu_names()))


def _gpus(count: int) -> list[str]:
    """Names the GPUs that this process may use, as CUDA does."""
    allowed = os.environ.get("CUDA_VISIBLE_DEVICES")
    return [str(i) for i in range(count)] if allowed is None else [name for name in allowed.split(",") if name]


def _tell_plan(jobs: Sequence[Job], at_once: int, outputs: Path) -> None:
    for job in jobs:
        done = " (finished)" if job.state == "finished" else ""
        say(f"{job.trial.run.path}: {job.trial.config.hyperparameters['steps']:,} steps{done}")
    say(summary(jobs))
    open_ = [job.trial.config for job in jobs if job.state != "finished"]
    measured = measure(outputs)
    if not measured:
        say(f"nothing has been measured yet: no finished run below {outputs}; run `mvr sweep smoke` first")
    elif open_:
        cost = estimate(open_, measured)
        sums = f"{cost.seconds / 3600:.2f} hours one after the other, {cost.size / 1e9:.3f} GB"
        beside = timedelta(seconds=round(cost.seconds / min(at_once, len(open_))))
        say(f"by {len(measured)} finished runs: {sums}; with {at_once} at a time about {beside}")
        if cost.unlike:
            say(f"{cost.unlike} of the {len(open_)} are of a task, learner or scorer that no finished run had: a guess")
