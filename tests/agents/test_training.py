"""One small run from a configuration to a directory, and the ways in which it can end early."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, ImageSequence
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from mvr_agents.runs.evaluations import read_evaluations
from mvr_agents.runs.finished import read_finished
from mvr_agents.runs.metrics import read_metrics
from mvr_agents.runs.monitor import Monitor
from mvr_agents.runs.run_dir import RunDirectory
from mvr_agents.training import _torch_threads, _training_envs, train
from mvr_wrappers.engine.engine import RewardEngine
from mvr_wrappers.errors import EngineError, UnknownNameError
from tests.support.known import present
from tests.support.paths import ROOT
from tests.support.tiny_run import SCRIPT, WORDS, tiny_config

LINES: list[str] = []
"""What the run of the fixture has told."""


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> RunDirectory:
    return train(tiny_config(tmp_path_factory.mktemp("outputs")), progress=False, notify=LINES.append)


def test_a_run_writes_everything(run: RunDirectory) -> None:
    names = {path.name for path in run.path.iterdir()} - {"code.diff"}  # of a checkout that was changed
    assert names == {
        *(
            "config.yaml",
            "metrics.csv",
            "evaluations.npz",
            "tensorboard",
            "model.zip",
            "best.zip",
            "engine.npz",
            "finished.json",
        ),
        *("curve.png", "filmstrip.png", "relevance.png", "episode.gif"),
    }
    for picture in (run.curve, run.filmstrip, run.relevance):
        with Image.open(picture) as image:
            assert min(image.size) > 500


def test_every_option_reaches_the_envs(tmp_path: Path) -> None:
    options = {"env_kwargs": {"max_steps": 9}, "rig": {"kind": "ring", "azimuths": [7.0]}, "weight": 0.3, "seed": 5}
    with _training_envs(tiny_config(tmp_path, **options)) as (venv, engine):
        assert venv.get_attr("unwrapped")[0].max_steps == 9
        assert engine is not None and (engine.weight, engine.seed) == (0.3, 5)
        assert [len(rig) for rig in venv.get_attr("rig")] == [1, 1]
        first = venv.reset()
    with _training_envs(tiny_config(tmp_path, **options)) as (venv, _):
        np.testing.assert_array_equal(venv.reset(), first)  # the seed is that of the envs too


def test_metrics_tell_what_happened(run: RunDirectory) -> None:
    metrics = read_metrics(run.metrics)
    steps = metrics["step"]
    assert steps[0] == 0 and steps[-1] == 240 and (np.diff(steps) > 0).all()
    np.testing.assert_array_equal(steps[np.isfinite(metrics["eval_return"])], [0, 120, 240])
    # Episodes of 40 steps in both envs: clips of 8 states every 4, the last at 33, are 10 an episode.
    assert metrics["clips_scored"][-1] == 6 * 10
    assert metrics["updates"][-1] == 3  # every 80 steps
    for name in ("matching_loss", "representation_loss", "stopped_early", "reference_relevance"):
        np.testing.assert_array_equal(np.isfinite(metrics[name]), metrics["updates"] > 0, err_msg=name)
    assert 0 < metrics["update_steps"][-1] <= 10 and metrics["held_out_episodes"][-1] >= 1
    np.testing.assert_array_equal(metrics["abs_shaping"][1:] >= np.abs(metrics["shaping"][1:]) - 1e-6, True)
    assert metrics["fade"][1] == 0 < metrics["fade"][-1]
    evaluated = np.isfinite(metrics["eval_return"])
    np.testing.assert_array_equal(np.isfinite(metrics["eval_success_last"]), evaluated)
    episodes = np.isfinite(metrics["task_return"])
    np.testing.assert_array_equal(steps[episodes], [80, 160, 240])
    first = metrics["updates"] == 0
    np.testing.assert_array_equal(metrics["shaping"][first][1:], 0)
    assert (metrics["shaping"][~first] != 0).all()
    assert metrics["shaped_return"][episodes][-1] != metrics["task_return"][episodes][-1]
    assert np.isfinite(metrics["critic_loss"]).any() and metrics["learner_seconds"][-1] > 0
    assert metrics["film_seconds"][-1] > 0 and metrics["score_seconds"][-1] > 0
    parts = [metrics[f"{name}_seconds"][-1] for name in ("learner", "film", "score", "update", "eval")]
    assert sum(parts) < metrics["seconds"][-1]


def test_evaluations_are_kept_episode_by_episode(run: RunDirectory) -> None:
    metrics, kept = read_metrics(run.metrics), read_evaluations(run.evaluations)
    evaluated = np.isfinite(metrics["eval_return"])
    assert kept.steps.tolist() == [0, 120, 240] and kept.returns.shape == kept.lengths.shape == (3, 2)
    np.testing.assert_allclose(kept.returns.mean(axis=1), metrics["eval_return"][evaluated], rtol=1e-4)
    np.testing.assert_allclose(present(kept.successes).mean(axis=1), metrics["eval_success"][evaluated])
    np.testing.assert_allclose(present(kept.last_successes).mean(axis=1), metrics["eval_success_last"][evaluated])
    assert (np.diff(kept.seconds) > 0).all()
    finished = read_finished(run.finished)
    assert finished.steps == 240 and finished.seconds > kept.seconds[-1]


def test_each_evaluation_is_told_in_a_line(run: RunDirectory) -> None:
    metrics = read_metrics(run.metrics)
    returns = metrics["eval_return"][np.isfinite(metrics["eval_return"])]
    told = [line for line in LINES if line.startswith("step ")]
    starts = [f"step {step} of 240, return {value:,.1f}" for step, value in zip((0, 120, 240), returns, strict=True)]
    assert all(line.startswith(start) for line, start in zip(told, starts, strict=True))
    assert "fade" in told[-1] and "pair accuracy" in told[-1] and " left" in told[1]


def test_shaping_is_the_weight_times_the_vlm_reward(run: RunDirectory) -> None:
    metrics = read_metrics(run.metrics)
    known = np.isfinite(metrics["shaping"])
    np.testing.assert_allclose(metrics["shaping"][known], 0.1 * metrics["vlm_reward"][known], rtol=1e-4)


def scalars(run: RunDirectory) -> EventAccumulator:
    (events,) = run.tensorboard.rglob("events.*")
    accumulator = EventAccumulator(str(events))
    accumulator.Reload()
    return accumulator


def test_tensorboard_has_every_evaluation_at_its_own_step(run: RunDirectory) -> None:
    metrics, written = read_metrics(run.metrics), scalars(run)
    evaluated = np.isfinite(metrics["eval_return"])
    for name in ("eval_return", "eval_success", "eval_success_last"):
        events = written.Scalars(f"run/{name}")
        assert [event.step for event in events] == metrics["step"][evaluated].tolist() == [0, 120, 240]
        np.testing.assert_allclose([event.value for event in events], metrics[name][evaluated], rtol=1e-4)


def test_losses_are_those_of_the_last_training(run: RunDirectory) -> None:
    """Training begins after 40 steps and takes place every 16: each later row has losses, whatever was written."""
    metrics = read_metrics(run.metrics)
    for name in ("actor_loss", "critic_loss", "entropy_coefficient"):
        np.testing.assert_array_equal(np.isfinite(metrics[name]), metrics["step"] > 48, err_msg=name)


def test_tensorboard_has_task_and_shaped_returns_apart(run: RunDirectory) -> None:
    tags = set(scalars(run).Tags()["scalars"])
    assert {
        "mvr/task_return",
        "mvr/shaped_return",
        "mvr/mean_vlm_reward",
        "run/eval_return",
        "train/critic_loss",
        "run/fade",
        "engine/matching_loss",
        "engine/update_steps",
        "engine/stopped_early",
        "task_info/success",
    } <= tags


def test_tensorboard_has_the_pictures(run: RunDirectory) -> None:
    written = scalars(run)
    for name, path in (("filmstrip", run.filmstrip), ("relevance", run.relevance), ("episode", run.film)):
        (image,) = written.Images(f"run/{name}")
        assert image.step == 240 and image.encoded_image_string == path.read_bytes()
    with Image.open(run.film) as film:
        assert film.size == (320, 404)  # four views, and f(s) below them
        milliseconds = [frame.info["duration"] for frame in ImageSequence.Iterator(film)]
    assert 800 <= sum(milliseconds) <= 880  # 40 steps at 50 Hz
    assert run.film.stat().st_size < 2e6


def test_the_engine_is_saved_as_it_was(run: RunDirectory) -> None:
    engine = RewardEngine.load(run.engine)
    assert engine.version == 3 and engine.prompt == "a ball rolling to the red pillar"
    assert engine.metrics()["clips_scored"] == 60
    engine.close()


def test_a_run_repeats_for_its_seed(run: RunDirectory, tmp_path: Path) -> None:
    again = train(tiny_config(tmp_path), progress=False)
    first, second = read_metrics(run.metrics), read_metrics(again.metrics)
    for column in first:
        if not column.endswith("seconds"):
            np.testing.assert_array_equal(first[column], second[column], err_msg=column)


def test_torch_has_the_threads_asked_for_during_a_run_only() -> None:
    before = torch.get_num_threads()
    with _torch_threads(before + 1):
        assert torch.get_num_threads() == before + 1
    assert torch.get_num_threads() == before


def test_a_run_that_cannot_begin_makes_no_folder(tmp_path: Path) -> None:
    with pytest.raises(UnknownNameError, match="no scorer"):
        train(tiny_config(tmp_path, scorer="fke"), progress=False)
    assert list(tmp_path.iterdir()) == []


def test_without_shaping_nothing_is_filmed(tmp_path: Path) -> None:
    run = train(tiny_config(tmp_path, shaping=False, hyperparameters={"steps": 80}), progress=False)
    metrics = read_metrics(run.metrics)
    assert np.isfinite(metrics["task_return"][-1]) and np.isnan(metrics["shaped_return"]).all()
    assert not metrics["clips_scored"].any()
    assert run.curve.is_file() and not run.engine.exists() and not run.filmstrip.exists()


def test_sub_envs_may_have_processes_of_their_own(tmp_path: Path) -> None:
    run = train(tiny_config(tmp_path, subproc=True, hyperparameters={"steps": 80}), progress=False)
    metrics = read_metrics(run.metrics)
    assert metrics["clips_scored"][-1] == 20 and metrics["film_seconds"][-1] > 0


def test_a_run_too_short_for_an_update_has_a_curve_all_the_same(tmp_path: Path) -> None:
    run = train(tiny_config(tmp_path, hyperparameters={"steps": 16}), progress=False)
    assert run.curve.is_file() and not run.filmstrip.exists() and not run.relevance.exists()


def test_an_error_leaves_agent_engine_and_metrics(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    on_step = Monitor._on_step

    def break_at_120(self: Monitor) -> bool:
        if self.num_timesteps >= 120:
            raise EngineError("broken on purpose")
        return on_step(self)

    monkeypatch.setattr(Monitor, "_on_step", break_at_120)
    with pytest.raises(EngineError, match="on purpose"):
        train(tiny_config(tmp_path), progress=False)
    (path,) = (tmp_path / "tiny" / "sb3-tqc").iterdir()
    run = RunDirectory.open(path)
    assert run.model.is_file() and run.engine.is_file() and not run.finished.exists()
    assert read_evaluations(run.evaluations).steps.tolist() == [0]
    assert read_metrics(run.metrics)["step"][-1] == 116  # a row every 4 steps


@pytest.mark.parametrize("subproc", [False, True])
def test_ctrl_c_keeps_what_there_is(subproc: bool, tmp_path: Path) -> None:
    """A long run in a process group of its own is interrupted as by a terminal, sub-processes and all."""
    words = [*WORDS, "--agent", "sb3-tqc", "--steps", "1000000", "--eval-every", "1000000"]
    words += ["--outputs", str(tmp_path)] + ["--subproc"] * subproc
    process = subprocess.Popen(
        [sys.executable, "-c", SCRIPT, *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        start_new_session=True,
    )
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and not list(tmp_path.rglob("events.*")):
        time.sleep(0.2)
    time.sleep(2)
    os.killpg(process.pid, signal.SIGINT)
    output, error = process.communicate(timeout=60)
    assert process.returncode == 0, error
    assert "stopped early" in output and "of 1,000,000 steps" in output
    assert "Traceback" not in error
    (path,) = (tmp_path / "tiny" / "sb3-tqc").iterdir()
    run = RunDirectory.open(path)
    assert all(file.exists() for file in (run.model, run.engine, run.curve, run.metrics, run.evaluations))
    assert not run.finished.exists()
