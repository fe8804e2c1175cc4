"""Behaviours are filmed from every view and scored against every sentence."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

import tests.support.tiny_task  # noqa: F401  registers MVR/tiny
from mvr_agents.pictures.scoring import score_behaviours, score_video, separation
from mvr_agents.pictures.video import read_clips, write_video
from mvr_wrappers.errors import ConfigError
from mvr_wrappers.scorers import Goal
from mvr_wrappers.tasks.registry import get_task
from tests.support.fake_scorer import FakeScorer


def test_each_clip_view_and_sentence_has_a_score() -> None:
    spec = get_task("tiny", rig={"kind": "ring", "azimuths": [0, 90]})
    scorer = FakeScorer()
    goal = Goal.embed(scorer, ["a ball", "a cube", "a ball"])
    (scores,) = score_behaviours(spec, scorer, goal, episodes=2, seed=0)
    clips = 2 * 10  # 41 states, clips of 8 every 4: starts 0, 4, .. 32, and 33
    assert scores.behaviour == "random" and scores.views == ("azimuth 0°", "azimuth 90°")
    assert scores.psi.shape == (clips, 2, 3)
    assert np.abs(scores.psi).max() <= 1 + 1e-6
    np.testing.assert_array_equal(scores.psi[..., 0], scores.psi[..., 2])
    assert not np.allclose(scores.psi[:, 0], scores.psi[:, 1])  # the views differ
    film = scores.episode
    np.testing.assert_array_equal(film.psi, scores.psi[:10, 0])
    np.testing.assert_array_equal(film.spans[:, 0], [*range(0, 33, 4), 33])
    np.testing.assert_array_equal(film.spans[:, 1] - film.spans[:, 0], 8)
    assert film.frames.shape == (10, 32, 32, 3) and film.label == "random behaviour, azimuth 0°"


def test_episodes_too_short_for_a_clip_are_an_error() -> None:
    spec = get_task("tiny")
    spec = dataclasses.replace(spec, clip=dataclasses.replace(spec.clip, length=100))
    with pytest.warns(UserWarning, match="too short"), pytest.raises(ConfigError, match="100 states of a clip"):
        list(score_behaviours(spec, FakeScorer(), Goal.embed(FakeScorer(), ["a ball"]), episodes=1, seed=0))


def test_each_clip_of_a_video_is_scored(tmp_path: Path, rng: np.random.Generator) -> None:
    write_video(tmp_path / "a.mp4", rng.integers(0, 256, (200, 32, 32, 3), dtype=np.uint8), 10)
    scorer = FakeScorer()
    film = score_video(tmp_path / "a.mp4", scorer, Goal.embed(scorer, ["a ball", "a cube"]), seconds=1.0)
    clips = read_clips(tmp_path / "a.mp4", scorer.n_frames, 1.0, size=scorer.image_size)
    assert len(clips.frames) > 32  # more than go through the scorer at once
    expected = scorer.embed_video(clips.frames) @ scorer.embed_text(["a ball", "a cube"]).T
    np.testing.assert_array_equal(film.psi, expected)


@pytest.mark.parametrize(
    ("positive", "negative", "auc"),
    [([2.0, 3.0], [0.0, 1.0], 1.0), ([0.0], [1.0], 0.0), ([1.0], [1.0], 0.5), ([1.0, 3.0], [2.0, 0.0], 0.75)],
)
def test_separation_is_the_share_of_pairs_in_order(positive: list[float], negative: list[float], auc: float) -> None:
    assert separation(np.array(positive), np.array(negative)) == auc
