"""An engine whose scorer likes red, and that learns in a moment from the clips of `clip_factory`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from mvr_wrappers.engine.engine import RewardEngine
from tests.support.clip_factory import STATE_DIM, make_clips
from tests.support.fake_scorer import FakeScorer

SMALL = {"hidden": 16, "pairs": 16, "steps_per_epoch": 5, "max_steps": 10, "patience": 2, "references": 3}
OFTEN = {"score_every": 10, "update_every": 20}
STATES = np.random.default_rng(9).normal(size=(7, STATE_DIM)).astype(np.float32)


class RedScorer(FakeScorer):
    """Likes red: psi grows with the mean of the red channel, whatever the prompt."""

    name, embed_dim = "red", 2

    def __init__(self) -> None:
        self.batches: list[int] = []

    def embed_video(self, frames: np.ndarray) -> np.ndarray:
        assert frames.dtype == np.uint8 and frames.ndim == 5
        self.batches.append(len(frames))
        angle = frames[..., 0].mean(axis=(1, 2, 3)) / 255 * np.pi / 2
        return np.stack([np.sin(angle), np.cos(angle)], axis=1).astype(np.float32)

    def embed_text(self, prompts: Sequence[str]) -> np.ndarray:
        return np.tile(np.array([1, 0], np.float32), (len(prompts), 1))


def make_engine(**options: Any) -> RewardEngine:
    given: dict[str, Any] = {"scorer": RedScorer(), "relevance": SMALL, "schedule": OFTEN} | options
    return RewardEngine("red everywhere", **given)


def drive(engine: RewardEngine, rounds: int = 4, seed: int = 0) -> None:
    for step in range(rounds):
        engine.submit(make_clips(12, seed=seed + step))
        engine.advance(10)
