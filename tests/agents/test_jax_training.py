"""Whole runs of the default learner: from a configuration to a directory, in one process and in several."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from tests.support.paths import ROOT

pytest.importorskip("jax")

from mvr_agents import cli
from mvr_agents.runs.config import TrainConfig
from mvr_agents.runs.metrics import read_metrics
from mvr_agents.runs.report import report
from mvr_agents.runs.run_dir import RunDirectory
from mvr_agents.runs.saved_run import SavedRun
from mvr_agents.tqc.algorithm import TQC
from mvr_agents.training import train
from mvr_wrappers.extras import install_command
from tests.support.tiny_run import SCRIPT, WORDS, tiny_config


def jax_config(outputs: Path, **overrides: Any) -> TrainConfig:
    return tiny_config(outputs, agent="jax-tqc", **overrides)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> RunDirectory:
    return train(jax_config(tmp_path_factory.mktemp("outputs")), progress=False)


def test_it_is_the_default() -> None:
    assert TrainConfig.for_task("tiny").agent == "jax-tqc"


def test_a_run_writes_everything(run: RunDirectory) -> None:
    assert run.path.parent.name == "jax-tqc"
    assert {path.name for path in run.path.iterdir()} - {"code.diff"} == {
        *("config.yaml", "metrics.csv", "tensorboard", "model.zip", "best.zip", "engine.npz"),
        *("curve.png", "filmstrip.png", "relevance.png", "episode.gif"),
        *("evaluations.npz", "finished.json"),
    }
    metrics = read_metrics(run.metrics)
    assert metrics["step"][-1] == 240 and metrics["updates"][-1] == 3 and metrics["clips_scored"][-1] == 60
    assert np.isfinite(metrics["critic_loss"]).any() and metrics["learner_seconds"][-1] > 0
    parts = [metrics[f"{name}_seconds"][-1] for name in ("learner", "film", "score", "update", "eval")]
    assert sum(parts) < metrics["seconds"][-1]
    assert report(run) is not None


def test_tensorboard_has_every_evaluation_at_its_own_step(run: RunDirectory) -> None:
    (events,) = run.tensorboard.rglob("events.*")
    accumulator = EventAccumulator(str(events))
    accumulator.Reload()
    assert [event.step for event in accumulator.Scalars("run/eval_return")] == [0, 120, 240]
    losses = read_metrics(run.metrics)["critic_loss"]
    assert np.isfinite(losses[-1])


def test_a_saved_run_plays_as_it_did(run: RunDirectory, capsys: pytest.CaptureFixture[str]) -> None:
    saved = SavedRun.open(run.path, "cpu")
    assert isinstance(saved.agent, TQC)
    expected = read_metrics(run.metrics)["eval_return"][-1]
    np.testing.assert_allclose(saved.evaluate(episodes=2).mean_return, expected, rtol=1e-5)
    assert cli.main(["eval", str(run.path), "--episodes", "1", "--device", "cpu"]) == 0
    assert "task return" in capsys.readouterr().out


def test_a_run_repeats_for_its_seed(run: RunDirectory, tmp_path: Path) -> None:
    again = train(jax_config(tmp_path), progress=False)
    first, second = read_metrics(run.metrics), read_metrics(again.metrics)
    for column in first:
        if not column.endswith("seconds"):
            np.testing.assert_array_equal(first[column], second[column], err_msg=column)


@pytest.mark.slow
def test_sub_processes_neither_warn_nor_wait_for_ever(tmp_path: Path) -> None:
    """JAX runs threads, which a forked child would miss: the children of `--subproc` come from a process without."""
    words = [*WORDS, "--steps", "80", "--outputs", str(tmp_path), "--subproc"]
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", SCRIPT, *words],
        capture_output=True,
        text=True,
        check=False,
        timeout=240,
        cwd=ROOT,
    )
    assert done.returncode == 0, done.stderr
    assert "Warning" not in done.stderr and "fork" not in done.stderr
    (path,) = (tmp_path / "tiny" / "jax-tqc").iterdir()
    assert read_metrics(RunDirectory.open(path).metrics)["clips_scored"][-1] == 20


def test_without_jax_the_extra_and_the_other_agent_are_named(tmp_path: Path) -> None:
    hide = (
        "import importlib.util as u; find = u.find_spec\n"
        "u.find_spec = lambda name, *rest: None if name == 'jax' else find(name, *rest)\n"
    )
    words = ["train", "tiny", "--outputs", str(tmp_path)]
    done = subprocess.run(
        [sys.executable, "-c", hide + SCRIPT, *words], capture_output=True, text=True, check=False, cwd=ROOT
    )
    assert done.returncode == 2
    assert "--agent sb3-tqc" in done.stderr and install_command("jax") in done.stderr
    assert "Traceback" not in done.stderr and not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("given", "expected"),
    [({}, "false"), ({"XLA_PYTHON_CLIENT_PREALLOCATE": "true"}, "true"), ({"XLA_CLIENT_MEM_FRACTION": ".5"}, None)],
)
def test_jax_leaves_the_gpu_to_the_scorer_unless_told_otherwise(given: dict[str, str], expected: str | None) -> None:
    code = (
        "import os, jax\n"
        "from mvr_agents.tqc.devices import find_device\n"
        "devices = jax.devices\n"
        "jax.devices = lambda *kind: print(os.environ.get('XLA_PYTHON_CLIENT_PREALLOCATE')) or devices(*kind)\n"
        "find_device('auto')"
    )
    mine = {key: value for key, value in os.environ.items() if not key.startswith("XLA_")}
    done = subprocess.run([sys.executable, "-c", code], env=mine | given, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == str(expected)
