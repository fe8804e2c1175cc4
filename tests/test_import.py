"""Importing the package is cheap, and every public name is alive."""

from __future__ import annotations

import subprocess
import sys
import tomllib

import pytest

import mvr_wrappers
from tests.support.paths import ROOT

HEAVY = {"torch", "jax", "flax", "transformers", "mujoco", "stable_baselines3", "metaworld"}


@pytest.mark.parametrize("module", ["mvr_wrappers", "mvr_agents"])
def test_import_loads_no_heavy_package(module: str) -> None:
    code = f"import sys, {module}; print(*sorted({HEAVY!r} & set(sys.modules)))"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.split() == []
    assert result.stderr == ""


def test_an_env_is_made_and_stepped_without_torch() -> None:
    code = (
        "import sys, gymnasium as gym, mvr_wrappers\n"
        "env = gym.make('MVR/Hopper-v5')\n"
        "env.reset(seed=0), env.step(env.action_space.sample()), env.close()\n"
        "print(*sorted({'torch', 'transformers'} & set(sys.modules)))"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.split() == []


@pytest.mark.parametrize("name", mvr_wrappers.__all__)
def test_every_public_name_resolves(name: str) -> None:
    assert getattr(mvr_wrappers, name).__name__ == name


def test_the_version_is_the_one_that_is_installed_and_published() -> None:
    published = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert mvr_wrappers.__version__ == published


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="MultiViewReward"):
        mvr_wrappers.MultiViewReward  # noqa: B018 - the access itself is the test


def test_jax_stays_in_the_agents_and_the_bridge_to_jax_simulators() -> None:
    code = (
        "import sys, pkgutil, importlib, mvr_wrappers\n"
        "for room in pkgutil.iter_modules(mvr_wrappers.__path__, 'mvr_wrappers.'):\n"
        "    if room.name != 'mvr_wrappers.mjx':\n"
        "        inside = getattr(importlib.import_module(room.name), '__path__', [])\n"
        "        [importlib.import_module(m.name) for m in pkgutil.walk_packages(inside, room.name + '.')]\n"
        "print(*sorted({'jax', 'flax', 'optax'} & set(sys.modules)))"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.split() == []


@pytest.mark.parametrize("name", ["train", "evaluate"])
def test_public_functions_are_not_hidden_by_the_modules_of_their_names(name: str) -> None:
    code = f"import mvr_agents; mvr_agents.{name}; print(callable(mvr_agents.{name}))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "True\n"
