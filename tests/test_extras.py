"""Extras hold what the documentation says, and the commands that messages name install them."""

from __future__ import annotations

import importlib.metadata
import json
import re
import tomllib
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from mvr_wrappers import extras
from tests.support.paths import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
FOR_DEVELOPERS = {"docs", "tests", "dev"}
OF_SERVICES = {"wandb"}  # who wants one asks for it
WITH_NEWER_MUJOCO = {"playground"}  # than Meta-World pins
REQUIRES = [
    "numpy>=2.0",
    'mvr-wrappers[jax,sb3]; extra == "train"',
    'tyro>=1.0; extra == "train"',
    'jax>=0.10; python_version > "3" and extra == "jax"',
    "optax>=0.2.5; extra == 'jax'",
    'stable-baselines3>=2.8; extra == "sb3"',
    'transformers>=4.50; extra == "transformers"',
]


def own_extras(requirements: list[str]) -> set[str]:
    """Returns the extras of this package that are required."""
    found = [re.fullmatch(r"mvr-wrappers\[(.+)\]", requirement) for requirement in requirements]
    return {name for own in found if own for name in own[1].split(",")}


def names(requirements: list[str]) -> set[str]:
    """Returns the names of the packages required, and of this package's own extras."""
    packages = {re.split(r"[\[>;]", requirement)[0].strip() for requirement in requirements} - {"mvr-wrappers"}
    return packages | own_extras(requirements)


def documented_table() -> dict[str, str]:
    """Returns what the documentation says that each extra brings."""
    table = (ROOT / "docs" / "install.md").read_text().partition("| extra | brings |")[2].partition("\n\n")[0]
    rows = [line.strip("|").split("|") for line in table.splitlines()[2:]]
    return {extra.strip().strip("`"): brings for extra, brings, _ in rows}


def test_the_documentation_lists_every_extra_with_all_it_brings() -> None:
    table, declared = documented_table(), PROJECT["optional-dependencies"]
    assert set(table) - {"none"} == set(declared) - FOR_DEVELOPERS
    for extra, brings in table.items():
        given = names(declared[extra] if extra != "none" else PROJECT["dependencies"])
        said = {word.strip(" `") for word in re.split(r",|\band\b", brings) if "[" not in word}
        assert said == given if extra != "none" else said <= given, extra


def test_all_holds_every_extra_that_users_have() -> None:
    declared = PROJECT["optional-dependencies"]
    reached, todo = set(), ["all"]
    while todo:
        reached.add(extra := todo.pop())
        todo += own_extras(declared[extra])
    assert reached == set(declared) - FOR_DEVELOPERS - OF_SERVICES - WITH_NEWER_MUJOCO


@pytest.fixture
def elsewhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    """Returns a function that says where pip installed the package from: outside any checkout, with mujoco 3.3.0."""

    def install(origin: dict[str, Any] | None, mujoco: str = "3.3.0") -> None:
        text = None if origin is None else json.dumps(origin)
        found = SimpleNamespace(read_text=lambda name: text if name == "direct_url.json" else None, requires=REQUIRES)
        monkeypatch.setattr(importlib.metadata, "distribution", lambda name: found)
        monkeypatch.setattr(importlib.metadata, "version", lambda name: mujoco)

    monkeypatch.setattr(extras, "_ROOT", tmp_path)
    return install


def test_from_a_checkout_the_checkout_is_installed_again(elsewhere: Any, tmp_path: Path) -> None:
    elsewhere(None)
    (tmp_path / "pyproject.toml").write_text('[project]\nname = "mvr-wrappers"\n')
    assert extras.install_command("sb3") == f"pip install -e '{tmp_path}[sb3]'"


def test_another_project_around_the_package_is_not_taken_for_its_checkout(elsewhere: Any, tmp_path: Path) -> None:
    elsewhere(None)
    (tmp_path / "pyproject.toml").write_text('[project]\nname = "mine"\n')
    assert str(tmp_path) not in extras.install_command("sb3")


def test_from_a_wheel_that_is_still_there_the_wheel_is_installed_again(elsewhere: Any, tmp_path: Path) -> None:
    wheel = tmp_path / "with space" / "mvr_wrappers-0.1.0-py3-none-any.whl"
    elsewhere({"url": wheel.as_uri(), "archive_info": {}})
    wheel.parent.mkdir()
    wheel.touch()
    assert extras.install_command("metaworld") == f"pip install '{wheel}[metaworld]'"


@pytest.mark.parametrize(
    ("origin", "source"),
    [
        (
            {"url": "https://host/mvr.git", "vcs_info": {"vcs": "git", "commit_id": "abc"}},
            "git+https://host/mvr.git@abc",
        ),
        (
            {"url": "https://host/mvr_wrappers-0.1.0-py3-none-any.whl"},
            "https://host/mvr_wrappers-0.1.0-py3-none-any.whl",
        ),
    ],
    ids=["repository", "address"],
)
def test_what_came_from_elsewhere_comes_from_there_again(elsewhere: Any, origin: dict[str, Any], source: str) -> None:
    elsewhere(origin)
    assert extras.install_command("jax") == f"pip install 'mvr-wrappers[jax] @ {source}'"


@pytest.mark.parametrize("origin", [None, {"url": "file:///gone/mvr_wrappers-0.1.0-py3-none-any.whl"}])
def test_where_the_source_is_gone_the_packages_are_named(elsewhere: Any, origin: dict[str, Any] | None) -> None:
    elsewhere(origin)
    wanted = "'jax>=0.10' 'optax>=0.2.5' 'stable-baselines3>=2.8' 'tyro>=1.0'"
    assert extras.install_command("train") == f"pip install {wanted}"


@pytest.mark.parametrize("mujoco", ["3.4.0", "4.0.0"])
def test_metaworld_does_not_replace_a_newer_mujoco(elsewhere: Any, mujoco: str) -> None:
    elsewhere(None, mujoco)
    assert extras.install_command("metaworld").endswith("pip install --no-deps metaworld")
