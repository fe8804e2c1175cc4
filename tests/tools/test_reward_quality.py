"""benchmarks/reward_quality.py on made-up films, whose scores follow one feature of the states."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture
def quality(monkeypatch: pytest.MonkeyPatch) -> Any:
    pytest.importorskip("metaworld")  # whose scripted policies play the films
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    return importlib.import_module("reward_quality")


@pytest.fixture
def films(quality: Any, rng: np.random.Generator) -> Any:
    from quality.films import STARTS, STEPS, TaskFilms

    episodes, views, size = 20, 4, 6
    states = rng.normal(size=(episodes + 5, STEPS + 1, size)).astype(np.float32)
    states[..., 0] = np.linspace(0, 1, STEPS + 1) * rng.uniform(0, 4, (episodes + 5, 1))
    truth = np.stack([states[:episodes, start : start + 64, 0].mean(axis=1) for start in STARTS], axis=1)
    embeddings = rng.normal(size=(episodes, len(STARTS), views, 8)).astype(np.float32)
    return TaskFilms(
        states=states[:episodes],
        success=states[:episodes, :, 0] > 3,
        scores=(0.1 * truth[..., None] + 0.3 * np.arange(views)).astype(np.float32),
        embeddings=embeddings / np.linalg.norm(embeddings, axis=-1, keepdims=True),
        scripted=states[episodes:],
        touched=np.full(5, 50),
        solved=np.full(5, 150),
        random=states[:5, :20].reshape(-1, size),
        frame_seconds=np.array(0.005),
        video_seconds=np.array(0.005),
    )


def test_rank_is_spearman_s_correlation_with_time(quality: Any) -> None:
    assert quality.rank(np.array([0.1, 0.2, 5.0])) == pytest.approx(1)
    assert quality.rank(np.array([3.0, 2.0, 1.0])) == pytest.approx(-1)
    assert quality.rank(np.array([1.0, 3.0, 2.0])) == pytest.approx(0.5)


@pytest.mark.parametrize(
    ("changes", "clips", "views"),
    [
        ({"film_every": 3}, 7 * 10, 4),
        ({"views": "turns"}, 200, 1),
        ({"stride": 64}, 80, 4),
        ({"crossed": True}, 800, 1),
    ],
)
def test_an_arm_takes_its_part_of_the_films(quality: Any, films: Any, changes: Any, clips: int, views: int) -> None:
    arm = quality.Arm.of_preset("demo").changed({"film_every": 1, "views": "all", "stride": 16, **changes})
    made = [clip for episode in quality.films_made(films, arm, np.random.default_rng(0)) for clip in episode]
    assert len(made) == clips
    assert {len(clip.scores) for clip in made} == {views}


def test_a_view_of_crossed_clips_keeps_its_own_scores(quality: Any, films: Any) -> None:
    arm = quality.Arm.of_preset("demo").changed({"film_every": 1, "views": "all", "stride": 16, "crossed": True})
    first = quality.films_made(films, arm, np.random.default_rng(0))[0]
    assert [int(clip.views[0]) for clip in first[:4]] == [0, 1, 2, 3]
    assert np.array_equal([clip.scores[0] for clip in first[:4]], films.scores[0, 0])


def test_arms_of_equal_training_are_judged_together_and_learn_the_task(quality: Any, films: Any) -> None:
    changes = {"film_every": 1, "views": "all", "relevance": {"max_steps": 100, "hidden": 64}, "update_every": 2_000}
    default = quality.Arm.of_preset("demo").changed(changes)
    arms = {"default": default, "parity": default.changed({"baseline": "parity"})}
    assert len({arm.training for arm in arms.values()}) == 1
    rows = list(quality.learn(films, arms, seed=0))
    assert [row["arm"] for row in rows] == ["default", "parity"] * 2
    assert rows[-1]["rank"] == rows[-2]["rank"] > 0.5  # of states with noise in five features of six
    assert rows[-2]["success"] > rows[-1]["success"] > rows[-1]["start"]  # parity charges references for their spread
