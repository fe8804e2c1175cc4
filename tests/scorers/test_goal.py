"""Scores against prompts, plain and with goal-baseline regularisation, by hand and by the published formula."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest

import tests.support.tiny_task
from mvr_agents import cli
from mvr_agents.command import dispatch
from mvr_agents.command.arguments import TrainArgs
from mvr_agents.runs.config import TrainConfig
from mvr_wrappers import MultiViewVLMRewardVectorWrapper, MultiViewVLMRewardWrapper, RewardEngine, get_task
from mvr_wrappers.errors import ConfigError
from mvr_wrappers.scorers import Goal
from mvr_wrappers.scorers.goal import goal_baseline
from tests.support.clip_factory import make_clips
from tests.support.known import of_type, present
from tests.support.tiny_env import TinyEnv


def unit(*rows: tuple[float, ...]) -> np.ndarray:
    array = np.array(rows, np.float32)
    return array / np.linalg.norm(array, axis=-1, keepdims=True)


def test_by_hand() -> None:
    # Baseline and goal along the axes: the line through them has direction (-1, 1, 0) / sqrt 2.
    goal, baseline = unit((0, 1, 0))[0], unit((1, 0, 0))[0]
    videos = unit((0, 1, 0), (1, 0, 0), (0, 0, 1), (1, 1, 0))
    # s = (0, 0, 1): q = (0, -1, 1), <q, u> = -1 / sqrt 2. At alpha 1 psi = 1 - 1/4.
    # s = (1, 1, 0) / sqrt 2: q = (r, r - 1, 0), r = 1 / sqrt 2, <q, u> = -1 / sqrt 2 as well.
    np.testing.assert_allclose(goal_baseline(videos, goal, baseline, 1.0), [1, 0, 0.75, 0.75], atol=1e-6)
    # At alpha 1/2 a quarter of ||q||^2 counts, and three quarters of <q, u>^2: for (0, 0, 1) 1 - (2/4 + 3/8) / 2.
    r = 0.5**0.5
    expected = [1, 0, 1 - 0.5 * (0.5 + 0.375), 1 - 0.5 * (0.25 * (2 - 2 * r) + 0.375)]
    np.testing.assert_allclose(goal_baseline(videos, goal, baseline, 0.5), expected, atol=1e-6)


@pytest.mark.parametrize("alpha", [0.0, 0.1, 0.5, 0.9, 1.0])
def test_equals_the_published_formula(alpha: float, rng: np.random.Generator) -> None:
    videos, (goal, baseline) = unit(*rng.normal(size=(7, 6))), unit(*rng.normal(size=(2, 6)))
    expected = []
    for s in videos.astype(np.float64):
        direction = goal.astype(np.float64) - baseline
        projected = baseline + (s - baseline) @ direction / (direction @ direction) * direction
        expected.append(1 - 0.5 * np.sum((alpha * projected + (1 - alpha) * s - goal) ** 2))
    found = goal_baseline(videos, goal, baseline, alpha)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_alpha_zero_is_the_plain_cosine_to_the_bit(scorer: Any, rng: np.random.Generator) -> None:
    videos = scorer.embed_video(rng.integers(0, 256, (5, 4, 8, 8, 3), np.uint8))
    plain = Goal.embed(scorer, ["run"]).psi(videos)
    assert np.array_equal(Goal.embed(scorer, ["run"], "stand", 0.0).psi(videos), plain)
    assert np.array_equal(plain, videos @ scorer.embed_text(["run"]).T)
    assert not np.allclose(Goal.embed(scorer, ["run"], "stand", 0.5).psi(videos), plain, atol=1e-3)


def test_several_prompts_share_one_baseline(scorer: Any, rng: np.random.Generator) -> None:
    videos = scorer.embed_video(rng.integers(0, 256, (5, 4, 8, 8, 3), np.uint8))
    both = Goal.embed(scorer, ["run", "jump"], "stand", 0.7)
    psi = both.psi(videos)
    assert psi.shape == (5, 2) and psi.dtype == np.float32
    for column, prompt in zip(psi.T, ["run", "jump"], strict=True):
        text, baseline = scorer.embed_text([prompt, "stand"])
        np.testing.assert_allclose(column, goal_baseline(videos, text, baseline, 0.7), atol=1e-6)
    assert both.psi(videos[:0]).shape == (0, 2)


@pytest.mark.parametrize(
    ("baseline", "alpha", "message"),
    [
        (None, 0.5, r"alpha is 0.5 and there is no baseline; give baseline_prompt="),
        ("stand", 1.5, r"alpha is 1.5; give a strength in \[0, 1\]"),
        ("stand", -0.1, r"alpha is -0.1; give"),
        ("stand", float("nan"), "alpha is nan; give"),
        ("stand", "much", "alpha is 'much'; give"),
        (" ", 0.5, "prompt is ' '; write one sentence"),
    ],
)
def test_what_cannot_work(baseline: Any, alpha: Any, message: str, scorer: Any) -> None:
    with pytest.raises(ConfigError, match=message):
        Goal.embed(scorer, ["run"], baseline, alpha)
    with pytest.raises(ConfigError, match="alpha" if baseline == "stand" else message):
        RewardEngine("run", scorer, baseline_prompt=baseline, alpha=alpha)


def test_a_baseline_that_means_the_same_as_the_goal(scorer: Any) -> None:
    with pytest.raises(ConfigError, match="fake sees no difference between the prompt 'run' and its baseline"):
        Goal.embed(scorer, ["run"], "run", 0.5)


def test_an_engine_scores_with_its_baseline(scorer: Any) -> None:
    clips = make_clips(6)
    both: list[dict[str, Any]] = [{}, {"baseline_prompt": "stand", "alpha": 0.5}]
    plain, shaped = (
        RewardEngine("run", scorer, schedule={"score_every": 1, "update_every": 10}, **options) for options in both
    )
    for engine in (plain, shaped):
        engine.submit(clips)
        engine.advance(1)
    videos = scorer.embed_video(np.concatenate([clip.frames for clip in clips]))
    goal, baseline = scorer.embed_text(["run", "stand"])
    assert plain.metrics()["mean_score"] == pytest.approx((videos @ goal).mean(), abs=1e-6)
    expected = goal_baseline(videos, goal, baseline, 0.5).mean()
    assert shaped.metrics()["mean_score"] == pytest.approx(expected, abs=1e-6)
    assert abs(expected - (videos @ goal).mean()) > 1e-3


def test_an_engine_keeps_its_baseline(scorer: Any, tmp_path: Path) -> None:
    engine = RewardEngine("run", scorer, baseline_prompt="stand", alpha=0.5)
    assert engine.scorer is scorer
    other = engine.for_prompt("jump")
    assert (other.options["baseline_prompt"], other.options["alpha"], other.scorer) == ("stand", 0.5, scorer)
    engine.save(tmp_path / "engine.npz")
    assert RewardEngine.load(tmp_path / "engine.npz", scorer=scorer).options == engine.options


def test_envs_and_tasks_take_the_option() -> None:
    given: dict[str, Any] = {"baseline_prompt": "a still ball", "alpha": 0.25}
    env = gym.make("MVR/tiny", scorer="fake", **given)
    venv = of_type(MultiViewVLMRewardVectorWrapper, gym.make_vec("MVR/tiny", num_envs=2, scorer="fake", **given))
    wrapped = MultiViewVLMRewardWrapper(TinyEnv(), "a ball", scorer="fake", **given)
    assert {key: present(env.spec).kwargs[key] for key in given} == given
    for engine in (env.get_wrapper_attr("engine"), venv.engine, wrapped.engine):
        assert {key: engine.options[key] for key in given} == given
    for made in (env, venv, wrapped):
        made.close()
    assert RewardEngine.from_task("tiny", scorer="fake", **given).options["alpha"] == 0.25
    with pytest.raises(ConfigError, match="alpha"):
        gym.make("MVR/tiny", alpha=2.0)


def test_a_task_file_and_the_command_line_set_the_option(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = tests.support.tiny_task.TASKS.read_text().replace(
        "  tiny:", "  still:\n    baseline_prompt: a ball\n    alpha: 0.5", 1
    )
    (tmp_path / "tasks.yaml").write_text(text)
    assert get_task(f"{tmp_path / 'tasks.yaml'}:still").alpha == 0.5
    seen: list[TrainConfig] = []
    monkeypatch.setitem(dispatch.COMMANDS, "train", (TrainArgs, lambda args: seen.append(args.train) or 0))
    assert cli.main(["train", "tiny", "--baseline-prompt", "a ball", "--alpha", "0.5"]) == 0
    assert (seen[0].task_spec().baseline_prompt, seen[0].task_spec().alpha) == ("a ball", 0.5)
