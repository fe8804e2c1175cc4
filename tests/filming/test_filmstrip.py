"""Filmstrips: the clips filmed last, as one picture."""

from __future__ import annotations

import functools
import pickle
from typing import Any

import gymnasium as gym
import numpy as np
import pytest

from mvr_wrappers import FilmedEnv, MultiViewVLMRewardVectorWrapper, MultiViewVLMRewardWrapper
from mvr_wrappers.clips import Clip
from mvr_wrappers.errors import ConfigError, FilmingError
from mvr_wrappers.filming.filmstrip import KEPT, Reel, Strip, draw_filmstrip
from tests.support.fake_scorer import FakeScorer
from tests.support.marks import may_fork
from tests.support.tiny_env import TinyEnv
from tests.support.tiny_task import CLIP, RELEVANCE

RED, GREEN, BLUE = (250, 0, 0), (0, 250, 0), (0, 0, 250)
SCHEDULE = {"score_every": 40, "update_every": 80}
ALL = {**CLIP, "views": "all", "stride": 8}


def clip(*colours: tuple[int, int, int], views: tuple[int, ...] = (0,)) -> Clip:
    """A clip of 4 frames of 8 x 12 pixels, each view in one colour."""
    frames = np.zeros((len(views), 4, 8, 12, 3), np.uint8) + np.array(colours, np.uint8)[:, None, None, None]
    return Clip(np.zeros((8, 2), np.float32), frames, np.array(views))


def unscored(prompt: str) -> Any:
    return lambda clip: None


def colours_downwards(picture: np.ndarray) -> list[tuple[int, int, int]]:
    """The colours of the rows of frames, from top to bottom: those that fill more than a third of a line of pixels."""
    seen: list[tuple[int, int, int]] = []
    for line in picture:
        values, counts = np.unique(line, axis=0, return_counts=True)
        colour = tuple(int(x) for x in values[counts.argmax()])
        if colour != (255, 255, 255) and (not seen or seen[-1] != colour):
            seen.append(colour)  # type: ignore[arg-type]
    return seen


class TestReel:
    def test_each_view_is_a_row_in_order(self) -> None:
        reel = Reel()
        reel.add("one", [clip(BLUE, views=(2,)), clip(RED), clip(GREEN, views=(1,))])
        picture = reel.draw(unscored)
        assert picture.dtype == np.uint8 and picture.ndim == 3 and picture.shape[2] == 3
        assert colours_downwards(picture) == [RED, GREEN, BLUE]

    def test_only_the_latest_are_shown_the_latest_lowest(self) -> None:
        reel = Reel()
        reel.add("one", [clip(RED)])
        reel.add("one", [clip(GREEN), clip(BLUE)])
        assert colours_downwards(reel.draw(unscored)) == [BLUE]
        assert colours_downwards(reel.draw(unscored, clips=2)) == [GREEN, BLUE]
        assert colours_downwards(reel.draw(unscored, clips=KEPT)) == [RED, GREEN, BLUE]

    def test_each_prompt_has_a_part(self) -> None:
        reel = Reel()
        reel.add("one", [clip(RED)])
        reel.add("other", [clip(GREEN)])
        reel.add("one", [clip(BLUE)])
        assert colours_downwards(reel.draw(unscored)) == [BLUE, GREEN]

    def test_a_clip_of_several_views_gives_each_row_its_own_frames_and_score(self) -> None:
        asked: list[Clip] = []
        shown = clip(RED, BLUE, views=(0, 3))

        def score_of(prompt: str) -> Any:
            return lambda clip: asked.append(clip) or np.array([0.25, 0.5], np.float32)

        reel = Reel()
        reel.add("one", [shown])
        scored, plain = reel.draw(score_of), reel.draw(unscored)
        assert colours_downwards(scored) == [RED, BLUE]
        assert all(one is shown for one in asked) and len(asked) == 2
        assert scored.shape != plain.shape or (scored != plain).any()

    def test_memory_is_bounded(self) -> None:
        reel = Reel()
        for _ in range(50):
            reel.add("one", [clip(RED), clip(GREEN, views=(1,))])
        assert [len(kept) for kept in reel._clips["one"].values()] == [KEPT, KEPT]

    @pytest.mark.parametrize("clips", [0, KEPT + 1])
    def test_a_wrong_number_is_refused(self, clips: int) -> None:
        with pytest.raises(ConfigError, match=f"give 1 to {KEPT}"):
            Reel().draw(unscored, clips)


class TestPicture:
    def test_frames_stand_side_by_side_in_the_order_of_time(self) -> None:
        frames = np.zeros((3, 100, 100, 3), np.uint8) + np.array([RED, GREEN, BLUE], np.uint8)[:, None, None]
        picture = draw_filmstrip([("", [Strip(frames, ("view 0",))])])
        line = [tuple(int(x) for x in pixel) for pixel in picture[60]]
        assert [line.count(colour) for colour in (RED, GREEN, BLUE)] == [100, 100, 100]
        assert line.index(RED) < line.index(GREEN) < line.index(BLUE)

    def test_small_frames_are_enlarged_and_large_ones_are_not(self) -> None:
        for size, expected in ((10, 100), (96, 96), (224, 224)):
            frames = np.zeros((1, size, size, 3), np.uint8) + np.array(RED, np.uint8)
            picture = draw_filmstrip([("", [Strip(frames, ("view 0",))])])
            assert (picture == RED).all(axis=2).sum() == expected**2

    def test_frames_of_unlike_sizes_fit(self) -> None:
        rows = [Strip(np.zeros((n, 30 * n, 100, 3), np.uint8) + np.array(RED, np.uint8), ("view",)) for n in (2, 5)]
        assert (draw_filmstrip([("", rows)]) == RED).all(axis=2).sum() == 2 * 120 * 200 + 5 * 150 * 100

    def test_a_long_heading_is_wrapped(self) -> None:
        rows = [Strip(np.full((1, 100, 100, 3), 128, np.uint8), ("view",))]
        short, long = (draw_filmstrip([(heading, rows)]) for heading in ("a ball", "a ball " * 30))
        assert short.shape[1] == long.shape[1] and short.shape[0] + 50 < long.shape[0]

    def test_line_breaks_of_a_heading_are_kept(self) -> None:
        rows = [Strip(np.full((1, 100, 100, 3), 128, np.uint8), ("view",))]
        one, two = (draw_filmstrip([(heading, rows)]) for heading in ("a ball", "a\nball"))
        assert one.shape[0] < two.shape[0] and one.shape[1] == two.shape[1]

    def test_captions_have_their_colours(self) -> None:
        rows = [Strip(np.zeros((1, 100, 100, 3), np.uint8), (color,), color) for color in ("#fa0000", "#0000fa")]
        picture = draw_filmstrip([("", rows)])
        lines = [np.flatnonzero((picture == colour).all(axis=2).any(axis=1)) for colour in (RED, BLUE)]
        assert lines[0].max() < lines[1].min()

    def test_the_heading_and_the_caption_are_drawn(self) -> None:
        def ink(heading: str, caption: str) -> int:
            rows = [Strip(np.full((1, 100, 100, 3), 255, np.uint8), (caption, "same width of all captions"))]
            return int((draw_filmstrip([(heading, rows)]) < 200).sum())

        assert ink("a ball", "view 0") > ink("", "view 0") + 20
        assert ink("a ball", "view 0") > ink("a ball", "") + 20


def shaped(**options: Any) -> dict[str, Any]:
    return {"scorer": FakeScorer(), "relevance": RELEVANCE, "schedule": SCHEDULE} | options


def roll(env: Any, actions: Any, steps: int) -> None:
    for _ in range(steps):
        env.step(actions)


class TestWrappers:
    def test_one_env_before_and_after_its_clips_are_scored(self) -> None:
        env = MultiViewVLMRewardWrapper(TinyEnv(20), "a red ball", clip=ALL, **shaped())
        env.reset(seed=0)
        with pytest.raises(FilmingError, match=r"nothing has been filmed yet.*clip\.film_every"):
            env.filmstrip()
        roll(env, np.zeros(2), 20)
        before = env.filmstrip()
        assert env.engine.metrics()["clips_scored"] == 0
        env.reset()
        roll(env, np.zeros(2), 20)
        assert before.shape[0] > 4 * 96 and before.shape[1] > 4 * 96
        assert env.engine.metrics()["clips_scored"] == 6
        after = env.filmstrip()
        assert after.shape != before.shape or (after[:, :70] != before[:, :70]).any()  # the captions

    @pytest.mark.parametrize("mode", ["sync", "async"])
    @may_fork
    def test_a_vector(self, mode: str) -> None:
        film = functools.partial(FilmedEnv, clip=ALL)
        venv = gym.make_vec("Tiny-v0", num_envs=2, vectorization_mode=mode, wrappers=[film], max_steps=12)
        env = MultiViewVLMRewardVectorWrapper(venv, ["a red ball", "a blue ball"], **shaped())
        env.reset(seed=0)
        with pytest.raises(FilmingError, match="nothing has been filmed"):
            env.filmstrip()
        roll(env, np.zeros((2, 2)), 12)
        one = env.filmstrip()
        assert one.shape[0] > 8 * 96
        assert env.filmstrip(clips=2).shape[0] > one.shape[0]
        env.close()

    def test_a_vec_env(self) -> None:
        vec_env = pytest.importorskip("stable_baselines3.common.vec_env")
        from mvr_wrappers.sb3 import MultiViewVLMRewardVecEnv

        venv = vec_env.DummyVecEnv([lambda: FilmedEnv(TinyEnv(12), clip=ALL)] * 2)
        env = MultiViewVLMRewardVecEnv(venv, "a red ball", **shaped())
        env.reset()
        with pytest.raises(FilmingError, match="nothing has been filmed"):
            env.filmstrip()
        roll(env, np.zeros((2, 2), np.float32), 12)
        assert env.filmstrip().shape[0] > 4 * 96
        env.close()

    def test_an_id(self) -> None:
        env = gym.make("MVR/tiny")
        env.reset(seed=0)
        roll(env, np.zeros(2, np.float32), 40)
        assert env.get_wrapper_attr("filmstrip")().dtype == np.uint8
        env.close()


def test_scores_are_known_as_long_as_the_clip_is_held() -> None:
    env = MultiViewVLMRewardWrapper(TinyEnv(12), "a red ball", clip=ALL, **shaped(schedule={"score_every": 12}))
    env.reset(seed=0)
    roll(env, np.zeros(2), 12)
    kept = env._per_env._reel._clips["a red ball"][0][-1]
    np.testing.assert_array_equal(
        env.engine.score_of(kept), FakeScorer().embed_video(kept.frames) @ FakeScorer().embed_text(["a red ball"])[0]
    )
    assert env.engine.score_of(clip(RED)) is None
    assert env.engine.score_of(pickle.loads(pickle.dumps(kept))) is None
