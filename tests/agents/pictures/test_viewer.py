"""Playing in a window: with a stand-in for MuJoCo's viewer, and without a screen."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import glfw
import gymnasium as gym
import mujoco
import numpy as np
import pytest

from mvr_agents import cli
from mvr_agents.pictures import viewer
from mvr_agents.pictures.viewer import Played
from mvr_agents.runs.evaluate import evaluate
from mvr_agents.runs.saved_run import SavedRun
from mvr_agents.training import train
from mvr_wrappers.envs.task_env import make_task_env
from mvr_wrappers.tasks.registry import get_task
from tests.support.tiny_run import tiny_config
from tests.support.tiny_task import learned_engine


class FakeViewer:
    """Keeps what it is shown; the window is closed after `patience` looks."""

    def __init__(self, patience: float = np.inf) -> None:
        self.patience = patience
        self.positions: list[Any] = []
        self.figures: list[Any] = []
        self.data: Any = None
        self.open = False

    @contextmanager
    def launch(self, model: Any, data: Any) -> Iterator[FakeViewer]:
        assert isinstance(model, mujoco.MjModel) and isinstance(data, mujoco.MjData)
        self.data, self.open = data, True
        yield self
        self.open = False

    def is_running(self) -> bool:
        return len(self.positions) < self.patience

    def sync(self) -> None:
        self.positions.append(self.data.qpos.copy())

    def set_figures(self, viewports_figures: Any) -> None:
        self.figures.append(viewports_figures)


@pytest.fixture
def env() -> Iterator[gym.Env[Any, Any]]:
    env = make_task_env(get_task("tiny"))
    yield env
    env.close()


def forward(observation: Any) -> Any:
    return np.array([1.0, 0.0], np.float32)


def test_each_state_is_shown_and_each_episode_told(env: gym.Env[Any, Any]) -> None:
    window, told = FakeViewer(), list[Played]()
    viewer.play(env, forward, None, seed=7, episodes=2, speed=1e6, launch=window.launch, tell=told.append)
    expected = evaluate(env, forward, 2, seed=7)
    assert len(window.positions) == expected.lengths.sum() == 80 and window.figures == []
    assert not np.allclose(window.positions[0], window.positions[39])
    assert [played.task_return for played in told] == pytest.approx(expected.returns.tolist())
    assert [played.steps for played in told] == [40, 40]
    assert expected.successes is not None and [played.solved for played in told] == expected.successes.tolist()
    assert not window.open


def test_closing_the_window_ends_the_playing(env: gym.Env[Any, Any]) -> None:
    window, told = FakeViewer(patience=50), list[Played]()
    viewer.play(env, forward, None, seed=0, speed=1e6, launch=window.launch, tell=told.append)
    assert len(window.positions) == 50 and len(told) == 1


def test_relevance_is_drawn_beside_the_state_it_is_of(env: gym.Env[Any, Any]) -> None:
    window, engine = FakeViewer(), learned_engine()
    relevance = engine.snapshot.relevance
    viewer.play(env, forward, relevance, seed=0, episodes=2, speed=1e6, launch=window.launch)
    engine.close()
    first, last = window.figures[0][1], window.figures[39][1]
    observation, _ = env.reset(seed=0)
    f = float(relevance(observation[None].astype(np.float32))[0])
    assert first.title == f"f(s) = {f:.3f}" and first.linepnt[0] == 1
    np.testing.assert_allclose(first.linedata[0, :2], (0, f), rtol=1e-5)
    assert last.linepnt[0] == 40 and last.linedata[0, 0] == -39  # steps ago
    np.testing.assert_allclose(last.linedata[0, 1], f, rtol=1e-5)
    assert window.figures[40][1].linepnt[0] == 1  # the next episode begins a new line


def test_playing_keeps_the_pace_of_the_env(env: gym.Env[Any, Any]) -> None:
    start = time.perf_counter()  # 40 steps at 50 Hz, four times as fast
    viewer.play(env, forward, None, seed=0, episodes=1, speed=4.0, launch=FakeViewer().launch)
    assert time.perf_counter() - start >= 40 / 50 / 4


def test_without_a_screen_one_sentence_names_the_other_way(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.platform", "linux")
    monkeypatch.setattr(glfw, "init", lambda: False)
    assert cli.main(["play", str(tmp_path)]) == 2
    error = capsys.readouterr().err
    assert error == (
        f"mvr: there is no screen that MuJoCo's viewer could open on; film it instead: mvr eval {tmp_path} --video\n"
    )


def test_a_run_is_played_from_where_training_evaluated(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    run = train(tiny_config(tmp_path), progress=False)
    capsys.readouterr()
    window = FakeViewer()
    monkeypatch.setattr(viewer, "check_screen", lambda run: None)
    monkeypatch.setattr(viewer, "open_viewer", window.launch)
    assert cli.main(["play", str(run.path), "--episodes", "1", "--speed", "1000", "--device", "cpu", "--trust"]) == 0
    result = SavedRun.open(run.path, "cpu", trust=True).evaluate(1)
    (line,) = capsys.readouterr().out.splitlines()
    assert line.startswith(f"task return {result.mean_return:,.1f} in 40 steps, ")
    assert len(window.figures) == 40


def test_a_pace_or_a_number_of_nothing_is_refused(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    for option, text in (("--speed", "speed is 0"), ("--episodes", "episodes is 0")):
        with pytest.raises(SystemExit):
            cli.main(["play", str(tmp_path), option, "0"])
        assert text in " ".join(capsys.readouterr().err.split())
