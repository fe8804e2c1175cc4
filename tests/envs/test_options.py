"""EnvPlan: a task and its options, sorted by who needs them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gymnasium as gym
import pytest

from mvr_wrappers.envs.make import make_vector_env
from mvr_wrappers.envs.plan import EnvPlan
from mvr_wrappers.errors import ConfigError, UnknownNameError
from mvr_wrappers.scorers import scorer_names
from tests.support.tiny_env import TinyEnv

MODULE = """
import gymnasium as gym
from mvr_wrappers import register_scorer
from tests.support.fake_scorer import FakeScorer

gym.register("{name}-v0", entry_point="tests.support.tiny_env:TinyEnv")
register_scorer("{name}", lambda **_: FakeScorer())
"""
TASK = "tasks:\n  {name}: {{make: {{id: {name}-v0, module: {name}}}, prompt: a ball, scorer: {name}}}\n"


def write(folder: Path, name: str) -> str:
    """Writes a module that registers an env and a scorer of this name, and a task file; returns the task."""
    (folder / f"{name}.py").write_text(MODULE.format(name=name))
    (folder / "tasks.yaml").write_text(TASK.format(name=name))
    return f"{folder / 'tasks.yaml'}:{name}"


@pytest.mark.parametrize("vector", [False, True])
def test_a_tasks_module_may_register_the_scorer_it_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, vector: bool
) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))
    name = f"own{vector}"
    task = write(tmp_path, name)
    assert name not in scorer_names()
    if vector:
        env: Any = make_vector_env(task, 2, clip={"length": 8})
        assert env.engine.scorer.name == "fake"
    else:
        env = gym.make("mvr_wrappers:MVR/Hopper-v5", task=task, clip={"length": 8})
        assert env.get_wrapper_attr("engine").scorer.name == "fake"
    env.close()


def test_a_module_that_is_missing_is_named(tmp_path: Path) -> None:
    task = write(tmp_path, "absent_module")
    with pytest.raises(ConfigError, match=r"needs the package absent_module; install it, or correct make\.module"):
        EnvPlan.read(task, {})


def test_a_scorer_that_nobody_registered_is_still_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))
    task = write(tmp_path, "silent_module")
    (tmp_path / "silent_module.py").write_text("import tests.support.tiny_env")
    with pytest.raises(UnknownNameError, match="'silent_module'"):
        make_vector_env(task, 2)


class Blind(TinyEnv):
    """Knows no render modes, and takes no argument for one."""

    metadata = {"render_modes": []}  # noqa: RUF012 - declared by gymnasium.Env

    def __init__(self) -> None:
        super().__init__(8)


def test_an_env_without_render_modes_is_not_asked_for_pictures(tmp_path: Path) -> None:
    sb3 = pytest.importorskip("mvr_wrappers.sb3", exc_type=ImportError)
    gym.register("Blind-v0", entry_point="tests.envs.test_options:Blind")
    task = tmp_path / "tasks.yaml"
    task.write_text("tasks:\n  blind: {make: {id: Blind-v0}, prompt: a ball, clip: {length: 8}}\n")
    venv = sb3.make_vec_env(f"{task}:blind", shaping=False)
    venv.reset()
    assert venv.render_mode is None
    assert sb3.make_vec_env("MVR/Hopper-v5", shaping=False).render_mode == "rgb_array"
    with pytest.raises(ConfigError, match="render_mode"), pytest.warns(UserWarning, match="render_mode"):
        sb3.make_vec_env(f"{task}:blind", shaping=False, render_mode="rgb_array")
    del gym.registry["Blind-v0"]
