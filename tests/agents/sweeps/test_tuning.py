"""A search: trials in a space, bad ones ended early, stopped and gone on with, and the best told."""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

import tests.support.tiny_task  # noqa: F401  registers MVR/tiny
from mvr_agents import cli
from mvr_agents.sweeps import tuning
from mvr_agents.sweeps.space import Choices, Range, read_space
from mvr_agents.sweeps.tuning import Plan, Search, open_study
from mvr_wrappers.errors import ConfigError

FAKE = """
import json, pathlib, sys, time
import numpy as np
words = sys.argv[1:]
if "--resume" in words:
    sys.exit("there is nothing to resume")
(folder,) = (pathlib.Path(word.partition("=")[2]) for word in words if word.startswith("--run-dir="))
weight = next((float(word.partition("=")[2]) for word in words if word.startswith("--weight=")), 0.1)
if weight > 0.9:
    sys.exit("it broke")
def write(count):
    steps = np.arange(count) * 120
    success, ones = np.full((count, 2), weight > 0.5), np.ones((count, 2), int)
    np.savez(folder / ".e.npz", header=np.array(json.dumps({"format": 1})), steps=steps, seconds=steps * 1.0,
             returns=weight * ones, lengths=ones, successes=success, last_successes=success)
    (folder / ".e.npz").replace(folder / "evaluations.npz")
(folder / "config.yaml").write_text("x")
for count in (1, 2, 3):
    write(count)
    if count == 2:
        time.sleep(3 if weight < 0.05 else 0.6)  # what is bad is slow: it would be waited for, were it not ended
(folder / "finished.json").write_text('{"steps": 240, "seconds": 1.0}')
"""
WORKER = (sys.executable, "-c", FAKE)
SPACE = {"weight": Range(0.01, 0.8, log=True), "relevance.tau": Choices((0.05, 0.1))}


def plan(outputs: Path, **changes: Any) -> Plan:
    given: dict[str, Any] = {"task": "tiny", "preset": "demo", "space": SPACE, "metric": "final_return", "seed": 0}
    return Plan(**given | {"steps": 240, "outputs": outputs} | changes)


def search(the_plan: Plan, count: int, at_once: int = 2, stop: Callable[[], bool] = lambda: False) -> Search:
    found = Search(open_study(the_plan), the_plan, stop=stop, show=lambda jobs: None, worker=WORKER)
    found.run(count, at_once)
    return found


def test_trials_are_run_and_the_best_is_known(tmp_path: Path) -> None:
    found = search(plan(tmp_path), 4)
    assert [job.state for job in found.jobs] == ["finished"] * 4
    study = open_study(plan(tmp_path))
    assert len(study.trials) == 4 and study.best_value == max(trial.params["weight"] for trial in study.trials)
    assert {Path(trial.user_attrs["folder"]).parts[-3] for trial in study.trials} == {"tiny"}
    assert search(plan(tmp_path), 4).jobs == []  # nothing is missing
    assert len(search(plan(tmp_path), 5).jobs) == 1


def test_what_is_bad_is_ended_early(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tuning, "WARM_UP", 2)
    the_plan = plan(tmp_path, space={"weight": Range(0.01, 0.8)})
    study = open_study(the_plan)
    for weight in (0.5, 0.6, 0.02):
        study.enqueue_trial({"weight": weight})
    found = search(the_plan, 3, at_once=1)
    assert [trial.state.name for trial in open_study(the_plan).trials] == ["COMPLETE", "COMPLETE", "PRUNED"]
    assert found.jobs[-1].process is None and not found.jobs[-1].trial.run.finished.exists()


def test_what_was_stopped_is_proposed_again(tmp_path: Path) -> None:
    asked: list[bool] = []

    def stop() -> bool:
        asked.append(True)
        return len(asked) > 2  # before the first, and while it runs

    the_plan = plan(tmp_path)
    search(the_plan, 3, at_once=1, stop=stop)
    stopped = [trial.params for trial in open_study(the_plan).trials if trial.user_attrs.get("stopped")]
    assert len(stopped) >= 1
    search(the_plan, 3, at_once=1)
    done = [trial.params for trial in open_study(the_plan).trials if trial.state.name == "COMPLETE"]
    assert len(done) == 3 and all(params in done for params in stopped)


def test_runs_that_fail_are_tried_again_and_told(tmp_path: Path) -> None:
    the_plan = plan(tmp_path, space={"weight": Range(0.95, 0.99)})
    found = search(the_plan, 1, at_once=1)
    assert [(job.state, job.attempts) for job in found.jobs] == [("failed", 3)]
    assert search(the_plan, 1, at_once=1).jobs == []  # it counts as tried


def test_another_search_in_the_same_folder_is_refused(tmp_path: Path) -> None:
    open_study(plan(tmp_path))
    with pytest.raises(ConfigError, match="holds a search with seed 0, and it would now be 1"):
        open_study(plan(tmp_path, seed=1))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "holds no space"),
        ("weight: 3\n", "weight is 3; give {low"),
        ("weight: [1]\n", r"weight is \[1\]"),
        ("weight: {low: 1}\n", "weight.high is missing"),
        ("weight: {low: 1, high: 1}\n", "low is 1 and high 1"),
        ("weight: {low: 0, high: 1, log: true}\n", "with log it must be greater than 0"),
        ("weight: {low: 0, high: 1, step: 2}\n", "step is not a setting"),
    ],
)
def test_spaces_that_cannot_be(text: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "space.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=message):
        read_space(path)


def test_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("mvr_agents.sweeps.tuning.WORKER", WORKER)
    monkeypatch.setattr(Search.__init__, "__kwdefaults__", {**(Search.__init__.__kwdefaults__ or {}), "worker": WORKER})
    space = tmp_path / "space.yaml"
    space.write_text("weight: {low: 0.1, high: 0.8}\ngradient_steps: {low: 1, high: 3}\n")
    words = ["tune", "tiny", "--space", str(space), "--trials", "2", "--outputs", str(tmp_path), "--preset", "demo"]
    assert cli.main([*words, "--jobs", "1", "--metric", "final_return"]) == 0
    out = capsys.readouterr().out
    assert "the best: mvr train tiny --preset demo --weight 0." in out and "--gradient-steps" in out
    best = yaml.safe_load((tmp_path / "tune" / "tiny" / "best.yaml").read_text())
    assert best["preset"] == "demo" and set(best["options"]) == {"weight", "gradient_steps"}
    with (tmp_path / "tune" / "tiny" / "trials.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    assert [row["state"] for row in rows] == ["complete"] * 2 and json.loads(rows[0]["weight"]) > 0
    space.write_text("wait: {low: 0.1, high: 0.8}\n")
    assert cli.main(words) == 2
    assert "wait is no option of a suite's runs. Nearest valid keys: weight" in capsys.readouterr().err
