"""registry.yaml and users' own task files: layers, presets, errors, and Gymnasium ids."""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gymnasium as gym
import pytest

import mvr_wrappers
from mvr_wrappers.errors import ConfigError, MissingExtraError, UnknownNameError
from mvr_wrappers.extras import install_command
from mvr_wrappers.rigs import CameraRig
from mvr_wrappers.settings import ClipSettings
from mvr_wrappers.tasks import registry
from mvr_wrappers.tasks.base_envs import make_base_env
from mvr_wrappers.tasks.registry import get_task, load_registry, register_tasks, task_names

TASK = "tasks:\n  reach-red: {family: tiny, prompt: a ball rolling to the red pillar}\n"
FAMILY = "families:\n  tiny: {make: {id: Tiny-v0}}\n"


@pytest.fixture
def write(tmp_path: Path) -> Any:
    def write(text: str, name: str = "tasks.yaml") -> Path:
        path = tmp_path / name
        path.write_text(text, encoding="utf-8")
        return path

    return write


@pytest.fixture
def forget() -> Iterator[None]:
    """Takes back what a test registers."""
    ids: Any = dict(gym.registry)
    tasks: Any = dict(registry._registered)
    yield
    for before, now in ((ids, gym.registry), (tasks, registry._registered)):
        now.clear()
        now.update(before)


# The shipped file


PUBLISHED = {
    "faucet-close-v3": "a robot gripper rotating the faucet clockwise",
    "hammer-v3": "a robot gripper hammering a screw on the wall",
    "handle-press-side-v3": "a robot gripper pressing a handle down sideways",
    "peg-unplug-side-v3": "a robot gripper unpluging a peg sideways",
    "push-back-v3": "a robot gripper pushing the wooden block backward",
    "push-v3": "a robot gripper pushing a cylinder",
    "push-wall-v3": "a robot gripper bypassing a wall and pushing a cylinder",
    "shelf-place-v3": "a robot gripper picking and placing a cube onto a shelf",
    "stick-pull-v3": "a robot gripper grasping a cuboid and pulling a kettle with the cuboid",
    "window-close-v3": "a robot gripper pushing and closing a window",
}
BODIES = {"Humanoid-v5", "HalfCheetah-v5", "Hopper-v5", "Walker2d-v5", "Ant-v5"}


def test_the_shipped_tasks_have_the_published_prompts() -> None:
    tasks = load_registry()
    assert {name: tasks[name].prompt for name in PUBLISHED} == PUBLISHED
    assert {name for name, spec in tasks.items() if spec.family == "gymnasium"} == BODIES
    assert all(spec.name == name and spec.source for name, spec in tasks.items())
    assert get_task("hammer-v3").rig == {
        "kind": "ring",
        "azimuths": [90, 180, 270, 0],
        "lookat": [0.0, 0.5, 0.0],
        "distance": 2.0,
        "elevation": -20.0,
    }


def test_a_spec_is_frozen_and_plain_enough_for_json() -> None:
    spec = get_task("hammer-v3")
    with pytest.raises(dataclasses.FrozenInstanceError):
        spec.prompt = "another"  # type: ignore[misc]
    assert json.loads(json.dumps(dataclasses.asdict(spec)))["make"]["kwargs"]["env_name"] == "hammer-v3-goal-observable"


def test_specs_share_nothing_that_can_be_changed() -> None:
    first = get_task("hammer-v3")
    assert first.rig is not None
    first.rig["azimuths"].append(45)
    first.agent["net_arch"].append(7)
    first.make.kwargs["positions"] = "fixed"
    assert get_task("hammer-v3") == load_registry()["hammer-v3"] != first


def test_the_published_agent() -> None:
    agent = get_task("hammer-v3").agent
    assert agent["learning_rate"] == (6e-4, 5e-5)
    assert (agent["n_quantiles"], agent["top_quantiles_to_drop_per_net"], agent["n_critics"]) == (50, 5, 2)
    assert agent["net_arch"] == [256, 256, 256]


# Layers


def test_the_paper_preset_is_the_paper() -> None:
    spec = get_task("hammer-v3", preset="paper")
    assert (spec.scorer, spec.weight, spec.make.kwargs["positions"]) == ("viclip-l", 0.1, "fixed")
    assert (spec.clip.length, spec.clip.film_every, spec.clip.views) == (64, 9, "random")
    assert (spec.relevance.tau, spec.relevance.beta, spec.relevance.references) == (0.1, 100.0, 10)
    assert spec.relevance.states_per_clip is None
    assert not spec.relevance.standardise
    assert not spec.relevance.center_views
    assert (spec.reward.baseline, spec.reward.rule) == ("none", "additive")
    assert spec.schedule.update_every == 100_000
    assert "positions" not in get_task("Ant-v5", preset="paper").make.kwargs


def test_the_default_preset_changes_nothing() -> None:
    assert get_task("hammer-v3", preset="default") == get_task("hammer-v3")
    assert get_task("hammer-v3").reward.baseline == "reference"


def test_the_demo_preset_overrules_the_family_and_suits_a_short_run() -> None:
    spec = get_task("window-close-v3", preset="demo")
    assert spec.agent["steps"] < get_task("window-close-v3").agent["steps"]
    assert spec.agent["steps"] / spec.schedule.update_every >= 3
    assert spec.agent["learning_starts"] < spec.agent["steps"]


LAYERS = """
defaults: {clip: {length: 8, stride: 1, frames: 1, film_every: 1}, reward: {gamma: 0.1}}
presets:
  long: {clip: {stride: 3, frames: 3, film_every: 3}, families: {tiny: {clip: {frames: 4, film_every: 4}}}}
families:
  base: {make: {id: Tiny-v0, kwargs: {max_steps: 9}}, clip: {length: 32}, rig: {kind: ring, distance: 2.0}}
  tiny: {extends: base, clip: {stride: 2, frames: 2, film_every: 2}, rig: {elevation: -30.0}}
tasks:
  reach-red: {family: tiny, prompt: a ball, clip: {film_every: 5}}
  own-rig: {family: tiny, prompt: a ball, rig: {kind: named, names: [track]}}
  no-family: {make: {id: "Tiny-v0"}, prompt: a ball}
"""


def test_each_layer_overrules_the_ones_below_it(write: Any) -> None:
    path = write(LAYERS)
    plain = load_registry(path)["reach-red"]
    assert dataclasses.astuple(plain.clip)[:4] == (32, 2, 2, 5)  # length: base, stride and frames: family, film: task
    assert plain.reward.gamma == 0.1  # the file's defaults over those of the package
    assert plain.agent["n_envs"] == 8  # the shipped defaults below the file's
    preset = get_task(f"{path}:reach-red", preset="long")
    assert dataclasses.astuple(preset.clip)[:4] == (32, 3, 4, 5)  # stride: preset, frames: its part for the family
    given = get_task(f"{path}:reach-red", preset="long", clip={"film_every": 6})
    assert dataclasses.astuple(given.clip)[:4] == (32, 3, 4, 6)
    assert plain.make.kwargs == {"max_steps": 9}
    assert load_registry(path)["no-family"].rig is None


def test_a_rig_merges_until_a_layer_names_its_kind(write: Any) -> None:
    tasks = load_registry(write(LAYERS))
    assert tasks["reach-red"].rig == {"kind": "ring", "distance": 2.0, "elevation": -30.0}
    assert tasks["own-rig"].rig == {"kind": "named", "names": ["track"]}


def test_keywords_take_settings_objects_and_none_changes_nothing() -> None:
    spec = get_task("MVR/hammer-v3", weight=0.5, scorer=None, clip=ClipSettings(length=32), agent={"gamma": 0.9})
    assert spec.clip == ClipSettings(length=32)
    assert (spec.weight, spec.scorer, spec.agent["gamma"], spec.agent["tau"]) == (0.5, "pocket", 0.9, 0.005)


def test_a_rig_object_is_taken_as_a_keyword() -> None:
    rig = CameraRig.ring(azimuths=(0, 45), track="torso", distance=2.5)
    config = get_task("Ant-v5", rig=rig).rig
    assert config is not None
    assert CameraRig.from_config(config) == rig


def test_a_family_of_a_user_may_extend_or_hide_a_shipped_one(write: Any) -> None:
    path = write(
        "families:\n"
        "  metaworld: {extends: metaworld, rig: {distance: 3.0}}\n"
        "tasks:\n"
        "  hammer-left: {family: metaworld, prompt: a hammer, make: {kwargs: {env_name: hammer-v3-goal-observable}}}\n"
    )
    spec = load_registry(path)["hammer-left"]
    assert spec.rig is not None
    assert (spec.rig["distance"], spec.rig["elevation"]) == (3.0, -20.0)
    assert spec.make.kwargs == {"env_name": "hammer-v3-goal-observable", "positions": "reset", "reward": "dense"}
    assert get_task("hammer-v3").rig != spec.rig
    assert get_task(f"{path}:hammer-left", preset="paper").make.kwargs["positions"] == "fixed"


def test_a_preset_speaks_to_the_families_a_family_extends(write: Any) -> None:
    path = write("families:\n  lab: {extends: metaworld}\ntasks:\n  push-v3: {family: lab, prompt: a push}\n")
    assert get_task(f"{path}:push-v3", preset="paper").make.kwargs["positions"] == "fixed"
    assert get_task(f"{path}:push-v3").make.kwargs["positions"] == "reset"


# Names and keywords


def test_unknown_names_are_answered_with_near_ones() -> None:
    with pytest.raises(UnknownNameError, match=r"no task 'hamer-v3'. Nearest names: hammer-v3"):
        get_task("hamer-v3")
    with pytest.raises(UnknownNameError, match=r"no task 'xyzzy'. Nearest names: ([^,]+, ){2}[^,]+; see `mvr tasks`$"):
        get_task("xyzzy")
    with pytest.raises(UnknownNameError, match=r"MT10 is several tasks: .*gymnasium.make_vec\('MVR/MT10'\)"):
        get_task("MT10")
    with pytest.raises(UnknownNameError, match=r"no preset 'papr'. Nearest names: paper"):
        get_task("hammer-v3", preset="papr")
    with pytest.raises(gym.error.NameNotFound, match="hammer"):
        gym.make("MVR/hamer-v3")


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ({"weihgt": 0.1}, r"hammer-v3\.weihgt is not a setting\. Nearest valid keys: weight"),
        ({"clip": {"lengths": 8}}, r"hammer-v3\.clip\.lengths is not a setting\. Nearest valid keys: length\."),
        ({"clip": {"length": 0}}, r"hammer-v3\.clip\.length is 0; it must be greater than 0"),
        ({"clip": 8}, r"hammer-v3\.clip: .*got 8"),
        ({"rig": {"distances": 3.0}}, r"hammer-v3\.rig\.distances is not a setting\. Nearest valid keys: distance\."),
        ({"rig": {"distance": 0.0}}, r"hammer-v3\.rig: camera\.distance is 0\.0; it must be greater than 0 metres"),
        ({"rig": {"kind": "rig"}}, r"hammer-v3\.rig\.kind is 'rig'; give one of: free, named, ring"),
        ({"rig": {"kind": {"ring": 1}}}, r"hammer-v3\.rig\.kind is \{'ring': 1\}; give one of: free, named, ring"),
        ({"rig": 3}, r"hammer-v3\.rig: .*got 3"),
        ({"prompt": ""}, r"hammer-v3\.prompt is ''; write one sentence"),
        ({"weight": "much"}, r"hammer-v3\.weight: Input should be a valid number, got 'much'"),
        ({"make": {"max_episode_steps": 0}}, r"hammer-v3\.make\.max_episode_steps: .*greater than 0, got 0"),
        ({"family": "gymnasium"}, r"hammer-v3\.family cannot be set here"),
    ],
)
def test_keywords_that_cannot_work_are_refused(overrides: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        get_task("hammer-v3", **overrides)


# Registration


def test_every_shipped_task_has_an_id_that_names_strings_only() -> None:
    for name in load_registry():
        spec = gym.spec(f"MVR/{name}")
        assert spec.kwargs == {"task": name}
        assert (spec.entry_point, spec.vector_entry_point) == (
            "mvr_wrappers.envs.make:make_env",
            "mvr_wrappers.envs.make:make_vector_env",
        )
        assert spec.max_episode_steps is None  # the limit is set inside, where filming sees it
        spec.to_json()


@pytest.mark.parametrize("name", ["h2hand-balance_hard-v0", "h2-walk-v0", "reach.red", "a_1"])
def test_task_names_of_every_family_make_valid_ids(write: Any, forget: None, name: str) -> None:
    register_tasks(write(FAMILY + f"tasks:\n  {name}: {{family: tiny, prompt: x}}\n"))
    assert gym.spec(f"MVR/{name}").id == f"MVR/{name}"


def test_registering_tasks_of_a_user(write: Any, forget: None) -> None:
    path = write(FAMILY + TASK)
    assert register_tasks(path).keys() == {"reach-red"}
    assert "reach-red" in task_names()
    assert get_task("reach-red").prompt == "a ball rolling to the red pillar"
    assert register_tasks(str(path)) == load_registry(path)  # again: no change, no warning
    assert "reach-red" not in load_registry()
    reference = gym.spec("MVR/reach-red").kwargs["task"]
    registry._registered.clear()  # as in a spawned process, which knows the reference only
    assert get_task(reference) == load_registry(path)["reach-red"]


def test_a_name_cannot_stand_for_two_tasks(write: Any, forget: None) -> None:
    first = write(FAMILY + TASK)
    register_tasks(first)
    register_tasks(write(FAMILY + TASK, "same.yaml"))
    other = write(FAMILY + TASK.replace("red pillar", "blue pillar"), "other.yaml")
    with pytest.raises(
        ConfigError, match=r"other\.yaml: tasks\.reach-red is already defined otherwise by .*tasks\.yaml"
    ):
        register_tasks(other)
    shipped = write(FAMILY + "tasks:\n  hammer-v3: {family: tiny, prompt: x}\n", "shipped.yaml")
    with pytest.raises(ConfigError, match=r"tasks\.hammer-v3 is already defined otherwise by .*registry\.yaml"):
        register_tasks(shipped)
    with pytest.raises(ConfigError, match="choose another name"):
        register_tasks(write(FAMILY + "tasks:\n  hammer: {family: tiny, prompt: x}\n", "unversioned.yaml"))
    assert get_task("reach-red").prompt == "a ball rolling to the red pillar"


# Base envs


def test_a_base_env_takes_the_arguments_of_the_task_and_of_the_caller(write: Any) -> None:
    path = write("families:\n  tiny: {make: {id: Tiny-v0, max_episode_steps: 7}}\n" + TASK)
    spec = get_task(f"{path}:reach-red")
    assert _length(make_base_env(spec)) == 7
    assert _length(make_base_env(spec, max_episode_steps=5)) == 5
    assert _length(make_base_env(spec, max_steps=3)) == 3
    assert make_base_env(spec, render_mode="rgb_array").render_mode == "rgb_array"


def _length(env: gym.Env[Any, Any]) -> int:
    env.reset(seed=0)
    steps, done = 0, False
    while not done:
        _, _, terminated, truncated, _ = env.step(env.action_space.sample())
        steps, done = steps + 1, terminated or truncated
    return steps


@pytest.mark.parametrize(
    ("make", "message"),
    [
        ({"id": "Tinny-v0"}, "Tinny-v0 of task a cannot be made so: Environment `Tinny` doesn't exist. Did you mean"),
        ({"id": "Tiny-v0", "kwargs": {"colour": 1}}, "unexpected keyword argument 'colour'"),
        ({"id": "Tiny-v0", "module": "no_such_package"}, "task a needs the package no_such_package; install it"),
    ],
)
def test_an_env_that_cannot_be_made_is_a_config_error(write: Any, make: dict[str, Any], message: str) -> None:
    path = write(f"tasks:\n  a: {{prompt: x, make: {json.dumps(make)}}}\n")
    with pytest.raises(ConfigError, match=message):
        make_base_env(get_task(f"{path}:a"))


def test_a_missing_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    import importlib

    def absent(module: str) -> None:
        raise ModuleNotFoundError(f"No module named {module!r}", name=module)

    monkeypatch.setattr(importlib, "import_module", absent)
    with pytest.raises(
        MissingExtraError, match=f"hammer-v3 needs metaworld.*{re.escape(install_command('metaworld'))}"
    ):
        make_base_env(get_task("hammer-v3"))


def test_public_names_are_those_of_the_package() -> None:
    assert mvr_wrappers.get_task is get_task
    assert mvr_wrappers.TaskSpec is registry.TaskSpec
