"""A search for good options: trials that Optuna proposes, each a run in a process of its own, bad ones ended early."""

from __future__ import annotations

import hashlib
import json
import signal
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import numpy as np
import optuna
from optuna.trial import FrozenTrial, TrialState

from mvr_agents.runs.evaluations import Evaluations, read_evaluations
from mvr_agents.sweeps.folders import held
from mvr_agents.sweeps.launch import ATTEMPTS, POLL, WORKER, Job, close, end, start
from mvr_agents.sweeps.scores import METRICS, MetricName
from mvr_agents.sweeps.space import Range, Space
from mvr_agents.sweeps.suites import Arm, Suite
from mvr_agents.sweeps.trials import Trial, changed, trials
from mvr_wrappers.errors import ConfigError

STUDY = "study.db"
WARM_UP = 5
"""Trials that run to their end before any other is compared with them."""
_OVER = (TrialState.COMPLETE, TrialState.PRUNED)
_STOPPED, _AGAIN = "stopped", "again"
"""Attributes of trials: that they were stopped, and the number of one, stopped or killed, that they stand for."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What is searched.

    Attributes:
        task: a name, or `FILE.yaml:NAME`.
        preset: that the options of the space change.
        space: what is tried.
        metric: what counts.
        seed: of every run, and of what is proposed.
        steps: env steps of a run; None is what preset and task say.
        outputs: where OUTPUTS/tune/<task>/ is written.
    """

    task: str
    preset: str
    space: Space
    metric: MetricName
    seed: int
    steps: int | None
    outputs: Path

    def trial(self, values: dict[str, Any]) -> Trial:
        """Returns the run of some values, in a folder that is named after them.

        Raises:
            ConfigError: an option that does not exist, or a value that cannot work.
        """
        digest = hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()[:8]
        arm = Arm(f"trial-{digest}", self.preset, changed(Arm("", self.preset, {}), values, "space").options)
        suite = Suite("tune", (self.task,), (arm,), (self.seed,), "the space")
        (trial,) = trials([suite], self.outputs, steps=self.steps)
        return trial

    def check(self) -> None:
        """Makes sure that a run can be made of the least of each range and the first of each list.

        Raises:
            ConfigError: an option that does not exist, or a value that cannot work.
            UnknownNameError: no such task or preset.
        """
        self.trial({name: part.low if isinstance(part, Range) else part.values[0] for name, part in self.space.items()})

    @property
    def folder(self) -> Path:
        """OUTPUTS/tune/<task>/."""
        return self.outputs / "tune" / self.task.rpartition(":")[2].removeprefix("MVR/")

    def to_json(self) -> dict[str, Any]:
        """Returns what a study must have been begun with to go on."""
        space = {name: repr(part) for name, part in self.space.items()}
        return {"preset": self.preset, "metric": self.metric, "seed": self.seed, "steps": self.steps, "space": space}


def open_study(plan: Plan) -> optuna.Study:
    """Returns the study of a plan, begun now or before.

    Raises:
        ConfigError: the folder holds a study of another plan; the first difference is named.
    """
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    plan.folder.mkdir(parents=True, exist_ok=True)
    study = optuna.create_study(
        storage=f"sqlite:///{plan.folder / STUDY}",
        study_name=plan.folder.name,
        direction="maximize" if METRICS[plan.metric].more_is_better else "minimize",
        sampler=optuna.samplers.TPESampler(seed=plan.seed),
        pruner=optuna.pruners.MedianPruner(n_startup_trials=WARM_UP, n_warmup_steps=1),
        load_if_exists=True,
    )
    wanted = plan.to_json()
    begun = study.user_attrs.get("plan", wanted)
    for key, value in wanted.items():
        if begun.get(key) != value:
            raise ConfigError(
                f"{plan.folder} holds a search with {key} {begun.get(key)}, and it would now be {value}; give other "
                "--outputs, or delete that folder"
            )
    study.set_user_attr("plan", wanted)
    begun_before = study.get_trials(deepcopy=False)
    for trial in begun_before:
        killed = trial.state is TrialState.RUNNING  # its search was
        if killed:
            study.tell(trial.number, state=TrialState.FAIL)
        if (killed or _STOPPED in trial.user_attrs) and trial.number not in _proposed_again(begun_before):
            study.enqueue_trial(trial.params, user_attrs={_AGAIN: trial.number})
    return study


def _proposed_again(found: Sequence[FrozenTrial]) -> set[int]:
    """Returns the numbers of trials that were cut short, and whose values another trial has."""
    return {trial.user_attrs[_AGAIN] for trial in found if _AGAIN in trial.user_attrs}


def _count_over(study: optuna.Study) -> int:
    """Returns how many trials have come to an end: complete, pruned, or failed as often as they were tried."""
    found = study.get_trials(deepcopy=False)
    failed = [trial.number for trial in found if trial.state is TrialState.FAIL and _STOPPED not in trial.user_attrs]
    return sum(trial.state in _OVER for trial in found) + len(set(failed) - _proposed_again(found))


class Search:
    """Runs the trials of a study, some at a time.

    Args:
        study: see `open_study`.
        plan: what is searched.
        stop: once true, runs are told to stop as by Ctrl-C, and no other is begun.
        show: told the jobs several times a second.
        gpus: names of GPUs, of which processes get one each in turn.
        worker: command to which the words of `mvr` are added.

    Attributes:
        jobs: of this search so far.
    """

    def __init__(
        self,
        study: optuna.Study,
        plan: Plan,
        *,
        stop: Callable[[], bool],
        show: Callable[[Sequence[Job]], object],
        gpus: Sequence[str] = (),
        worker: Sequence[str] = WORKER,
    ) -> None:
        self.jobs: list[Job] = []
        self._study, self._plan, self._stop, self._show, self._worker = study, plan, stop, show, worker
        self._lock = threading.Lock()
        self._gpus: SimpleQueue[str | None] = SimpleQueue()
        self._names = gpus if len(gpus) > 1 else [None]

    def run(self, count: int, at_once: int) -> None:
        """Runs trials until the study has `count` that are complete, pruned or failed.

        Raises:
            ConfigError: a value of the space cannot work, or the task does not say what the metric counts.
        """
        missing = count - _count_over(self._study)
        for slot in range(at_once):
            self._gpus.put(self._names[slot % len(self._names)])
        with held([self._plan.folder]):
            if missing > 0:
                self._study.optimize(self._objective, missing, n_jobs=at_once, catch=(RunFailed, _Stopped))

    def _objective(self, proposed: optuna.Trial) -> float:
        values = {name: part.suggest(proposed, name) for name, part in self._plan.space.items()}
        if self._stop():
            return self._halt(proposed)
        job = Job(self._plan.trial(values))
        with self._lock:
            self.jobs.append(job)
        proposed.set_user_attr("folder", str(job.trial.run.path))
        gpu = self._gpus.get()
        try:
            while not job.trial.run.finished.is_file() and job.attempts < ATTEMPTS:
                start(job, gpu, self._worker)
                if not self._watch(job, proposed):
                    return self._halt(proposed)
        finally:
            end(job)
            self._gpus.put(gpu)
        if not job.trial.run.finished.is_file():
            job.state = "failed"
            raise RunFailed
        job.state = "finished"
        return self._score(read_evaluations(job.trial.run.evaluations))

    def _watch(self, job: Job, proposed: optuna.Trial) -> bool:
        """Waits for a process, telling the study each evaluation; returns False where it was told to stop.

        Raises:
            optuna.TrialPruned: it is worse than the median of those before it.
        """
        assert job.process is not None
        told, reported = False, -1
        while job.process.poll() is None:
            time.sleep(POLL)
            with self._lock:
                self._show(self.jobs)
            if self._stop() and not told:
                told = True
                job.process.send_signal(signal.SIGINT)
            if not told and job.trial.run.evaluations.is_file():
                reported = self._report(read_evaluations(job.trial.run.evaluations), proposed, reported)
                if proposed.should_prune():
                    end(job)
                    job.state = "stopped"
                    raise optuna.TrialPruned
        close(job)
        job.state = "stopped" if told else "waiting"
        return not told

    def _report(self, evaluations: Evaluations, proposed: optuna.Trial, last: int) -> int:
        """Tells the study what it does not know yet; returns the step of the last evaluation."""
        for i, step in enumerate(evaluations.steps.tolist()):
            if step > last and i:  # the first is of an agent that has learned nothing
                proposed.report(self._score(evaluations.first(i + 1)), step)
        return int(evaluations.steps[-1])

    def _score(self, evaluations: Evaluations) -> float:
        score = METRICS[self._plan.metric].compute(evaluations)
        if np.isnan(score):
            raise ConfigError(
                f"{self._plan.task} never says what {self._plan.metric} counts: give --metric final_return"
            )
        return score

    def _halt(self, proposed: optuna.Trial) -> float:
        proposed.set_user_attr(_STOPPED, True)
        self._study.stop()
        raise _Stopped


class _Stopped(Exception):
    """The search was told to stop."""


class RunFailed(Exception):
    """A run failed as often as it was tried."""
