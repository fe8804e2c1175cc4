from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mvr_wrappers import RewardEngine, ScorerPool
from mvr_wrappers.errors import ConfigError, ScorerError, UnknownNameError
from mvr_wrappers.scorers import Scorer, load_scorer
from mvr_wrappers.scorers.base import ParallelScorer
from mvr_wrappers.scorers.pool import VIDEOS_PER_TASK
from tests.support.clip_factory import make_clips


@pytest.fixture(scope="module")
def pool() -> Iterator[ScorerPool]:
    with ScorerPool("pocket", 2, devices="cpu") as made:
        yield made


@pytest.fixture(scope="module")
def local() -> Scorer:
    return load_scorer("pocket", "cpu")


@pytest.fixture
def videos(rng: np.random.Generator) -> np.ndarray:
    return rng.integers(0, 256, (2 * VIDEOS_PER_TASK + 5, 4, 24, 24, 3), np.uint8)


def test_is_the_scorer_in_all_but_place(pool: ScorerPool, local: Scorer, videos: np.ndarray) -> None:
    assert isinstance(pool, ParallelScorer) and not isinstance(local, ParallelScorer)
    assert (pool.name, pool.n_frames, pool.image_size) == ("pocket", local.n_frames, local.image_size)
    assert pool.embed_dim == local.embed_dim and len(set(pool.pids)) == pool.workers == 2
    np.testing.assert_array_equal(pool.embed_video(videos), local.embed_video(videos))
    np.testing.assert_array_equal(pool.embed_text(["a ball", "a box"]), local.embed_text(["a ball", "a box"]))
    assert pool.embed_video(videos[:0]).shape == (0, local.embed_dim)


def test_a_worker_killed_in_the_middle_changes_nothing(pool: ScorerPool, local: Scorer, videos: np.ndarray) -> None:
    before = pool.pids
    futures = [pool.submit_video(videos[:VIDEOS_PER_TASK]) for _ in range(6)]
    os.kill(before[0], signal.SIGKILL)
    expected = local.embed_video(videos[:VIDEOS_PER_TASK])
    for future in futures:
        np.testing.assert_array_equal(future.result(), expected)
    assert pool.pids[0] != before[0] and pool.pids[1] == before[1]


def test_an_engine_learns_the_same_bits(pool: ScorerPool) -> None:
    """Five batches of videos, so that more are submitted than there are workers."""
    small = {"hidden": 16, "pairs": 16, "steps_per_epoch": 5, "max_steps": 10}
    schedule = {"score_every": 10, "update_every": 10, "max_clips": 80}
    states = np.random.default_rng(1).normal(size=(9, 3)).astype(np.float32)
    rewards = []
    for scorer in ("pocket", pool):
        with RewardEngine("a red ball", scorer, device="cpu", relevance=small, schedule=schedule) as engine:
            engine.submit(make_clips(70, n_views=2))
            engine.advance(10)
            assert engine.metrics()["videos_scored"] == 140 and engine.metrics()["updates"] == 1
            rewards.append(engine.shape(states))
    np.testing.assert_array_equal(rewards[0], rewards[1])


def test_a_worker_that_dies_too_often_is_an_error_and_the_pool_goes_on(local: Scorer, videos: np.ndarray) -> None:
    with ScorerPool("pocket", 1, devices=["cpu"], retries=0) as pool:
        os.kill(pool.pids[0], signal.SIGKILL)
        with pytest.raises(ScorerError, match="died 1 times over one batch, at last with exit code -9"):
            pool.embed_video(videos)
        np.testing.assert_array_equal(pool.embed_video(videos[:3]), local.embed_video(videos[:3]))
    with pytest.raises(ScorerError, match="was closed"):
        pool.submit_video(videos)
    pool.close()  # a second time does nothing


def test_weights_that_are_missing_are_told_of_at_once(tmp_path: Path) -> None:
    with pytest.raises(ScorerError, match=r"a worker of the scorer pocket failed: .*weights"):
        ScorerPool("pocket", 1, devices=["cpu"], weights=tmp_path / "none.safetensors")


def test_what_cannot_work_starts_no_process(pool: ScorerPool) -> None:
    with pytest.raises(UnknownNameError, match="pocket"):
        ScorerPool("pokcet")
    with pytest.raises(ConfigError, match="pooling is not an option of the scorer pocket"):
        ScorerPool("pocket", pooling="mean")
    wrongs: list[dict[str, Any]] = [{"workers": 0}, {"devices": []}, {"threads": 0}, {"retries": -1}]
    for wrong in wrongs:
        with pytest.raises(ConfigError, match="needs a device, a worker and a thread"):
            ScorerPool("pocket", **wrong)
    with pytest.raises(ConfigError, match="uint8 frames"):
        pool.submit_video(np.zeros((1, 2, 3), np.uint8))
    with pytest.raises(ConfigError, match="list of prompts"):
        pool.embed_text("a ball")
