"""The built wheel carries its data and works in a clean venv, away from the checkout and without any extra."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest

from tests.support.paths import ROOT

USE = """
import gymnasium as gym, numpy as np, mvr_wrappers
from mvr_wrappers.errors import MissingExtraError

env = gym.make("MVR/HalfCheetah-v5", clip={"length": 16, "stride": 16, "film_every": 1},
               schedule={"score_every": 20, "update_every": 40}, relevance={"max_steps": 50})
env.reset(seed=0)
for _ in range(45):
    observation, reward, terminated, truncated, info = env.step(env.action_space.sample())
    assert np.isfinite(reward) and {"task_reward", "vlm_reward"} <= set(info)
env.reset()
env.step(env.action_space.sample())
env.close()
print(mvr_wrappers.__file__)
try:
    gym.make("MVR/hammer-v3")
except MissingExtraError as error:
    print(error)
"""


def _run(*command: str | Path, cwd: Path) -> subprocess.CompletedProcess[str]:
    env = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "PYTHONPYCACHEPREFIX")}
    return subprocess.run(
        [str(c) for c in command], cwd=cwd, env=env, capture_output=True, text=True, check=False, timeout=400
    )


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Builds from a copy, so that the checkout stays as it is."""
    work = tmp_path_factory.mktemp("wheel")
    ignored = shutil.ignore_patterns(".git", ".venv", "outputs", "build", "*.egg-info", "__pycache__", ".*_cache")
    shutil.copytree(ROOT, work / "source", ignore=ignored)
    built = _run(
        sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation", "-w", work, work / "source", cwd=work
    )
    assert built.returncode == 0, built.stderr
    return next(work.glob("mvr_wrappers-*.whl"))


def test_the_wheel_carries_data_and_both_packages(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    assert {
        "mvr_wrappers/registry.yaml",
        "mvr_wrappers/py.typed",
        "mvr_agents/py.typed",
        "mvr_agents/cli.py",
        "mvr_wrappers/scorers/pocket/data/pocket.safetensors",
    } <= names
    assert not [name for name in names if name.startswith(("tests/", "agents/", "tools/"))]


def test_the_wheel_carries_every_module_and_no_other(wheel: Path) -> None:
    found = {name for name in zipfile.ZipFile(wheel).namelist() if name.endswith(".py")}
    folders = {"mvr_wrappers": ROOT / "mvr_wrappers", "mvr_agents": ROOT / "agents"}
    assert found == {
        f"{package}/{path.relative_to(folder).as_posix()}"
        for package, folder in folders.items()
        for path in folder.rglob("*.py")
    }


@pytest.mark.slow
def test_the_wheel_works_in_a_clean_venv(wheel: Path, tmp_path: Path) -> None:
    venv.create(tmp_path / "venv", with_pip=True)
    python = tmp_path / "venv" / "bin" / "python"
    constraints = ROOT / "constraints.txt"
    installed = _run(python, "-m", "pip", "install", "-q", "-c", constraints, "torch", wheel, cwd=tmp_path)
    assert installed.returncode == 0, installed.stderr
    used = _run(python, "-W", "error", "-c", USE, cwd=tmp_path)
    assert used.returncode == 0, used.stderr
    assert str(tmp_path / "venv") in used.stdout
    assert f"pip install '{wheel}[metaworld]'" in used.stdout
    command = _run(python.with_name("mvr"), "tasks", cwd=tmp_path)
    assert command.returncode != 0 and "Traceback" not in command.stderr
    named = command.stderr.strip().partition("Install it with: ")[2]
    assert named == f"pip install '{wheel}[train]'"
    _check_command(python, named)
    moved = wheel.rename(tmp_path / wheel.name)
    try:
        named = _run(python.with_name("mvr"), "tasks", cwd=tmp_path).stderr.strip().partition("Install it with: ")[2]
    finally:
        moved.rename(wheel)
    assert "tyro>=" in named and "jax>=" in named and "mvr" not in named
    _check_command(python, named)


def _check_command(python: Path, command: str) -> None:
    """Checks that an install command that a message named would install what was missing."""
    words = shlex.split(command)
    assert words[:2] == ["pip", "install"]
    options = ("--dry-run", "-c", ROOT / "constraints.txt")
    done = _run(python, "-m", "pip", "install", *options, *words[2:], cwd=python.parent)
    assert done.returncode == 0, done.stderr
    assert "Would install" in done.stdout and "tyro" in done.stdout
