"""`mvr_agents.train` and its neighbours are the same things, whatever was imported before."""

from __future__ import annotations

import pkgutil
import subprocess
import sys

import pytest

import mvr_agents


def test_no_module_has_a_public_name() -> None:
    """Importing a submodule sets an attribute of its package: a `mvr_agents/train.py` would hide the function."""
    assert not {module.name for module in pkgutil.iter_modules(mvr_agents.__path__)} & set(mvr_agents.__all__)


@pytest.mark.parametrize("first", ["mvr_agents.training", "mvr_agents.command.commands", "mvr_agents"])
def test_train_is_a_function_in_every_order(first: str) -> None:
    code = f"import {first}; from mvr_agents import evaluate, train; print(callable(train), callable(evaluate))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "True True\n"
