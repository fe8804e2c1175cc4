"""A configuration takes its values from the task and the preset, and gives them back as a task."""

from __future__ import annotations

import pytest

import tests.support.tiny_task  # noqa: F401  registers MVR/tiny
from mvr_agents.runs.config import TrainConfig
from mvr_wrappers.errors import ConfigError, UnknownNameError
from mvr_wrappers.tasks.registry import get_task


def test_values_come_from_task_and_preset() -> None:
    config = TrainConfig.for_task("window-close-v3", preset="demo")
    spec = get_task("window-close-v3", "demo")
    assert config.hyperparameters == spec.agent
    assert (config.clip, config.schedule, config.prompt) == (spec.clip, spec.schedule, spec.prompt)
    assert TrainConfig.for_task("window-close-v3").hyperparameters["steps"] == 1_000_000


def test_overrides_reach_the_task() -> None:
    config = TrainConfig.for_task("tiny", weight=0.5, clip={"stride": 2}, hyperparameters={"batch_size": 8}, seed=9)
    spec = config.task_spec()
    assert (spec.weight, spec.clip.stride, spec.clip.length) == (0.5, 2, 8)
    assert spec.agent["batch_size"] == 8 and spec.agent["n_critics"] == 2
    assert config.seed == 9


def test_the_task_is_the_registered_one_where_nothing_is_changed() -> None:
    assert TrainConfig.for_task("tiny").task_spec() == get_task("tiny", "default")


def test_bad_values_are_named() -> None:
    with pytest.raises(ConfigError, match=r"sead is no attribute.*seed"):
        TrainConfig.for_task("tiny", sead=1)
    with pytest.raises(ConfigError, match="weight"):
        TrainConfig.for_task("tiny", weight=-1.0)
    with pytest.raises(ConfigError, match="steps"):
        TrainConfig.for_task("tiny", hyperparameters={"steps": "many"})
    with pytest.raises(ConfigError, match=r"tiny\.seed: .*greater than or equal to 0, got -1"):
        TrainConfig.for_task("tiny", seed=-1)
    with pytest.raises(ConfigError, match=r"threads is 0.*at least 1"):
        TrainConfig.for_task("tiny", threads=0)
    with pytest.raises(UnknownNameError, match="demo"):
        TrainConfig.for_task("tiny", preset="dmo")


@pytest.mark.parametrize("key", ["steps", "n_envs", "batch_size", "train_freq", "eval_every", "eval_episodes"])
def test_counts_of_nothing_are_refused(key: str) -> None:
    with pytest.raises(ConfigError, match=rf"agent\.{key}: .*greater than 0, got 0"):
        TrainConfig.for_task("tiny", hyperparameters={key: 0})


def test_the_potential_rule_takes_the_gamma_of_the_agent_and_no_other() -> None:
    config = TrainConfig.for_task("hammer-v3", reward={"rule": "potential"}, hyperparameters={"gamma": 0.97})
    assert config.reward.gamma == config.task_spec().reward.gamma == 0.97
    same = TrainConfig.for_task(
        "hammer-v3", reward={"rule": "potential", "gamma": 0.97}, hyperparameters={"gamma": 0.97}
    )
    assert same == config
    with pytest.raises(ConfigError, match=r"reward\.gamma is 0\.99, and the gamma of the agent 0\.97"):
        TrainConfig.for_task("hammer-v3", reward={"rule": "potential", "gamma": 0.99}, hyperparameters={"gamma": 0.97})
    assert TrainConfig.for_task("hammer-v3", reward={"gamma": 0.5}).reward.gamma == 0.5  # it plays no part
