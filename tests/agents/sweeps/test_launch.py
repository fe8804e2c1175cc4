"""Trials run as processes: as many at a time as asked for, again where they failed, and never beyond their parent."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

import pytest

import tests.support.tiny_task  # noqa: F401  registers MVR/tiny
from mvr_agents.checkpoints.folder import CheckpointFolder
from mvr_agents.runs.config_file import write_config
from mvr_agents.runs.finished import Finished, write_finished
from mvr_agents.sweeps.folders import clear, held
from mvr_agents.sweeps.launch import ONE_THREAD, Job, jobs_of, launch
from mvr_agents.sweeps.trials import Trial
from mvr_wrappers.errors import ConfigError
from tests.support.tiny_suite import OPTIONS, fake_worker, small_trials


def never() -> bool:
    return False


def blind(jobs: Sequence[Job]) -> None:
    pass


def states(jobs: Sequence[Job]) -> list[str]:
    return [job.state for job in jobs]


def begun(trial: Trial) -> None:
    trial.run.path.mkdir(parents=True)
    write_config(trial.run.config, trial.config, datetime.now().astimezone())


def test_all_trials_run_but_only_some_at_a_time(tmp_path: Path) -> None:
    jobs = jobs_of(small_trials(tmp_path))
    most = []
    launch(
        jobs,
        2,
        stop=never,
        show=lambda jobs: most.append(states(jobs).count("running")),
        worker=fake_worker("finishes"),
    )
    assert states(jobs) == ["finished"] * 4 and max(most) == 2
    assert [job.attempts for job in jobs] == [1] * 4
    first, second = jobs[0].log.read_text().splitlines()
    assert first.startswith("# ") and "mvr train" in first and "--no-shaping" in first
    assert second.startswith("words train ")


def test_what_is_finished_is_not_run_again(tmp_path: Path) -> None:
    trials = small_trials(tmp_path)
    for trial in trials[:3]:
        begun(trial)
    write_finished(trials[0].run.finished, Finished(240, 1.0))
    (trials[1].run.path / "tensorboard").mkdir()
    (trials[1].run.path / "tensorboard" / "events").write_text("")
    jobs = jobs_of(trials)
    assert states(jobs) == ["finished", "waiting", "waiting", "waiting"] and jobs[0].before
    launch(jobs, 4, stop=never, show=blind, worker=fake_worker("finishes"))
    assert states(jobs) == ["finished"] * 4 and [job.attempts for job in jobs] == [0, 1, 1, 1]
    assert not (trials[1].run.path / "tensorboard").exists() and not jobs[0].log.exists()


def test_a_folder_of_another_configuration_is_refused(tmp_path: Path) -> None:
    trial, *_ = small_trials(tmp_path)
    begun(trial)
    changed = small_trials(tmp_path, options=OPTIONS | {"gamma": 0.9})
    difference = r"holds a run with hyperparameters.gamma 0\.99, and it would now be 0\.9;"
    with pytest.raises(ConfigError, match=rf"small/tiny/none/seed-0 {difference}"):
        jobs_of(changed)
    clear(trial)
    (trial.run.path / "thesis.txt").write_text("")
    with pytest.raises(ConfigError, match=r"holds thesis.txt and no config.yaml"):
        jobs_of([trial])


def test_failures_are_tried_twice_more_and_then_told(tmp_path: Path) -> None:
    jobs = jobs_of(small_trials(tmp_path, seeds=[0]))
    launch(jobs, 2, stop=never, show=blind, worker=fake_worker("fails"))
    assert states(jobs) == ["failed"] * 2 and [job.attempts for job in jobs] == [3, 3]
    assert jobs[0].last_words() == "it broke" and jobs[0].log.read_text().count("it broke") == 3
    again = jobs_of([job.trial for job in jobs])
    launch(again, 2, stop=never, show=blind, worker=fake_worker("fails-once"))
    assert states(again) == ["finished"] * 2


def test_a_trial_may_fail_once(tmp_path: Path) -> None:
    jobs = jobs_of(small_trials(tmp_path, seeds=[0]))
    launch(jobs, 1, stop=never, show=blind, worker=fake_worker("fails-once"))
    assert states(jobs) == ["finished"] * 2 and [job.attempts for job in jobs] == [2, 2]


def wait_for_models(jobs: Sequence[Job], count: int) -> bool:
    return sum(job.trial.run.model.exists() for job in jobs) >= count


def test_a_sweep_that_was_interrupted_goes_on(tmp_path: Path) -> None:
    jobs = jobs_of(small_trials(tmp_path))
    launch(jobs, 2, stop=lambda: wait_for_models(jobs, 2), show=blind, worker=fake_worker("waits"))
    assert Counter(states(jobs)) == {"stopped": 2, "waiting": 2}
    again = jobs_of([job.trial for job in jobs if job.state == "waiting"])
    launch(again, 2, stop=never, show=blind, worker=fake_worker("finishes"))
    assert states(again) == ["finished"] * 2


def test_a_trial_goes_on_from_its_checkpoint_unless_that_is_damaged(tmp_path: Path) -> None:
    first, second, *_ = small_trials(tmp_path)
    for trial in (first, second):
        begun(trial)
        CheckpointFolder(trial.run.checkpoints).write(64, True, lambda path: ({}, []))
    (second.run.checkpoints / "step-000000000064" / "state.json").write_text("{")
    jobs = jobs_of([first, second])
    launch(jobs, 1, stop=never, show=blind, worker=fake_worker("finishes"))
    assert f"mvr train --resume {first.run.path}\n" in jobs[0].log.read_text()
    assert f"--run-dir={second.run.path}\n" in jobs[1].log.read_text() and not second.run.checkpoints.exists()


def test_processes_end_with_an_exception(tmp_path: Path) -> None:
    jobs = jobs_of(small_trials(tmp_path, seeds=[0]))
    pids: list[int] = []

    def show(jobs: Sequence[Job]) -> None:
        if wait_for_models(jobs, 2):
            pids.extend(job.process.pid for job in jobs if job.process is not None)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        launch(jobs, 2, stop=never, show=show, worker=fake_worker("waits"))
    assert len(pids) == 2 and states(jobs) == ["stopped"] * 2
    for pid in pids:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


def test_a_worker_ends_when_its_parent_does() -> None:
    source = "import time; from mvr_agents import worker\n"
    source += "worker.end_with_parent(); print('up', flush=True); time.sleep(60)"
    process = subprocess.Popen([sys.executable, "-c", source], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    with process:
        assert process.stdout is not None and process.stdin is not None
        assert process.stdout.readline() == b"up\n"
        began = time.monotonic()
        process.stdin.close()
        assert process.wait(timeout=30) == 130 and time.monotonic() - began < 20


def test_processes_have_one_thread_and_a_gpu_in_turn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ONE_THREAD:
        monkeypatch.delenv(name, raising=False)
    jobs = jobs_of(small_trials(tmp_path))
    tell = "import os; print([os.environ.get(n) for n in ('OMP_NUM_THREADS', 'CUDA_VISIBLE_DEVICES')]);"
    worker = (*fake_worker("")[:2], tell + fake_worker("")[2], "finishes")
    launch(jobs, 4, stop=never, show=blind, worker=worker, gpus=["0", "3"])
    told = [job.log.read_text().splitlines()[1] for job in jobs]
    assert told == [f"['1', '{gpu}']" for gpu in ("0", "3", "0", "3")]


def test_two_sweeps_do_not_share_a_folder(tmp_path: Path) -> None:
    jobs = jobs_of(small_trials(tmp_path, seeds=[0]))
    with (
        held([tmp_path / "outputs" / "small"]),
        pytest.raises(ConfigError, match=r"another sweep is running in .*small"),
    ):
        launch(jobs, 1, stop=never, show=blind, worker=fake_worker("finishes"))
    assert states(jobs) == ["waiting"] * 2
