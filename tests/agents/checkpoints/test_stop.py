"""A run that is told to stop writes one more checkpoint, and goes on from there, or exactly from the one before."""

from __future__ import annotations

import shutil
import signal
import warnings
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mvr_agents.checkpoints.folder import CheckpointFolder
from mvr_agents.runs.metrics import read_metrics
from mvr_agents.runs.monitor import Monitor
from mvr_agents.runs.run_dir import RunDirectory
from mvr_agents.training import resume, train
from mvr_wrappers.errors import ConfigError
from tests.support.killed_run import CHECKPOINT_EVERY, assert_same, run_killed
from tests.support.known import present
from tests.support.tiny_run import tiny_config

EVERY = {"checkpoint_every": CHECKPOINT_EVERY}


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> RunDirectory:
    return train(tiny_config(tmp_path_factory.mktemp("whole"), hyperparameters=EVERY), progress=False)


def test_a_finished_run_keeps_no_checkpoints_and_is_not_resumed(whole: RunDirectory) -> None:
    assert whole.finished.is_file() and whole.best.is_file() and not whole.checkpoints.exists()
    with pytest.raises(ConfigError, match="nothing to resume"):
        resume(whole.path)


@pytest.fixture(scope="module")
def stopped(tmp_path_factory: pytest.TempPathFactory) -> RunDirectory:
    """A run that was killed at step 203, with two checkpoints."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tests.support.killed_run.resume", lambda path, progress: RunDirectory(path))
        return run_killed(tiny_config(tmp_path_factory.mktemp("stopped"), hyperparameters=EVERY), [203], patch)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_with_a_checkpoint(
    number: signal.Signals, whole: RunDirectory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    on_step = Monitor._on_step
    lines: list[str] = []
    told: list[str] = []

    def signalled(self: Monitor) -> bool:
        if self.num_timesteps == 150:
            signal.raise_signal(number)
        return on_step(self)

    with monkeypatch.context() as patch:
        patch.setattr(Monitor, "_on_step", signalled)
        run = train(tiny_config(tmp_path, hyperparameters=EVERY), progress=False, notify=lines.append)
    assert lines[-1] == f"go on with: mvr train --resume {run.path}" and not run.finished.exists()
    folder = CheckpointFolder(run.checkpoints)
    newest, regular = present(folder.latest()), present(folder.latest(regular=True))
    assert (newest.step, newest.regular) == (160, False)  # once the rollout of 16 steps was learned from
    assert (regular.step, regular.regular) == (128, True)
    assert run.model.is_file() and run.curve.is_file() and read_metrics(run.metrics)["step"][-1] == 162

    copy = RunDirectory(Path(shutil.copytree(run.path, tmp_path / "copy")))
    resume(run.path, progress=False, notify=told.append)
    assert told[0] == f"going on in {run.path} from step 160" and run.finished.is_file()
    steps = read_metrics(run.metrics)["step"]
    assert steps[-1] == 240 and (np.diff(steps) > 0).all()
    resume(copy.path, exact=True, progress=False)
    assert_same(whole, copy)


def test_a_damaged_checkpoint_is_named_and_the_one_before_is_taken(
    whole: RunDirectory, stopped: RunDirectory, tmp_path: Path
) -> None:
    def damage(run: RunDirectory, step: int, name: str) -> None:
        path = run.checkpoints / f"step-{step:012d}" / name
        content = bytearray(path.read_bytes())
        content[len(content) // 2] ^= 1
        path.write_bytes(content)

    run = RunDirectory(Path(shutil.copytree(stopped.path, tmp_path / "run")))
    copy = RunDirectory(Path(shutil.copytree(run.path, tmp_path / "copy")))
    damage(run, 192, "agent.npz")
    with pytest.warns(UserWarning, match="192 is damaged: agent.npz has another checksum.*going on from .*128"):
        resume(run.path, progress=False)
    assert_same(whole, run)
    damage(copy, 192, "manifest.json")
    damage(copy, 128, "state.json")
    with pytest.raises(ConfigError, match=r"no checkpoint in .* is whole: .*192.*128 is damaged: state\.json"):
        resume(copy.path, progress=False)


def test_a_run_killed_before_its_first_checkpoint_begins_anew(
    whole: RunDirectory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = run_killed(tiny_config(tmp_path, hyperparameters=EVERY), [50], monkeypatch)
    assert_same(whole, run)


def test_without_the_replay_buffer_checkpoints_are_small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = tiny_config(tmp_path, hyperparameters=EVERY, checkpoint_replay=False)
    run = run_killed(config, [203], monkeypatch)
    assert run.finished.is_file() and not list(run.path.rglob("rows-*.npz"))


@settings(max_examples=40, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_byte_of_a_checkpoint(stopped: RunDirectory, tmp_path: Path, data: st.DataObject) -> None:
    """The one before is taken, or the reason is told; nothing else is raised, and nothing damaged is taken."""
    copy = Path(shutil.copytree(stopped.checkpoints, tmp_path / "copy", dirs_exist_ok=True))
    newest = sorted(copy.glob("step-*"))[-1]
    files = sorted(path for path in newest.rglob("*") if path.is_file())
    path = data.draw(st.sampled_from(files))
    content = bytearray(path.read_bytes())
    content[data.draw(st.integers(0, len(content) - 1))] ^= data.draw(st.integers(1, 255))
    path.write_bytes(content)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = present(CheckpointFolder(copy).latest())
    whole = present(CheckpointFolder(stopped.checkpoints).latest())
    assert found.step < whole.step or (path.name == "manifest.json" and found.state == whole.state)
    shutil.rmtree(copy)
