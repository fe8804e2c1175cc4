"""The presets of registry.yaml: the paper's text, its published configuration, and its ablations."""

from __future__ import annotations

from pathlib import Path

import pytest

from mvr_wrappers.errors import ConfigError, UnknownNameError
from mvr_wrappers.rigs import CameraRig
from mvr_wrappers.tasks.registry import get_task, load_registry, shipped_file, task_names

ABLATIONS = ("paper-no-reg", "paper-no-reference", "paper-direct", "paper-clip", "paper-1-view", "paper-2-views")


def test_the_published_configuration_differs_from_the_text() -> None:
    text, config = (get_task("hammer-v3", preset) for preset in ("paper", "paper-config"))
    assert (config.clip.length, config.clip.film_every, config.clip.views) == (128, 4, "turns")
    assert (config.clip.frame_at, text.clip.frame_at) == ("first", "middle")
    assert (config.schedule.update_every, text.schedule.update_every) == (50_000, 100_000)
    assert (config.relevance.keep, text.relevance.keep) == ("last", "best")
    agent = config.agent
    assert (agent["use_sde"], agent["noise_repeat"], agent["ent_coef_lr"], agent["eval_envs"]) == (False, 4, 6e-4, 2)
    assert config.dtype == "float32"
    # and what it does not say is the text's
    assert config.reward == text.reward and config.relevance.references == text.relevance.references
    assert config.make == text.make and config.scorer == text.scorer == "viclip-l"


@pytest.mark.parametrize("task", ["hammer-v3", "h1hand-walk-v0", "Humanoid-v5"])
def test_each_ablation_changes_one_thing_of_the_paper(task: str) -> None:
    paper = get_task(task, "paper")
    specs = {name: get_task(task, name) for name in ABLATIONS}
    assert specs["paper-no-reg"].relevance.representation_weight == 0
    assert specs["paper-no-reference"].reward.reference == "none"
    assert specs["paper-direct"].relevance.objective == "direct"
    assert specs["paper-clip"].scorer == "clip-l" and specs["paper-clip"].clip.frames == 1
    for name, views in (("paper-1-view", 1), ("paper-2-views", 2), ("paper-no-reg", 4)):
        rig = specs[name].rig
        assert rig is not None and len(CameraRig.from_config(rig)) == views
    for name, changed in {"paper-no-reg": "relevance", "paper-no-reference": "reward", "paper-1-view": "rig"}.items():
        for part in ("relevance", "reward", "rig", "clip", "schedule", "agent", "scorer", "weight", "make"):
            assert (getattr(specs[name], part) == getattr(paper, part)) == (part != changed)


def test_every_preset_fits_every_task() -> None:
    for preset in shipped_file().presets:
        for task in task_names():
            assert get_task(task, preset).name == task


TASKS = "tasks: {hop: {make: {id: Hopper-v5}, prompt: a hop, family: legs}}\nfamilies: {legs: {clip: {length: 10}}}\n"


def write(folder: Path, presets: str) -> Path:
    path = folder / "my.yaml"
    path.write_text(f"{TASKS}presets:\n{presets}", encoding="utf-8")
    return path


def test_a_preset_extends_another_of_its_file_or_a_shipped_one(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        """
  slow: {extends: paper, clip: {film_every: 20}, families: {legs: {clip: {frames: 5}}}}
  slower: {extends: slow, clip: {film_every: 30}, weight: 0.5}
  demo: {extends: demo, weight: 0.2}
""",
    )
    load_registry(path)
    slow, slower, demo = (get_task(f"{path}:hop", preset) for preset in ("slow", "slower", "demo"))
    assert (slow.clip.film_every, slower.clip.film_every) == (20, 30)
    assert slow.clip.frames == slower.clip.frames == 5
    assert (slow.weight, slower.weight) == (0.1, 0.5)
    assert slow.scorer == slower.scorer == "viclip-l"
    assert (demo.weight, demo.agent["steps"]) == (0.2, get_task("hammer-v3", "demo").agent["steps"])


def test_presets_that_extend_nothing_there_is(tmp_path: Path) -> None:
    for presets, message in (
        ("  a: {extends: papre}\n", "no preset 'papre'. Nearest names: paper"),
        ("  a: {extends: b}\n  b: {extends: a}\n", "no preset 'b'"),  # only one above can be extended
        ("  a: {extends: a}\n", "no preset 'a'"),
    ):
        with pytest.raises(UnknownNameError, match=message):
            load_registry(write(tmp_path, presets))
    with pytest.raises(ConfigError, match=r"presets\.a\.extends must be the name of a preset, got \['paper'\]"):
        load_registry(write(tmp_path, "  a: {extends: [paper]}\n"))
