"""A missing extra is named by the error, and one that is there is not."""

from __future__ import annotations

import importlib.util
import re
import tomllib

import pytest

from mvr_agents.extras import EXTRAS, require
from mvr_wrappers.errors import MissingExtraError
from mvr_wrappers.extras import install_command
from tests.support.paths import ROOT


def test_what_is_installed_is_not_missed() -> None:
    require("everything", *(package for package in EXTRAS if package != "wandb"))  # it is no part of the tests


def test_what_is_missing_is_named_with_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *rest: None if name == "av" else find(name, *rest))
    with pytest.raises(MissingExtraError, match=f"a video needs av.*{re.escape(install_command('train'))}"):
        require("a video", "tyro", "av")


def test_each_extra_is_one_of_the_distribution() -> None:
    provided = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    assert set(EXTRAS.values()) <= set(provided)
