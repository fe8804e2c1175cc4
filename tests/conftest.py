"""Fixtures shared by all tests: a generator, a scorer without weights, and a tiny MuJoCo env."""

from __future__ import annotations

import os

os.environ.setdefault("MUJOCO_GL", "egl")

from pathlib import Path

import numpy as np
import pytest

from tests.tiny_env import TinyEnv

# Python 3.12 warns of forks in a process with threads, and rendering has one.
may_fork = pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--jax", action="store_true", help="the tests that load JAX (test_jax_*.py), and no others")


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Keeps JAX out of the process of all other tests: it runs threads, and some of those tests fork."""
    if not collection_path.name.startswith("test_"):
        return None
    return collection_path.name.startswith("test_jax_") != config.getoption("--jax") or None


class FakeScorer:
    """Embeds a video as its mean colours (unit rows) and a prompt as a direction drawn from its letters."""

    name, n_frames, image_size, embed_dim = "fake", 4, 32, 12

    def embed_video(self, frames: np.ndarray) -> np.ndarray:
        assert frames.dtype == np.uint8 and frames.ndim == 5 and frames.shape[-1] == 3
        halves = np.array_split(frames.astype(np.float32) / 255, 2, axis=3)
        thirds = [part.mean(axis=(2, 3)) for part in halves]  # two of (B, F, 3)
        features = np.concatenate([t[:, [0, -1]].reshape(len(frames), -1) for t in thirds], axis=1) - 0.45
        return _unit(features)

    def embed_text(self, prompts: list[str]) -> np.ndarray:
        rows = [np.random.default_rng(list(p.encode())).normal(size=self.embed_dim) for p in prompts]
        return _unit(np.array(rows, np.float32))


def _unit(rows: np.ndarray) -> np.ndarray:
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)


@pytest.fixture
def scorer() -> FakeScorer:
    return FakeScorer()


@pytest.fixture
def tiny_env() -> TinyEnv:
    return TinyEnv()
