"""What a scorer gives back is looked at where it enters: shape, type, finiteness, unit rows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from mvr_wrappers import RewardEngine
from mvr_wrappers.errors import ScorerError
from mvr_wrappers.scorers import Goal
from mvr_wrappers.scorers.checks import embed_prompts, embed_videos
from tests.support.clip_factory import make_clips
from tests.support.fake_scorer import FakeScorer

VIDEOS = np.random.default_rng(0).integers(0, 256, (5, 4, 8, 8, 3), np.uint8)


class Spoilt(FakeScorer):
    """Passes its embeddings through a function."""

    def __init__(self, spoil: Callable[[Any], Any], videos: bool = True, prompts: bool = True) -> None:
        self._video = spoil if videos else lambda rows: rows
        self._text = spoil if prompts else lambda rows: rows

    def embed_video(self, frames: np.ndarray) -> Any:
        return self._video(super().embed_video(frames))

    def embed_text(self, prompts: Any) -> Any:
        return self._text(super().embed_text(prompts))


def with_one(value: float) -> Callable[[np.ndarray], np.ndarray]:
    def spoil(rows: np.ndarray) -> np.ndarray:
        rows[0, 0] = value
        return rows

    return spoil


FAULTS = [
    (lambda rows: rows[:, :-1], r"an array of shape \(\d, 11\); it must be \(\d, 12\): rows, embed_dim"),
    (lambda rows: rows[:-1], r"an array of shape \(\d, 12\); it must be \(\d, 12\)"),
    (lambda rows: rows[0], r"an array of shape \(12,\)"),
    (lambda rows: None, "NoneType; it must return a NumPy array of float32"),
    (lambda rows: rows.tolist(), "list; it must return a NumPy array"),
    (torch.from_numpy, "Tensor; it must return a NumPy array"),
    (lambda rows: rows.astype(object), "object; it must return a NumPy array"),
    (lambda rows: np.sign(rows).astype(int), "int64; it must return"),
    (lambda rows: rows.astype(complex), "complex128; it must return"),
    (with_one(np.nan), r"NaN or infinite values in 1 of \d rows"),
    (with_one(-np.inf), r"NaN or infinite values in 1 of \d rows"),
    (lambda rows: rows * 1e20, r"rows of length 1e\+20 to 1e\+20; they must be of length 1, as scores are cosines"),
    (lambda rows: rows * 0, "rows of length 0 to 0; they must be of length 1"),
    (lambda rows: rows * 1.02, "rows of length 1.02 to 1.02; they must"),
]


@pytest.mark.parametrize(("spoil", "message"), FAULTS)
def test_faults_of_an_encoder_are_named(spoil: Any, message: str) -> None:
    with pytest.raises(ScorerError, match=f"embed_video of the scorer fake returned {message}"):
        embed_videos(Spoilt(spoil), VIDEOS)
    with pytest.raises(ScorerError, match=f"embed_text of the scorer fake returned {message}"):
        embed_prompts(Spoilt(spoil), ["a", "b"])
    for prompts in (["a", "b"], ["a"]):
        with pytest.raises(ScorerError, match="embed_text of the scorer fake returned"):
            Goal.embed(Spoilt(spoil), prompts)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_any_precision_enters_as_float32(dtype: Any) -> None:
    rows = embed_videos(Spoilt(lambda rows: rows.astype(dtype)), VIDEOS)
    assert rows.dtype == np.float32
    np.testing.assert_allclose(rows, FakeScorer().embed_video(VIDEOS), atol=1e-3)
    same = FakeScorer().embed_video(VIDEOS)
    assert embed_videos(Spoilt(lambda _: same), VIDEOS) is same


@pytest.mark.parametrize("part", ["videos", "prompts"])
def test_an_engine_refuses_them_at_the_scoring(part: str) -> None:
    parts = {"videos": part == "videos", "prompts": part == "prompts"}
    scorer = Spoilt(lambda rows: 3 * rows, **parts)
    engine = RewardEngine("run", scorer, schedule={"score_every": 1, "update_every": 10})
    engine.submit(make_clips(4))
    with pytest.raises(ScorerError, match="of the scorer fake returned rows of length 3 to 3"):
        engine.advance(1)
