from __future__ import annotations

import multiprocessing
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.vector import AsyncVectorEnv, AutoresetMode, SyncVectorEnv, VectorEnv

import mvr_wrappers
from mvr_wrappers import FilmedEnv, MultiViewVLMRewardVectorWrapper, MultiViewVLMRewardWrapper
from mvr_wrappers.envs.make import make_vector_env
from mvr_wrappers.errors import ConfigError, EnvError, UnknownNameError
from mvr_wrappers.filming.studio import studio
from tests.support.fake_scorer import FakeScorer
from tests.support.known import of_type, present
from tests.support.marks import may_fork
from tests.support.tiny_env import TinyEnv
from tests.support.tiny_task import (
    CLIP,
    NEVER,
    RELEVANCE,
    SCHEDULE,
    DictEnv,
    EndingEnv,
    filmed,
    learned_engine,
    read_dict,
    read_without_torch,
)

MODES = [AutoresetMode.NEXT_STEP, AutoresetMode.SAME_STEP, AutoresetMode.DISABLED]
Play = list[tuple[Any, ...] | None]
LASTS = (9, 12, 17)  # steps of an episode of each sub-env: ends fall apart, and together now and then


def vector(mode: AutoresetMode, kind: Callable[..., VectorEnv] = SyncVectorEnv, truncates: bool = False) -> Any:
    return kind([partial(filmed, last, truncates) for last in LASTS], autoreset_mode=mode)


def shaped(env: VectorEnv, prompt: str | None = "a red ball", **options: Any) -> MultiViewVLMRewardVectorWrapper:
    given: dict[str, Any] = {"scorer": FakeScorer(), "relevance": RELEVANCE, "schedule": SCHEDULE}
    return MultiViewVLMRewardVectorWrapper(env, prompt, **options if "engine" in options else given | options)


def actions_of(seed: int, steps: int, n_envs: int) -> np.ndarray:
    return np.random.default_rng(seed).uniform(-1, 1, (steps, n_envs, 2)).astype(np.float32)


def drive(env: Any, steps: int, seed: int = 0) -> list[Any]:
    """Steps a vector env, resetting what ended where nobody else does."""
    env.reset(seed=seed)
    taken = []
    for actions in actions_of(1, steps, env.num_envs):
        taken.append(env.step(actions))
        over = taken[-1][2] | taken[-1][3]
        if env.metadata["autoreset_mode"] is AutoresetMode.DISABLED and over.any():
            env.reset(options={"reset_mask": over.copy()})
    return taken


def transitions_by_hand(mode: AutoresetMode, steps: int, truncates: bool) -> list[Play]:
    """Plays each sub-env alone: (s_t, s_t+1, task reward, terminated) of every step, None for a step that resets."""
    plays = []
    for i, last in enumerate(LASTS):
        env, over = EndingEnv(last, truncates), False
        play: Play = []
        observation, _ = env.reset(seed=i)
        for actions in actions_of(1, steps, len(LASTS)):
            if over and mode is AutoresetMode.NEXT_STEP:
                observation, over = env.reset()[0], False
                play.append(None)
                continue
            after, reward, terminated, truncated, _ = env.step(actions[i])
            play.append((observation, after, reward, terminated))
            observation, over = after, terminated or truncated
            if over and mode is not AutoresetMode.NEXT_STEP:
                observation, _ = env.reset()
        plays.append(play)
    return plays


@pytest.mark.parametrize("truncates", [False, True])
@pytest.mark.parametrize("rule", ["additive", "potential"])
@pytest.mark.parametrize("mode", MODES)
class TestAutoreset:
    def test_rewards_and_infos(self, mode: AutoresetMode, rule: str, truncates: bool) -> None:
        engine = learned_engine(rule)
        env = shaped(vector(mode, truncates=truncates), None, engine=engine)
        taken = drive(env, 60)
        for i, play in enumerate(transitions_by_hand(mode, 60, truncates)):
            for (_, rewards, _, _, infos), transition in zip(taken, play, strict=True):
                if transition is None:
                    assert rewards[i] == infos["shaping"][i] == infos["vlm_reward"][i] == 0
                    assert not (infos["_shaping"][i] or infos["_task_reward"][i] or infos["_vlm_reward"][i])
                    continue
                state, after, task_reward, terminated = transition
                term = engine.shape(state[None], after[None], np.array([terminated]))[0]
                assert infos["task_reward"][i] == pytest.approx(task_reward)
                assert infos["shaping"][i] == pytest.approx(term, rel=1e-4, abs=1e-5)
                assert infos["vlm_reward"][i] == pytest.approx(engine.vlm_reward(state[None])[0], rel=1e-4, abs=1e-5)
                assert rewards[i] == infos["task_reward"][i] + infos["shaping"][i]
                assert infos["_shaping"][i] and infos["_task_reward"][i] and infos["_vlm_reward"][i]
        played = [step for play in transitions_by_hand(mode, 60, truncates) for step in play if step is not None]
        assert engine.metrics()["env_steps"] == len(played)


@pytest.mark.parametrize("mode", MODES)
class TestEpisodes:
    def test_totals_where_episodes_end(self, mode: AutoresetMode) -> None:
        taken = drive(shaped(vector(mode), None, engine=learned_engine()), 60)
        for i, last in enumerate(LASTS):
            rewards, task, vlm, successes = [], [], [], []
            ended = 0
            for _, reward, terminated, truncated, infos in taken:
                if infos["_shaping"][i]:
                    rewards.append(reward[i])
                    task.append(infos["task_reward"][i])
                    vlm.append(infos["vlm_reward"][i])
                    successes.append(is_success(infos, i))
                if terminated[i] or truncated[i]:
                    totals = infos["mvr_episode"]
                    assert infos["_mvr_episode"][i] and all(totals[f"_{name}"][i] for name in TOTALS)
                    assert totals["length"][i] == len(rewards) == last
                    for name, values in (("shaped_return", rewards), ("task_return", task), ("vlm_return", vlm)):
                        assert totals[name][i] == pytest.approx(sum(values))
                    assert totals["success"][i] == any(successes)
                    rewards, task, vlm, successes = [], [], [], []
                    ended += 1
                elif "mvr_episode" in infos:
                    assert not infos["_mvr_episode"][i]
            assert ended >= 3

    def test_clips_arrive_at_the_ends_of_episodes(self, mode: AutoresetMode) -> None:
        engine = learned_engine()
        drive(shaped(vector(mode), None, engine=engine), 20)
        # The sub-envs filmed 2, 1 and 1 episodes of 10, 13 and 18 states: starts 0, 2; 0, 4, 5; 0, 4, 8, 10
        assert engine.metrics()["clips_waiting"] == 2 * 2 + 3 + 4


TOTALS = ("task_return", "shaped_return", "vlm_return", "length", "success")


def is_success(infos: dict[str, Any], i: int) -> bool:
    source = infos["final_info"] if "final_info" in infos and infos["_final_info"][i] else infos
    return bool(source["success"][i])


class TestAgreement:
    def test_one_sub_env_earns_what_a_single_env_earns(self) -> None:
        options: dict[str, Any] = {"seed": 3, "weight": 0.5, "relevance": RELEVANCE, "schedule": SCHEDULE}
        single = MultiViewVLMRewardWrapper(filmed(17), "a red ball", scorer=FakeScorer(), **options)
        venv = SyncVectorEnv([partial(filmed, 17)], autoreset_mode="SameStep")
        taken = drive(shaped(venv, **options), 200)
        single.reset(seed=0)
        for actions, (_, rewards, *_) in zip(actions_of(1, 200, 1), taken, strict=True):
            _, reward, terminated, truncated, _ = single.step(actions[0])
            assert reward == rewards[0]
            if terminated or truncated:
                single.reset()
        assert single.engine.metrics()["updates"] == 2

    @pytest.mark.parametrize("mode", MODES)
    def test_processes_earn_what_one_process_earns(self, mode: AutoresetMode) -> None:
        here, there = shaped(vector(mode)), shaped(vector(mode, AsyncVectorEnv))
        for ours, theirs in zip(drive(here, 70), drive(there, 70), strict=True):
            np.testing.assert_array_equal(ours[1], theirs[1])
        assert here.engine.metrics()["updates"] == there.engine.metrics()["updates"] == 2
        there.close()

    def test_learning_repeats_to_the_bit(self) -> None:
        one, other = (drive(shaped(vector(AutoresetMode.NEXT_STEP)), 90) for _ in range(2))
        np.testing.assert_array_equal([step[1] for step in one], [step[1] for step in other])


class Held(FilmedEnv):
    """Renders nothing until a file is there, for which it waits so long and no longer."""

    late = False

    def hold(self, file: Path) -> None:
        studio().submit(partial(self._wait, file))

    def _wait(self, file: Path) -> None:
        given_up = time.monotonic() + 60
        while not file.exists() and not self.late:
            time.sleep(0.01)
            self.late = time.monotonic() > given_up


class TestFilmsOfOtherProcesses:
    def test_steps_go_on_while_they_are_rendered_and_scoring_waits_for_them(self, tmp_path: Path) -> None:
        venv = AsyncVectorEnv([lambda: Held(EndingEnv(9), clip=CLIP)] * 2, autoreset_mode=AutoresetMode.SAME_STEP)
        schedule = {"score_every": 2 * 16, "update_every": 10**9}
        env = shaped(venv, schedule=schedule)
        env.reset()  # makes sure of OpenGL, in the thread that is held from now on
        venv.call("hold", tmp_path / "go")
        drive(env, 15)
        assert env.engine.metrics()["clips_waiting"] == 0 and venv.call("get_wrapper_attr", "late") == (False, False)
        (tmp_path / "go").touch()
        env.step(env.action_space.sample())
        assert env.engine.metrics()["clips_scored"] == 2 * 2  # of ten states: starts 0 and 2
        env.close()

    def test_they_are_taken_at_the_next_end_of_an_episode(self) -> None:
        env = shaped(vector(AutoresetMode.SAME_STEP, AsyncVectorEnv), None, engine=learned_engine())
        env.reset(seed=0)
        waiting = []
        for actions in actions_of(1, 18, 3):
            env.step(actions)
            waiting.append(env.engine.metrics()["clips_waiting"])
        # episodes end at steps 9, 12, 17 and 18, and the first three give 2, 3 and 4 clips
        assert waiting == [0] * 11 + [2] * 5 + [2 + 3, 2 + 3 + 4]
        env.close()


class TestReset:
    def test_a_reset_in_mid_episode_films_what_there_is(self) -> None:
        engine = learned_engine()
        env = shaped(SyncVectorEnv([partial(filmed, 30)] * 2), None, engine=engine)
        env.reset(seed=0)
        for actions in actions_of(0, 8, 2):
            env.step(actions)
        env.reset(seed=1)
        assert engine.metrics()["clips_waiting"] == 4  # two sub-envs, nine states: starts 0 and 1
        _, _, _, _, infos = env.step(actions_of(0, 1, 2)[0])
        assert infos["_shaping"].all()

    def test_a_masked_reset_leaves_the_others_where_they_are(self) -> None:
        env = shaped(vector(AutoresetMode.DISABLED), None, engine=learned_engine())
        env.reset(seed=0)
        observations, *_ = env.step(actions_of(0, 1, 3)[0])
        after, _ = env.reset(options={"reset_mask": np.array([False, True, False])})
        np.testing.assert_array_equal(after[[0, 2]], observations[[0, 2]])
        _, _, _, _, infos = env.step(actions_of(1, 1, 3)[0])
        np.testing.assert_allclose(infos["vlm_reward"], env.engine.vlm_reward(after), rtol=1e-5)

    def test_a_reset_by_hand_right_after_an_end_begins_an_episode_in_next_step_mode(self) -> None:
        engine = learned_engine()
        env = shaped(vector(AutoresetMode.NEXT_STEP), None, engine=engine)
        env.reset(seed=0)
        for actions in actions_of(1, LASTS[0], 3):  # the first sub-env ends at the last of these steps
            taken = env.step(actions)
        assert taken[2].tolist() == [True, False, False]
        before, _ = env.reset(seed=1)
        _, rewards, _, _, infos = env.step(actions_of(2, 1, 3)[0])
        # Nobody resets itself now: all three sub-envs have really stepped.
        assert infos["_shaping"].all() and infos["_task_reward"].all()
        np.testing.assert_allclose(infos["shaping"], engine.shape(before), rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(rewards, infos["task_reward"] + infos["shaping"])
        assert engine.metrics()["env_steps"] == 3 * LASTS[0] + 3


class TestComposition:
    def test_gymnasium_s_own_vector_with_filming_as_a_wrapper(self) -> None:
        venv = gym.make_vec("Tiny-v0", num_envs=2, vectorization_mode="sync", wrappers=[partial(FilmedEnv, clip=CLIP)])
        env = shaped(venv)
        drive(env, 100)
        assert env.engine.version == 2
        env.close()
        assert env.engine.closed

    def test_films_of_sub_envs_do_not_fall_into_one_step(self) -> None:
        """Sub-envs made alike are told their numbers by the wrapper: one films its first episode, one its second ..."""
        makers = [lambda: FilmedEnv(TinyEnv(10), clip=CLIP | {"film_every": 4})] * 3
        env = shaped(SyncVectorEnv(makers, autoreset_mode=AutoresetMode.SAME_STEP), schedule=NEVER)
        env.reset(seed=0)
        waiting = [0.0]
        for actions in actions_of(1, 80, 3):
            env.step(actions)
            waiting.append(env.engine.metrics()["clips_waiting"])
        assert np.flatnonzero(np.diff(waiting)).tolist() == [9, 19, 29, 49, 59, 69]
        assert len({clip.episode for clip in env.engine._pool.take()}) == 6
        env.close()

    def test_gymnasium_s_wrappers_below_and_above(self) -> None:
        statistics = gym.wrappers.vector.RecordEpisodeStatistics
        engine = learned_engine()
        taken = drive(statistics(shaped(statistics(vector(MODES[1]), stats_key="task"), None, engine=engine)), 9)
        infos = taken[-1][4]
        assert infos["task"]["r"][0] == pytest.approx(infos["mvr_episode"]["task_return"][0])
        assert infos["episode"]["r"][0] == pytest.approx(infos["mvr_episode"]["shaped_return"][0])
        assert engine.metrics()["clips_waiting"] == 2

    @pytest.mark.parametrize("kind", [SyncVectorEnv, AsyncVectorEnv])
    def test_sub_envs_that_do_not_film(self, kind: Any) -> None:
        venv = kind([TinyEnv, TinyEnv])
        with pytest.raises(EnvError, match="FilmedEnv"):
            shaped(venv)
        venv.close()

    def test_sub_envs_that_are_shaped_already(self) -> None:
        sub = partial(gym.make, "MVR/tiny", engine=learned_engine())
        with pytest.raises(EnvError, match="shaped already"):
            shaped(SyncVectorEnv([sub, sub]))

    def test_dict_observations_need_a_state_function(self) -> None:
        make = partial(FilmedEnv, clip=CLIP, state_fn=read_dict)
        with pytest.raises(EnvError, match="state_fn"):
            shaped(SyncVectorEnv([lambda: make(DictEnv())] * 2))
        for mode in MODES:
            venv = SyncVectorEnv([lambda: make(DictEnv(EndingEnv(9)))] * 2, autoreset_mode=mode)
            dicts = drive(shaped(venv, None, engine=learned_engine(), state_fn=read_dict), 20)
            boxes = drive(
                shaped(SyncVectorEnv([partial(filmed, 9)] * 2, autoreset_mode=mode), None, engine=learned_engine()), 20
            )
            np.testing.assert_array_equal([step[1] for step in dicts], [step[1] for step in boxes])


def scorer_of_the_parent(**arguments: Any) -> FakeScorer:
    assert multiprocessing.parent_process() is None, "a child loaded a scorer"
    return FakeScorer()


class TestMakeVec:
    @pytest.mark.parametrize("vectorization", ["sync", "async"])
    def test_by_default_one_engine_serves_all(self, vectorization: str) -> None:
        mvr_wrappers.register_scorer("parent-only", scorer_of_the_parent)
        env = gym.make_vec("MVR/tiny", num_envs=3, vectorization=vectorization, scorer="parent-only", seed=2)
        assert isinstance(env, MultiViewVLMRewardVectorWrapper)
        assert isinstance(env.unwrapped, {"sync": SyncVectorEnv, "async": AsyncVectorEnv}[vectorization])
        drive(env, 100)
        assert env.engine.metrics()["env_steps"] == 294  # two of 100 vector steps reset the three sub-envs
        assert env.engine.version == 2  # the first update fell due before the first episode had ended
        assert env.engine.seed == 2
        base: Any = env.unwrapped
        assert base.get_attr("film_number") == (0, 1, 2)
        env.close()
        assert env.engine.closed

    def test_children_need_no_torch(self) -> None:
        vector_kwargs = {"context": "spawn"}
        env = make_vector_env(
            *("tiny", 1), vectorization="async", vector_kwargs=vector_kwargs, state_fn=read_without_torch
        )
        drive(env, 3)
        env.close()

    @pytest.mark.parametrize("mode", ["NextStep", "SameStep", "Disabled"])
    def test_autoreset_mode_by_keyword(self, mode: str) -> None:
        env = gym.make_vec("MVR/tiny", num_envs=2, autoreset_mode=mode, engine=learned_engine())
        assert env.metadata["autoreset_mode"] is AutoresetMode(mode)
        drive(env, 45)

    @may_fork
    @pytest.mark.parametrize("mode", ["sync", "async"])
    def test_other_modes_work_and_warn_once_a_vector(self, mode: str) -> None:
        for _ in range(2):
            with pytest.warns(UserWarning, match="vector_entry_point") as caught:
                env = gym.make_vec("MVR/tiny", num_envs=3, vectorization_mode=mode)
            assert sum("vector_entry_point" in str(each.message) for each in caught) == 1
            taken = drive(env, 45)
            assert {"task_reward", "vlm_reward", "shaping"} <= set(taken[-1][4])
            env.close()
        alone = of_type(SyncVectorEnv, gym.make_vec("MVR/tiny", vectorization_mode="sync"))
        assert len(set(map(id, alone.call("engine")))) == 1

    def test_sync_mode_shares_an_engine_it_is_given(self) -> None:
        engine = learned_engine()
        env: Any = gym.make_vec("MVR/tiny", num_envs=3, vectorization_mode="sync", engine=engine)
        assert all(each is engine for each in env.call("engine"))

    def test_without_shaping(self) -> None:
        env = gym.make_vec("MVR/tiny", num_envs=2, shaping=False)
        plain = SyncVectorEnv([TinyEnv, TinyEnv])
        for ours, theirs in zip(drive(env, 50), drive(plain, 50), strict=True):
            np.testing.assert_array_equal(ours[1], theirs[1])
        assert type(env) is SyncVectorEnv and not any(isinstance(sub, FilmedEnv) for sub in env.envs)

    def test_the_spec_makes_it_again(self) -> None:
        env = gym.make_vec("MVR/tiny", num_envs=2, weight=0.7, env_kwargs={"max_steps": 9})
        again: Any = gym.make_vec(gym.envs.registration.EnvSpec.from_json(present(env.spec).to_json()))
        assert again.num_envs == 2 and again.engine.weight == 0.7
        assert all(sub.unwrapped.max_steps == 9 for sub in again.unwrapped.envs)

    def test_wrong_options(self) -> None:
        with pytest.raises(ConfigError, match=r"vectorization.*async"):
            gym.make_vec("MVR/tiny", vectorization="asink")
        with pytest.raises(ConfigError, match="at least 1"):
            gym.make_vec("MVR/tiny", num_envs=0)
        with pytest.raises(ConfigError, match="wait is not an option"):
            gym.make_vec("MVR/tiny", wait=1.0)
        with pytest.raises(UnknownNameError, match="hammer-v3"):
            make_vector_env("hammer-v2")
