"""A run directory holds the configuration it was made from, and is told from other folders."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

import tests.support.tiny_task  # noqa: F401  registers MVR/tiny
from mvr_agents.runs.config import TrainConfig
from mvr_agents.runs.run_dir import RunDirectory
from mvr_wrappers.errors import ConfigError, UnknownNameError


@pytest.fixture
def config(tmp_path: Path) -> TrainConfig:
    return TrainConfig.for_task("tiny", seed=3, outputs=tmp_path / "outputs", hyperparameters={"steps": 70})


def test_the_configuration_is_read_back(config: TrainConfig) -> None:
    run = RunDirectory.create(config)
    assert run.path.parent == config.outputs / "tiny" / "jax-tqc"
    assert RunDirectory.open(run.path).read_config() == config


def test_config_yaml_says_what_the_run_was_made_with(config: TrainConfig) -> None:
    document = yaml.safe_load(RunDirectory.create(config).config.read_text())
    assert document["config"]["seed"] == 3
    assert document["config"]["hyperparameters"]["steps"] == 70
    assert document["task"]["make"]["id"] == "Tiny-v0"
    assert {"python", "torch", "gymnasium", "mvr-wrappers"} <= set(document["versions"])
    assert set(document) == {"config", "task", "started", "git", "versions"}


def test_runs_of_one_second_get_folders_of_their_own(config: TrainConfig) -> None:
    assert len({RunDirectory.create(config).path for _ in range(3)}) == 3


def test_a_task_that_does_not_exist_makes_no_folder(tmp_path: Path) -> None:
    with pytest.raises(UnknownNameError, match="tiny"):
        TrainConfig.for_task("tinny", outputs=tmp_path / "outputs")
    assert not (tmp_path / "outputs").exists()


def test_folders_that_are_no_runs_are_refused(config: TrainConfig, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="there is no folder"):
        RunDirectory.open(tmp_path / "absent")
    with pytest.raises(ConfigError, match="written by `mvr train`"):
        RunDirectory.open(tmp_path)
    run = RunDirectory.create(config)
    with pytest.raises(ConfigError, match=f"did you mean {run.path}"):
        RunDirectory.open(config.outputs)


def test_a_mistake_in_config_yaml_is_named(config: TrainConfig) -> None:
    run = RunDirectory.create(config)
    run.config.write_text(run.config.read_text().replace("film_every:", "film_evere:"))
    with pytest.raises(ConfigError, match=r"config\.yaml: config\.clip\.film_evere .*film_every"):
        run.read_config()
    run.config.write_text("[]")
    with pytest.raises(ConfigError, match="config is missing"):
        run.read_config()


def test_outputs_that_cannot_be_written_are_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="choose another outputs folder"):
        RunDirectory.create(TrainConfig.for_task("tiny", outputs=tmp_path / "file"))
