"""Suites are read strictly, and come to the trials that one would write down by hand."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import tests.support.tiny_task  # noqa: F401  registers MVR/tiny
from mvr_agents.sweeps.suites import Arm, choose, read_seeds, read_suites
from mvr_agents.sweeps.trials import crossed, trials
from mvr_wrappers.errors import ConfigError, UnknownNameError
from tests.support.tiny_suite import small_trials, write_suite


def test_a_suite_comes_to_its_trials_seed_by_seed(tmp_path: Path) -> None:
    found = small_trials(tmp_path)
    assert [trial.name for trial in found] == [
        "tiny none seed 0",
        "tiny mvr seed 0",
        "tiny none seed 1",
        "tiny mvr seed 1",
    ]
    assert found[3].run.path == tmp_path / "outputs" / "small" / "tiny" / "mvr" / "seed-1"
    none, mvr = found[0].config, found[3].config
    assert none.task == f"{tmp_path / 'tasks.yaml'}:tiny"
    assert not none.shaping and mvr.shaping and (none.weight, mvr.weight) == (0.1, 0.3)
    assert (mvr.clip.film_every, mvr.clip.image_size, mvr.clip.length) == (2, 32, 8)  # of arm, suite and task
    assert mvr.hyperparameters["steps"] == 240 and mvr.seed == 1 and mvr.agent == "sb3-tqc"


def test_arms_may_have_a_preset_of_their_own(tmp_path: Path) -> None:
    path = write_suite(tmp_path, arms={"mvr": {}, "paper": {"preset": "paper"}}, options={}, seeds=[7])
    found = trials([read_suites(path)["small"]], tmp_path, steps=50)
    assert [trial.config.preset for trial in found] == ["default", "paper"]
    assert {trial.config.hyperparameters["steps"] for trial in found} == {50}
    assert found[1].config.reward.baseline == "none" and found[0].config.reward.baseline == "reference"


def test_every_shipped_suite_can_be_run(tmp_path: Path) -> None:
    counts = {name: len(trials([suite], tmp_path)) for name, suite in read_suites().items()}
    assert counts == {
        "paper-metaworld": 10 * 2 * 5,
        "paper-humanoid": 9 * 2 * 3,
        "paper-ablations": 4 * 7 * 3,
        "sparse-small": 10 * 3 * 5,
        "dense-small": 10 * 3 * 5,
        "smoke": 2,
    }
    sparse = trials([read_suites()["sparse-small"]], tmp_path)
    assert {(t.config.task_reward, t.config.task_spec().make.max_episode_steps) for t in sparse} == {("sparse", 200)}
    assert {(t.config.weight, t.config.clip.views, t.config.hyperparameters["steps"]) for t in sparse} == {
        (0.3, "all", 48_000)
    }


def test_set_makes_an_arm_of_each_combination(tmp_path: Path) -> None:
    arms = (Arm("none", "demo", {"shaping": False}), Arm("mvr", "demo", {"clip": {"views": "all"}}))
    made = crossed(arms, {"weight": [0.01, 0.1], "clip.film-every": [1], "gamma": [0.9]})
    assert [arm.name for arm in made] == [
        "none-gamma=0.9",  # without shaping there are no two weights
        "mvr-weight=0.01-clip.film-every=1-gamma=0.9",
        "mvr-weight=0.1-clip.film-every=1-gamma=0.9",
    ]
    assert made[2].options == {
        "clip": {"views": "all", "film_every": 1},
        "weight": 0.1,
        "hyperparameters": {"gamma": 0.9},
    }
    assert crossed(arms, {}) == arms
    (one,) = crossed(arms[1:], {"net_arch": [[64, 64]], "preset": ["paper"]})
    assert one.name == "mvr-net_arch=64_64-preset=paper" and one.preset == "paper"


def test_tasks_by_name_are_a_suite_of_their_own(tmp_path: Path) -> None:
    (suite,) = choose(["push-v3", "tiny", "push-v3"], preset="demo")
    assert (suite.name, suite.tasks, suite.seeds) == ("sweep", ("push-v3", "tiny"), (0,))
    assert [arm.name for arm in suite.arms] == ["mvr"] and suite.arms[0].preset == "demo"
    (suite,) = choose(["push-v3"], arms=["potential", "none"], preset="default")
    potential, none = (trial.config for trial in trials([suite], tmp_path))
    assert potential.reward.rule == "potential" and not none.shaping


def test_a_file_adds_suites_and_tasks(tmp_path: Path) -> None:
    path = write_suite(tmp_path)
    small, smoke, tasks = choose(["small", "smoke", "tiny"], path, preset="default")
    assert (small.name, smoke.name) == ("small", "smoke")
    assert tasks.tasks == (f"{path}:tiny",)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"sedes": [1]}, ["suites.small.sedes is not a setting", "keys: seeds"]),
        ({"tasks": []}, ["suites.small.tasks is empty"]),
        ({"arms": {}}, ["suites.small.arms is empty"]),
        ({"arms": {"a/b": {}}}, ["suites.small: 'a/b' names a folder"]),
        ({"arms": {"a": {"wegiht": 1}}}, ["suites.small.arms.a.wegiht is no option", "weight"]),
        ({"arms": {"a": {"seed": 1}}}, ["suites.small.arms.a.seed is no option"]),
        ({"options": {"gama": 1}}, ["suites.small.options.gama is no option", "keys: gamma"]),
        ({"seeds": "0..x"}, ["suites.small.seeds: '0..x' is no seed", "0..4"]),
        ({"seeds": [-1]}, ["suites.small.seeds"]),
        ({"seeds": []}, ["suites.small.seeds is empty"]),
        ({"tasks": ["tinny"]}, ["suites.small, arm none, tinny: there is no task 'tinny'", "tiny"]),
        ({"tasks": ["tiny", "tiny"]}, ["tiny, arm none, seed 0 stands twice"]),
        ({"preset": "dmo"}, ["suites.small, arm none, tiny: there is no preset 'dmo'", "demo"]),
        (
            {"arms": {"a": {"clip": {"lengths": 1}}}},
            ["arm a, tiny", "clip.lengths is not", "keys: length"],
        ),
        ({"arms": {"a": {"agent": "ppo"}}}, ["suites.small, arm a, tiny: agent", "ppo"]),
        ({"arms": {"a": {"shaping": "no way"}}}, ["suites.small, arm a, tiny: shaping"]),
        ({"options": {"weight": -1}}, ["suites.small, arm none, tiny", "weight is -1"]),
    ],
)
def test_mistakes_are_named_with_their_place(tmp_path: Path, changes: dict[str, Any], expected: list[str]) -> None:
    with pytest.raises((ConfigError, UnknownNameError)) as caught:
        small_trials(tmp_path, **changes)
    message = str(caught.value)
    assert str(tmp_path / "tasks.yaml") in message
    assert [part for part in expected if part not in message] == [], message


def test_unknown_names_get_the_nearest() -> None:
    with pytest.raises(UnknownNameError, match=r"no suite and no task 'smok'. Nearest names: smoke"):
        choose(["smok"], preset="default")
    with pytest.raises(UnknownNameError, match=r"suites\.smoke has no arm 'mrv'. Nearest names: mvr"):
        choose(["smoke"], arms=["mrv"], preset="default")
    with pytest.raises(ConfigError, match=r"name suites or tasks; the suites are .*sparse-small"):
        choose([], preset="default")
    with pytest.raises(ConfigError, match=r"--set\.wegiht is no option"):
        crossed([Arm("mvr", "default", {})], {"wegiht": [1]})


def test_seeds_are_numbers_and_ranges() -> None:
    assert read_seeds(["0..2", "7", 5, "1..3"], "--seeds") == (0, 1, 2, 7, 5, 3)
    with pytest.raises(ConfigError, match=r"--seeds: '4\.\.2' is no seed"):
        read_seeds(["4..2"], "--seeds")


def test_suites_have_the_arms_that_are_asked_for() -> None:
    suite = read_suites()["sparse-small"]
    assert [arm.name for arm in suite.with_arms(["potential", "none"]).arms] == ["potential", "none"]
    assert suite.with_arms([]) == suite == replace(suite)
