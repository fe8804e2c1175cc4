"""A run directory holds the configuration it was made from, and is told from other folders."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

import tests.support.tiny_task  # noqa: F401  registers MVR/tiny
from mvr_agents.runs.config import TrainConfig
from mvr_agents.runs.run_dir import RunDirectory
from mvr_wrappers.errors import ConfigError, UnknownNameError
from mvr_wrappers.settings import ClipSettings, ScheduleSettings


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
    assert set(document) == {"format", "config", "task", "started", "git", "versions", "machine"}
    assert document["format"] == 2


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


def rewrite(run: RunDirectory, change: Callable[[Any], object]) -> None:
    document = yaml.safe_load(run.config.read_text())
    change(document)
    run.config.write_text(yaml.safe_dump(document))


def test_a_config_of_the_first_format_is_read(config: TrainConfig) -> None:
    """It had neither a number of its format nor `layer_norm`, and another name for the hyper-parameters."""
    run = RunDirectory.create(config)

    def change(document: Any) -> None:
        del document["format"]
        document["config"]["learner"] = document["config"].pop("hyperparameters")
        del document["config"]["learner"]["layer_norm"]

    rewrite(run, change)
    with pytest.warns(UserWarning, match=r"without hyperparameters\.layer_norm: taken from preset default"):
        assert run.read_config() == config


def test_missing_keys_are_those_of_the_preset(tmp_path: Path) -> None:
    config = TrainConfig.for_task("window-close-v3", preset="demo", outputs=tmp_path, weight=0.25)
    run = RunDirectory.create(config)

    def change(document: Any) -> None:
        del document["config"]["clip"]["film_every"], document["config"]["schedule"]

    rewrite(run, change)
    assert config.clip.film_every != ClipSettings().film_every and config.schedule != ScheduleSettings()
    with pytest.warns(UserWarning, match=r"without (clip\.film_every, schedule|schedule, clip\.film_every)"):
        assert run.read_config() == config


def test_a_config_of_a_newer_version_is_refused(config: TrainConfig) -> None:
    run = RunDirectory.create(config)
    rewrite(run, lambda document: document.update(format=3))
    with pytest.raises(ConfigError, match=r"has format 3, .* update mvr-wrappers"):
        run.read_config()


def test_outputs_that_cannot_be_written_are_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="choose another outputs folder"):
        RunDirectory.create(TrainConfig.for_task("tiny", outputs=tmp_path / "file"))


def test_a_folder_is_named_after_its_seed(config: TrainConfig) -> None:
    assert RunDirectory.create(config).path.name.endswith("-seed-3")


def test_a_run_goes_where_it_is_told_to_unless_a_run_is_there(config: TrainConfig, tmp_path: Path) -> None:
    config = dataclasses.replace(config, run_dir=tmp_path / "a" / "b")
    (tmp_path / "a" / "b").mkdir(parents=True)
    run = RunDirectory.create(config)
    assert run.path == config.run_dir and run.read_config() == config
    with pytest.raises(ConfigError, match=r"there is a run in .* already"):
        RunDirectory.create(config)
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="choose another run_dir"):
        RunDirectory.create(dataclasses.replace(config, run_dir=tmp_path / "file" / "x"))
