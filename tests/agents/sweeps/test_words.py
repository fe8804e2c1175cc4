"""The words of a trial make the configuration of the trial."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import tests.support.tiny_task  # noqa: F401  registers MVR/tiny
from mvr_agents import cli
from mvr_agents.command import dispatch
from mvr_agents.command.arguments import TrainArgs
from mvr_agents.runs.config import TrainConfig
from mvr_agents.sweeps.suites import read_suites
from mvr_agents.sweeps.trials import trials
from mvr_agents.sweeps.words import train_words


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"seed": 3, "run_dir": Path("a b/c"), "shaping": False, "prompt": "a ball: 'red' -- or not"},
        {"clip": {"image_size": None, "views": "all"}, "relevance": {"standardise": False, "state_bound": None}},
        {"hyperparameters": {"learning_rate": [1e-3, 1e-4], "net_arch": [8], "ent_coef": 0.1, "use_sde": False}},
        {"rig": {"kind": "ring", "azimuths": [0.0], "distance": 2.0}, "env_kwargs": {"a": {"b": [1, 2]}}},
        {"reward": {"rule": "potential"}, "relabel": False, "task_reward": "sparse", "subproc": True},
    ],
)
def test_words_are_read_back(monkeypatch: pytest.MonkeyPatch, options: dict[str, Any]) -> None:
    config = TrainConfig.for_task("tiny", "demo", **options)
    assert parsed(monkeypatch, train_words(config)) == config


def test_words_of_the_shipped_suites_are_read_back(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for suite in read_suites().values():
        for trial in trials([suite], tmp_path)[:: len(suite.tasks)][: len(suite.arms)]:
            assert parsed(monkeypatch, train_words(trial.config)) == trial.config


def parsed(monkeypatch: pytest.MonkeyPatch, words: list[str]) -> TrainConfig:
    seen: list[TrainConfig] = []
    monkeypatch.setitem(dispatch.COMMANDS, "train", (TrainArgs, lambda args: seen.append(args.train) or 0))
    assert cli.main(words) == 0
    return seen[0]
