"""What was trained can be loaded, evaluated and filmed; what was not is refused."""

from __future__ import annotations

from pathlib import Path

import gymnasium as gym
import numpy as np
import pytest

from mvr_agents import cli
from mvr_agents.runs.metrics import read_metrics
from mvr_agents.runs.policies import make_policy
from mvr_agents.runs.run_dir import RunDirectory
from mvr_agents.runs.saved_run import SavedRun
from mvr_agents.training import train
from mvr_wrappers.errors import ConfigError
from mvr_wrappers.tasks.registry import get_task
from tests.support.tiny_env import TinyEnv
from tests.support.tiny_run import tiny_config


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> RunDirectory:
    return train(tiny_config(tmp_path_factory.mktemp("outputs"), hyperparameters={"steps": 80}), progress=False)


def test_evaluation_repeats_the_last_one_of_training(run: RunDirectory) -> None:
    saved = SavedRun.open(run.path, "cpu", trust=True)
    result = saved.evaluate(episodes=2)
    np.testing.assert_allclose(result.mean_return, read_metrics(run.metrics)["eval_return"][-1], rtol=1e-5)
    assert result.lengths.tolist() == [40, 40]
    assert saved.evaluate(episodes=1, seed=5).mean_return != saved.evaluate(episodes=1).mean_return


def test_mvr_eval_prints_and_films(run: RunDirectory, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["eval", str(run.path), "--episodes", "2", "--video", "--device", "cpu", "--trust"]) == 0
    printed = capsys.readouterr().out
    assert "task return" in printed and "success at any step" in printed and "success at the last step" in printed
    assert (run.path / "episode.mp4").is_file() and (run.path / "episode.png").is_file()


def test_a_run_is_a_policy_of_tasks_with_its_spaces(run: RunDirectory) -> None:
    env = TinyEnv()
    action = make_policy(str(run.path), get_task("tiny"), env, seed=0, device="cpu", trust=True)(np.zeros(4))
    assert env.action_space.contains(action)
    env.observation_space = gym.spaces.Box(-1, 1, (39,), np.float64)
    with pytest.raises(ConfigError, match=r"trained on tiny, and its observations are not those of"):
        make_policy(str(run.path), get_task("hammer-v3"), env, seed=0, trust=True)
    env.action_space = gym.spaces.Box(-1, 1, (4,), np.float32)
    with pytest.raises(ConfigError, match=r"trained on tiny, and its actions are not those of"):
        make_policy(str(run.path), get_task("hammer-v3"), env, seed=0, trust=True)


def test_an_agent_that_is_a_pickle_must_be_trusted(run: RunDirectory, capsys: pytest.CaptureFixture[str]) -> None:
    for words in (["eval", str(run.path)], ["film", "tiny", "--policy", str(run.path)], ["play", str(run.path)]):
        code = cli.main(words)
        error = capsys.readouterr().err
        assert code == 2 and ("is a pickle of Stable-Baselines3" in error or "screen" in error), error


def test_a_damaged_agent_is_refused(run: RunDirectory, tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text(run.config.read_text())
    content = run.model.read_bytes()
    for broken in (b"", b"text", content[: len(content) // 2]):
        (tmp_path / "model.zip").write_bytes(broken)
        with pytest.raises(ConfigError, match=r"model\.zip is damaged, or no agent of the learner sb3-tqc"):
            SavedRun.open(tmp_path, "cpu", trust=True)


def test_a_run_without_an_agent_is_refused(run: RunDirectory, tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text(run.config.read_text())
    with pytest.raises(ConfigError, match=r"has no model\.zip"):
        SavedRun.open(tmp_path)
