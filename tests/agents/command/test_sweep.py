"""`mvr sweep` from its words to its exit code."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import tests.support.tiny_task  # noqa: F401  registers MVR/tiny
from mvr_agents import cli
from mvr_agents.command import sweep as command
from mvr_agents.runs.finished import read_finished
from mvr_agents.sweeps.collect import collect
from mvr_agents.sweeps.launch import launch
from tests.support.paths import ROOT
from tests.support.tiny_run import SCRIPT
from tests.support.tiny_suite import fake_worker, write_suite


def sweep_words(folder: Path, *words: str) -> list[str]:
    path = write_suite(folder, seeds=[0, 1])
    return ["sweep", "small", *words, "--file", str(path), "--outputs", str(folder / "outputs")]


def test_a_dry_run_lists_trials_and_runs_none(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = sweep_words(tmp_path, "--dry-run", "--arms", "none", "mvr", "--set", "weight=0.1,0.5", "--steps", "1_000")
    assert cli.main(words) == 0
    lines = capsys.readouterr().out.splitlines()
    folders = ["none/seed-0", "mvr-weight=0.1/seed-0", "mvr-weight=0.5/seed-0"]
    folders += [folder.replace("seed-0", "seed-1") for folder in folders]
    assert lines[:6] == [f"{tmp_path}/outputs/small/tiny/{folder}: 1,000 steps" for folder in folders]
    assert lines[6] == "0 of 6 trials finished, 6 waiting"
    assert "nothing has been measured yet" in lines[7] and "mvr sweep smoke" in lines[7]
    assert not (tmp_path / "outputs").exists()


def test_failures_are_listed_and_end_with_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:

    monkeypatch.setattr(command, "launch", lambda *a, **k: launch(*a, **k, worker=fake_worker("fails")))
    assert cli.main(sweep_words(tmp_path, "--seeds", "3", "--jobs", "2")) == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[-3] == "0 of 2 trials finished, 2 failed"
    log = tmp_path / "outputs" / "small" / "tiny" / "none" / "seed-3" / "train.log"
    assert lines[-2] == f"failed 3 times: tiny none seed 3, see {log}: it broke"


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["smok"], "no suite and no task 'smok'. Nearest names: smoke"),
        (["smoke", "--arms", "mrv"], "no arm 'mrv'. Nearest names: mvr"),
        (["smoke", "--set", "wegiht=1"], "--set.wegiht is no option of a suite's runs. Nearest valid keys: weight"),
        (["smoke", "--set", "weight"], "--set weight: write an option and its values, as in weight=0.01,0.1"),
        (["smoke", "--set", "weight=[1"], "is not YAML"),
        (["smoke", "--seeds", "x"], "--seeds: 'x' is no seed"),
        (["smoke", "--jobs", "0"], "jobs is 0; give at least 1"),
        ([], "name suites or tasks; the suites are"),
    ],
)
def test_mistakes_get_one_sentence(words: list[str], expected: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["sweep", *words]) == 2
    error = capsys.readouterr().err
    assert expected in error and error.count("\n") == 1


def test_gpus_are_those_the_process_may_use(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    assert command._gpus(2) == ["0", "1"]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3,GPU-5")
    assert command._gpus(8) == ["3", "GPU-5"]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert command._gpus(8) == []


@pytest.mark.slow
def test_a_sweep_is_interrupted_goes_on_and_is_not_repeated(tmp_path: Path) -> None:
    """Real trainings, from the words to the folders that `mvr report` reads."""
    long = [*sweep_words(tmp_path, "--arms", "none", "--jobs", "1"), "--steps", "20_000"]
    outputs = tmp_path / "outputs" / "small" / "tiny" / "none"
    with mvr(long) as process:
        wait_for(outputs / "seed-0" / "metrics.csv")
        os.killpg(process.pid, signal.SIGINT)
        out, _ = process.communicate(timeout=120)
    assert process.returncode == 130, out
    assert "0 of 2 trials finished, 1 waiting, 1 stopped" in out and "the same command goes on" in out
    assert (outputs / "seed-0" / "model.zip").is_file() and not (outputs / "seed-0" / "finished.json").exists()

    refused = mvr(sweep_words(tmp_path, "--arms", "none", "--jobs", "1"))
    out, _ = refused.communicate(timeout=120)
    assert refused.returncode == 2 and "hyperparameters.steps 20000, and it would now be 240" in out

    (outputs / "seed-0" / "config.yaml").write_text(
        (outputs / "seed-0" / "config.yaml").read_text().replace("steps: 20000", "steps: 240")
    )
    for _ in range(2):
        done = mvr(sweep_words(tmp_path, "--arms", "none", "--jobs", "2"))
        out, _ = done.communicate(timeout=240)
        assert done.returncode == 0, out
    assert "2 of 2 trials finished (2 of them before)" in out and "started" not in out
    assert {read_finished(outputs / f"seed-{seed}" / "finished.json").steps for seed in (0, 1)} == {240}
    runs = collect([tmp_path / "outputs" / "small"])
    assert [(run.task, run.arm, run.seed) for run in runs.runs] == [("tiny", "none", 0), ("tiny", "none", 1)]
    assert (outputs / "seed-1" / "train.log").read_text().count("mvr train") == 1


def mvr(words: list[str]) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", SCRIPT, *words]
    stream = subprocess.PIPE
    return subprocess.Popen(
        command, cwd=ROOT, stdout=stream, stderr=subprocess.STDOUT, text=True, start_new_session=True
    )


def wait_for(path: Path) -> None:
    end = time.monotonic() + 120
    while not path.exists() and time.monotonic() < end:
        time.sleep(0.1)
    assert path.exists()
