"""Work that never ends, diverges, or finds no memory: the env goes on, and one hears of it."""

from __future__ import annotations

import logging
import subprocess
import sys
import threading
import time
from typing import Any

import numpy as np
import pytest
import torch

from mvr_wrappers.errors import ConfigError, ScorerError
from mvr_wrappers.relevance.trainer import RelevanceTrainer
from tests.support.clip_factory import make_clips
from tests.support.paths import ROOT
from tests.support.red_engine import SMALL, STATES, RedScorer, drive, make_engine


class HangingScorer(RedScorer):
    """Never answers."""

    def __init__(self) -> None:
        super().__init__()
        self.asked = threading.Event()

    def embed_video(self, frames: np.ndarray) -> np.ndarray:
        self.asked.set()
        threading.Event().wait()
        raise AssertionError


def test_a_scorer_that_hangs_stops_neither_steps_nor_closing(caplog: pytest.LogCaptureFixture) -> None:
    scorer = HangingScorer()
    engine = make_engine(scorer=scorer, mode="async")
    engine.submit(make_clips(4))
    engine.advance(10)
    assert scorer.asked.wait(5)
    began = time.monotonic()
    for _ in range(100):
        engine.submit(make_clips(1))
        engine.advance(10)
        engine.shape(STATES)
    assert time.monotonic() - began < 2
    began = time.monotonic()
    with caplog.at_level(logging.WARNING):
        engine.close()
    assert time.monotonic() - began < 5
    assert "still at work" in caplog.text


def test_the_interpreter_leaves_it_behind() -> None:
    code = """
from tests.engine.test_runner import HangingScorer
from tests.support.red_engine import make_engine
from tests.support.clip_factory import make_clips
scorer = HangingScorer()
engine = make_engine(scorer=scorer, mode="async")
engine.submit(make_clips(4))
engine.advance(10)
scorer.asked.wait(30)
print("leaving")
"""
    words = [sys.executable, "-c", code]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0 and done.stdout == "leaving\n", done.stderr


def test_an_update_that_diverges_changes_nothing(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with make_engine() as engine:
        drive(engine)
        version, shaped = engine.version, engine.shape(STATES)
        train = RelevanceTrainer._train_epoch

        def diverge(self: RelevanceTrainer, model: Any, *args: Any) -> tuple[float, float]:
            result = train(self, model, *args)
            with torch.no_grad():
                model.direction.fill_(float("nan"))
            return result

        with monkeypatch.context() as patch, caplog.at_level(logging.WARNING):
            patch.setattr(RelevanceTrainer, "_train_epoch", diverge)
            engine.advance(20)
        assert "diverged after 5 steps" in caplog.text
        assert engine.version == version
        np.testing.assert_array_equal(engine.shape(STATES), shaped)
        engine.submit(make_clips(6))
        engine.advance(20)  # and it learns on from the weights before
        assert engine.version > version and np.isfinite(engine.shape(STATES)).all()


def test_a_reward_past_float32_is_not_published(caplog: pytest.LogCaptureFixture) -> None:
    with make_engine(weight=1e38) as engine, caplog.at_level(logging.WARNING):
        drive(engine)
        assert engine.version == 0 and "is not published" in caplog.text
        np.testing.assert_array_equal(engine.shape(STATES), 0)
    with pytest.raises(ConfigError, match="weight is 1e"):
        make_engine(weight=1e308)
    with make_engine(relevance=SMALL | {"tau": 1e-42}) as engine:
        drive(engine)
        assert np.isfinite(engine.shape(STATES)).all()


@pytest.mark.parametrize(
    "error", [MemoryError(), RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 1 bytes")]
)
def test_a_scorer_without_memory(error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(self: RedScorer, frames: np.ndarray) -> np.ndarray:
        raise error

    monkeypatch.setattr(RedScorer, "embed_video", fail)
    with make_engine() as engine:
        engine.submit(make_clips(4))
        with pytest.raises(ScorerError, match="no memory for 4 videos"):
            engine.advance(10)
