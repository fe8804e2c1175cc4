"""Fixtures shared by all tests: a generator, a scorer without weights, and a tiny MuJoCo env."""

from __future__ import annotations

import os

os.environ.setdefault("MUJOCO_GL", "egl")

from pathlib import Path

import numpy as np
import pytest

from tests.support.fake_scorer import FakeScorer
from tests.support.tiny_env import TinyEnv


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--jax", action="store_true", help="the tests that load JAX (test_jax_*.py), and no others")


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Keeps JAX out of the process of all other tests: it runs threads, and some of those tests fork."""
    if not collection_path.name.startswith("test_"):
        return None
    return collection_path.name.startswith("test_jax_") != config.getoption("--jax") or None


def pytest_report_header(config: pytest.Config) -> str:
    """Says which tests this process leaves out, and how to run them."""
    names = [path.name for path in Path(__file__).parent.rglob("test_*.py")]
    of_jax = sum(name.startswith("test_jax_") for name in names)
    if config.getoption("--jax"):
        return f"left out: the {len(names) - of_jax} files that do not load JAX: run them without --jax"
    return f"left out: the {of_jax} files test_jax_*.py, which load JAX: run them with --jax"


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)


@pytest.fixture
def scorer() -> FakeScorer:
    return FakeScorer()


@pytest.fixture
def tiny_env() -> TinyEnv:
    return TinyEnv()
