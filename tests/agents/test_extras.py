"""A missing extra is named by the error, and one that is there is not."""

from __future__ import annotations

import importlib.util
import re
from typing import Any

import pytest

from mvr_agents.extras import EXTRAS, require
from mvr_wrappers.errors import MissingExtraError
from mvr_wrappers.extras import install_command


def test_what_is_installed_is_not_missed() -> None:
    require("everything", *EXTRAS)


def test_what_is_missing_is_named_with_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *rest: None if name == "av" else find(name, *rest))
    with pytest.raises(MissingExtraError, match=f"a video needs av.*{re.escape(install_command('train'))}"):
        require("a video", "tyro", "av")


def test_each_extra_is_one_of_the_distribution() -> None:
    import importlib.metadata

    provided: Any = importlib.metadata.metadata("mvr-wrappers").get_all("Provides-Extra")
    assert set(EXTRAS.values()) <= set(provided)
