"""What a tracker is told of a run, with a stand-in for the package of Weights & Biases."""

from __future__ import annotations

import importlib.util
import sys
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from mvr_agents.runs.metrics import read_metrics
from mvr_agents.runs.run_dir import RunDirectory
from mvr_agents.runs.tracking import tracked
from mvr_agents.training import train
from mvr_wrappers.errors import EngineError, MissingExtraError
from mvr_wrappers.extras import install_command
from tests.support.run_folders import write_run
from tests.support.tiny_run import tiny_config


@dataclass
class FakeWandb:
    """Keeps what it is told."""

    options: dict[str, Any] = field(default_factory=dict)
    rows: list[tuple[int, dict[str, Any]]] = field(default_factory=list)
    ended: list[int] = field(default_factory=list)

    def init(self, **options: Any) -> Any:
        self.options = options

        def finish(exit_code: int) -> None:
            self.ended.append(exit_code)

        return SimpleNamespace(log=lambda values, step: self.rows.append((step, values)), finish=finish)

    def Settings(self, **values: Any) -> dict[str, Any]:
        return values

    def Image(self, path: str) -> str:
        return Path(path).name

    def Video(self, path: str, format: str) -> str:
        return Path(path).name


@pytest.fixture
def wandb(monkeypatch: pytest.MonkeyPatch) -> FakeWandb:
    fake = FakeWandb()
    find = importlib.util.find_spec
    monkeypatch.setitem(sys.modules, "wandb", fake)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *rest: True if name == "wandb" else find(name, *rest))
    monkeypatch.delenv("WANDB_MODE", raising=False)
    return fake


def test_a_run_tells_its_settings_its_rows_and_its_pictures(wandb: FakeWandb, tmp_path: Path) -> None:
    run = train(tiny_config(tmp_path, track="wandb", weight=0.3), progress=False)
    assert (wandb.options["mode"], wandb.options["dir"]) == ("offline", str(run.path))
    assert (wandb.options["project"], wandb.options["group"]) == ("mvr", "tiny")
    assert wandb.options["config"]["config"]["weight"] == 0.3 and "versions" in wandb.options["config"]
    *rows, (step, pictures) = wandb.rows
    metrics = read_metrics(run.metrics)
    assert [step for step, _ in rows] == metrics["step"].tolist() and step == 240
    for i, (_, values) in enumerate(rows):
        assert values.keys() == {name for name, column in metrics.items() if np.isfinite(column[i])}
        assert values["seconds"] == pytest.approx(metrics["seconds"][i], rel=1e-4)
    names = ("curve.png", "filmstrip.png", "relevance.png", "episode.gif")
    assert pictures == {name.partition(".")[0]: name for name in names}
    assert wandb.ended == [0]


def test_the_user_decides_whether_anything_is_sent(
    wandb: FakeWandb, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WANDB_MODE", "online")
    monkeypatch.setenv("WANDB_PROJECT", "mine")
    with tracked("wandb", write_run(tmp_path / "run", [0, 1])):
        pass
    assert (wandb.options["mode"], wandb.options["project"]) == ("online", "mine")


def test_an_error_ends_the_tracked_run_as_failed(wandb: FakeWandb, tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", [0, 1])
    with pytest.raises(EngineError), tracked("wandb", run):
        raise EngineError("broken on purpose")
    assert wandb.ended == [1]


def test_without_a_tracker_nobody_is_told(wandb: FakeWandb, tmp_path: Path) -> None:
    with tracked("none", RunDirectory(tmp_path)) as tracker:
        tracker.add_pictures(1)
    assert wandb.options == {} and wandb.rows == []


def test_a_missing_package_is_named_before_anything_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *rest: None if name == "wandb" else find(name, *rest))
    with pytest.raises(MissingExtraError) as error:
        train(tiny_config(tmp_path, track="wandb"), progress=False)
    assert str(error.value) == (
        f"tracking runs with Weights & Biases needs wandb. Install it with: {install_command('wandb')}"
    )
    assert list(tmp_path.iterdir()) == []
