"""Per-episode prompts: `reset(options={"prompt": ...})`, in one env and in vectors."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.vector import AsyncVectorEnv, AutoresetMode, SyncVectorEnv

from mvr_wrappers import (
    EngineGroup,
    FilmedEnv,
    MultiViewVLMRewardVectorWrapper,
    MultiViewVLMRewardWrapper,
    RewardEngine,
    get_task,
)
from mvr_wrappers.errors import ConfigError
from mvr_wrappers.prompts import checked_prompt, prompts_of_each, take_prompt
from mvr_wrappers.scorers import load_scorer
from tests.support.fake_scorer import FakeScorer
from tests.support.tiny_task import CLIP, RELEVANCE, SCHEDULE, EndingEnv, learned_engine, waiting

OWN, RED, BLUE = "a ball", "a red ball", "a blue ball"


class Watched(EndingEnv):
    """Remembers the options of its resets."""

    def __init__(self, last: int = 12) -> None:
        super().__init__(last)
        self.seen: list[Any] = []

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        self.seen.append(options)
        return super().reset(seed=seed, options=options)


def shaped(env: gym.Env[Any, Any] | None = None, **options: Any) -> MultiViewVLMRewardWrapper:
    given: Any = {"scorer": FakeScorer(), "clip": CLIP, "relevance": RELEVANCE, "schedule": SCHEDULE} | options
    return MultiViewVLMRewardWrapper(env or Watched(), OWN, **given)


def play(env: Any, prompt: str | None, steps: int = 12) -> list[dict[str, Any]]:
    env.reset(options=None if prompt is None else {"prompt": prompt})
    return [env.step(env.action_space.sample())[4] for _ in range(steps)]


@pytest.mark.parametrize(
    "door",
    [
        checked_prompt,
        lambda prompt: load_scorer("pocket", "cpu").embed_text(["a ball", prompt]),
        lambda prompt: get_task("tiny", prompt=prompt),
        lambda prompt: RewardEngine(prompt, FakeScorer()),
        lambda prompt: take_prompt({"prompt": prompt}),
    ],
    ids=["function", "scorer", "task", "engine", "reset"],
)
def test_a_blank_prompt_is_refused_with_one_sentence_at_every_door(door: Callable[[str], Any]) -> None:
    with pytest.raises(
        ConfigError, match=r"prompt is ' \\n'; write one sentence that says what the behaviour looks like$"
    ):
        door(" \n")


class TestOptions:
    def test_the_prompt_is_taken_out(self) -> None:
        assert take_prompt(None) == (None, None)
        assert take_prompt({}) == (None, {})
        assert take_prompt({"low": 1}) == (None, {"low": 1})
        given = {"prompt": RED, "low": 1}
        assert take_prompt(given) == (RED, {"low": 1}) and given == {"prompt": RED, "low": 1}
        assert take_prompt({"prompt": RED}) == (RED, None)
        assert take_prompt({"prompt": None}) == (None, None)

    @pytest.mark.parametrize("bad", ["", " \n", 3, ["a"], b"red", {"a": 1}])
    def test_what_is_no_prompt(self, bad: Any) -> None:
        with pytest.raises(ConfigError, match="write one sentence"):
            take_prompt({"prompt": bad})

    def test_prompts_of_each(self) -> None:
        assert prompts_of_each((RED, None), 2) == [RED, None]
        assert prompts_of_each(np.array([RED, BLUE]), 2) == [RED, BLUE]
        for bad in (5, [RED], {RED: 1, BLUE: 2}):
            with pytest.raises(ConfigError, match="give one sentence, or 2"):
                prompts_of_each(bad, 2)
        with pytest.raises(ConfigError, match="write one sentence"):
            prompts_of_each([RED, ""], 2)


class TestOneEnv:
    def test_an_engine_a_prompt_made_when_asked_for(self) -> None:
        env = shaped(weight=0.7)
        assert list(env.engines) == [OWN] and env.engines[OWN] is env.engine
        play(env, None)
        assert list(env.engines) == [OWN]
        play(env, RED)
        play(env, BLUE)
        play(env, RED)
        assert list(env.engines) == [OWN, RED, BLUE]
        for prompt, engine in env.engines.items():
            assert engine.options == env.engine.options | {"prompt": prompt}
            assert engine.scorer is env.engine.scorer
        env.close()
        assert all(engine.closed for engine in env.engines.values())

    def test_clips_and_steps_go_to_the_engine_of_the_episode(self) -> None:
        env = shaped(schedule={"score_every": 10**9, "update_every": 10**9})
        play(env, None)
        play(env, RED)
        play(env, RED, steps=9)  # cut short by the next reset: its clips are red all the same
        play(env, BLUE)
        play(env, None)
        # Of 13 states: starts 0, 4, 5; of 10: 0, 2
        assert waiting(env.engines) == {OWN: 2 * 3, RED: 3 + 2, BLUE: 3}
        steps = {prompt: engine.metrics()["env_steps"] for prompt, engine in env.engines.items()}
        assert steps == {OWN: 24, RED: 21, BLUE: 12}

    def test_each_engine_learns_on_its_own_schedule_and_shapes_its_own_episodes(self) -> None:
        env = shaped()
        for _ in range(8):
            play(env, RED)
            play(env, None)
        assert env.engines[RED].version == env.engines[OWN].version == 1
        for prompt in (RED, None):
            observation, _ = env.reset(options={"prompt": prompt})
            for _ in range(5):
                state = observation
                observation, reward, _, _, info = env.step(env.action_space.sample())
                engine = env.engines[prompt or OWN]
                assert info["prompt"] == engine.prompt
                assert info["shaping"] == pytest.approx(engine.shape(state[None])[0], rel=1e-5)
                assert reward == info["task_reward"] + info["shaping"]
        assert env.engines[RED].shape(state[None])[0] != env.engines[OWN].shape(state[None])[0]

    def test_the_base_env_never_sees_the_prompt(self) -> None:
        base = Watched()
        env = gym.wrappers.TimeLimit(shaped(base), 100)  # through other wrappers too
        env.reset(seed=0)
        env.reset(options={"prompt": RED})
        env.reset(options={"prompt": RED, "low": 1})
        env.reset(options={"low": 2})
        env.reset(options={})
        assert base.seen == [None, None, {"low": 1}, {"low": 2}, {}]

    def test_without_shaping_it_is_left_out_too(self, monkeypatch: pytest.MonkeyPatch) -> None:
        base = Watched()
        env = gym.make("MVR/tiny", shaping=False)
        monkeypatch.setattr(env.unwrapped, "reset", base.reset)
        env.reset(options={"prompt": RED})
        assert base.seen == [None]

    def test_prompts_that_take_turns_are_all_filmed(self) -> None:
        env = shaped(clip=CLIP | {"film_every": 3}, schedule={"score_every": 10**9, "update_every": 10**9})
        for _ in range(3):
            for prompt in (None, RED, BLUE):
                play(env, prompt)
        env.reset()
        assert list(waiting(env.engines).values()) == [3, 3, 3]

    def test_a_bad_prompt_leaves_the_episode_as_it_was(self) -> None:
        env = shaped()
        play(env, RED, steps=3)
        for bad in ("", 3, [RED, BLUE]):
            with pytest.raises(ConfigError, match="write one sentence"):
                env.reset(options={"prompt": bad})
        assert env.step(env.action_space.sample())[4]["prompt"] == RED
        assert list(env.engines) == [OWN, RED]

    def test_an_engine_that_was_given_stays_open(self) -> None:
        engine = learned_engine()
        env = MultiViewVLMRewardWrapper(Watched(), engine=engine, clip=CLIP)
        play(env, RED)
        env.close()
        assert env.engines[RED].closed and not engine.closed

    def test_envs_share_a_group(self, tmp_path: Path) -> None:
        group = EngineGroup([learned_engine()])
        one, other = (MultiViewVLMRewardWrapper(Watched(), engine=group, clip=CLIP, prompt=p) for p in (None, RED))
        assert one.engine is group.first and other.engine is group[RED]
        play(one, RED)
        assert one.engines is other.engines is group and group[RED].metrics()["env_steps"] == 12
        one.close()
        assert not any(engine.closed for engine in group.values())
        group.save(tmp_path)
        assert list(EngineGroup.load(tmp_path, scorer=FakeScorer())) == ["anything", RED]

    def test_one_prompt_alone_is_not_told_of(self) -> None:
        assert all("prompt" not in info for info in play(shaped(), None))


def filmed(last: int) -> FilmedEnv:
    return FilmedEnv(Watched(last), clip=CLIP)


class Asks(gym.Wrapper[Any, Any, Any, Any]):
    """Asks for another prompt at each reset, whoever resets it."""

    turns = 0

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        self.turns += 1
        return self.env.reset(seed=seed, options={"prompt": (RED, BLUE)[self.turns % 2]})


def vector(
    mode: AutoresetMode, kind: Any = SyncVectorEnv, make: Callable[[int], Any] = filmed, **options: Any
) -> MultiViewVLMRewardVectorWrapper:
    given: Any = {"scorer": FakeScorer(), "schedule": {"score_every": 10**9, "update_every": 10**9}} | options
    venv = kind([partial(make, last) for last in (9, 12)], autoreset_mode=mode)
    return MultiViewVLMRewardVectorWrapper(venv, given.pop("prompt", OWN), **given)


MODES = [AutoresetMode.NEXT_STEP, AutoresetMode.SAME_STEP, AutoresetMode.DISABLED]


def told(venv: Any, steps: int) -> list[tuple[str, ...]]:
    return [tuple(venv.step(venv.action_space.sample())[4]["prompt"]) for _ in range(steps)]


@pytest.mark.parametrize("kind", [SyncVectorEnv, AsyncVectorEnv])
class TestVector:
    @pytest.mark.parametrize("mode", MODES[:2])
    def test_until_a_sub_env_resets_itself(self, mode: AutoresetMode, kind: Any) -> None:
        venv = vector(mode, kind)
        venv.reset(seed=0, options={"prompt": [RED, BLUE]})
        # NEXT_STEP: in the step that resets nothing is said, and the prompt is still that of the episode before
        turn = 10 if mode is AutoresetMode.NEXT_STEP else 9
        expected = [(RED if t < turn else OWN, BLUE if t < turn + 3 else OWN) for t in range(16)]
        assert told(venv, 16) == expected
        venv.filmstrip()  # takes what other processes still hold
        assert waiting(venv.engines) == {
            OWN: 0,
            RED: 2,
            BLUE: 3,
        }
        venv.reset(options={"prompt": RED})
        assert told(venv, 1) == [(RED, RED)]
        venv.close()
        assert all(engine.closed for engine in venv.engines.values())

    def test_masked_resets(self, kind: Any) -> None:
        venv = vector(AutoresetMode.DISABLED, kind)
        venv.reset(seed=0, options={"prompt": RED})
        told(venv, 9)
        venv.reset(options={"reset_mask": np.array([True, False]), "prompt": [BLUE, BLUE]})
        assert told(venv, 3) == [(BLUE, RED)] * 3
        venv.reset(options={"reset_mask": np.array([False, True])})
        assert told(venv, 1) == [(BLUE, OWN)]
        assert list(waiting(venv.engines).values()) == [0, 2 + 3, 0]
        venv.close()

    def test_bad_prompts_are_refused_here(self, kind: Any) -> None:
        venv = vector(MODES[0], kind)
        for bad in ("", 3, [RED], [RED, 3]):
            with pytest.raises(ConfigError, match="prompt is"):
                venv.reset(options={"prompt": bad})
        venv.reset(options={"prompt": [None, RED]})
        assert told(venv, 1) == [(OWN, RED)]
        venv.close()

    @pytest.mark.parametrize("mode", MODES[:2])
    def test_sub_envs_that_ask_for_prompts_themselves(self, mode: AutoresetMode, kind: Any) -> None:
        venv = vector(mode, kind, make=ask)
        venv.reset(seed=0)
        turn = 10 if mode is AutoresetMode.NEXT_STEP else 9
        said = [prompts[0] for prompts in told(venv, 2 * turn)]
        assert said == [BLUE] * turn + [RED] * turn
        venv.close()


def ask(last: int) -> Asks:
    return Asks(filmed(last))


class TestStableBaselines:
    @pytest.mark.parametrize("kind", ["DummyVecEnv", "SubprocVecEnv"])
    def test_set_options(self, kind: str) -> None:
        vec_env = pytest.importorskip("stable_baselines3.common.vec_env")
        from mvr_wrappers.sb3 import MultiViewVLMRewardVecEnv

        inner = getattr(vec_env, kind)([partial(filmed, 9), partial(filmed, 12)])
        schedule = {"score_every": 10**9, "update_every": 10**9}
        venv = MultiViewVLMRewardVecEnv(inner, OWN, scorer=FakeScorer(), schedule=schedule)
        bad: Any
        for bad in ({"prompt": ""}, [{"prompt": RED}, {"prompt": 4}]):
            with pytest.raises(ConfigError, match="write one sentence"):
                venv.set_options(bad)
        venv.set_options([{"prompt": RED}, {"prompt": BLUE}])
        venv.reset()
        said = []
        for _ in range(14):
            infos = venv.step(np.zeros((2, 2), np.float32))[3]
            said.append(tuple(info["prompt"] for info in infos))
        assert said == [(RED if t < 9 else OWN, BLUE if t < 12 else OWN) for t in range(14)]
        venv.filmstrip()  # takes what another process still holds
        assert waiting(venv.engines) == {
            OWN: 0,
            RED: 2,
            BLUE: 3,
        }
        venv.set_options({"prompt": BLUE})
        venv.reset()
        assert [info["prompt"] for info in venv.step(np.zeros((2, 2), np.float32))[3]] == [BLUE, BLUE]
        venv.close()
        assert all(engine.closed for engine in venv.engines.values())
