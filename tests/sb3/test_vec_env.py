from __future__ import annotations

import copy
import pickle
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest

pytest.importorskip("stable_baselines3")

from stable_baselines3 import SAC
from stable_baselines3.common import env_util
from stable_baselines3.common.vec_env import DummyVecEnv, SubprocVecEnv, VecNormalize

from mvr_wrappers import FilmedEnv, MultiViewVLMRewardVectorWrapper
from mvr_wrappers.errors import ConfigError, EngineError, EnvError, UnknownNameError
from mvr_wrappers.extras import install_command
from mvr_wrappers.sb3 import MultiViewVLMRewardVecEnv, RelabelReplayBuffer, RewardLogger, make_vec_env
from tests.support.fake_scorer import FakeScorer
from tests.support.known import of_type
from tests.support.tiny_env import TinyEnv
from tests.support.tiny_task import (
    CLIP,
    RELEVANCE,
    SCHEDULE,
    DictEnv,
    EndingEnv,
    filmed,
    learned_engine,
    publish,
    read_dict,
)
from tests.support.vec_drives import LASTS, actions_of, drive, fill, shaped, small_agent


class TestVecEnv:
    @pytest.mark.parametrize("truncates", [False, True])
    @pytest.mark.parametrize("rule", ["additive", "potential"])
    def test_terms_are_those_of_the_transitions(self, rule: str, truncates: bool) -> None:
        engine = learned_engine(rule)
        before, taken = drive(shaped(engine, truncates), 40)
        _, plain = drive(DummyVecEnv([partial(EndingEnv, last, truncates) for last in LASTS]), 40)
        n_ends = 0
        for states, (after, rewards, dones, infos), (_, task_rewards, *_) in zip(before, taken, plain, strict=True):
            last = np.array([infos[i].get("terminal_observation", after[i]) for i in range(3)])
            terms = engine.shape(states, last, dones & (not truncates))
            np.testing.assert_allclose([info["shaping"] for info in infos], terms, rtol=1e-4, atol=1e-5)
            np.testing.assert_allclose(
                [info["vlm_reward"] for info in infos], engine.vlm_reward(states), rtol=1e-4, atol=1e-5
            )
            np.testing.assert_allclose([info["task_reward"] for info in infos], task_rewards, rtol=1e-6)
            np.testing.assert_allclose(rewards, task_rewards + terms, rtol=1e-4, atol=1e-5)
            assert [("mvr_episode" in info) for info in infos] == dones.tolist()
            n_ends += dones.sum()
        assert n_ends == 4 + 3 + 2
        assert engine.metrics()["env_steps"] == 120

    def test_episode_totals(self) -> None:
        _, taken = drive(shaped(learned_engine()), 34)
        for i, last in enumerate(LASTS):
            for end in range(last, 35, last):
                episode = [(rewards[i], infos[i]) for _, rewards, _, infos in taken[end - last : end]]
                totals = episode[-1][1]["mvr_episode"]
                assert totals["length"] == last
                assert totals["shaped_return"] == pytest.approx(sum(reward for reward, _ in episode), rel=1e-5)
                assert totals["task_return"] == pytest.approx(sum(info["task_reward"] for _, info in episode), rel=1e-5)
                assert totals["vlm_return"] == pytest.approx(sum(info["vlm_reward"] for _, info in episode), rel=1e-5)
                assert totals["success"] is any(info["is_success"] for _, info in episode)

    def test_it_earns_what_the_gymnasium_vector_earns(self) -> None:
        ours = shaped()
        _, taken = drive(ours, 70)
        venv = gym.vector.SyncVectorEnv([partial(filmed, last) for last in LASTS], autoreset_mode="SameStep")
        theirs = MultiViewVLMRewardVectorWrapper(
            venv, "a red ball", scorer=FakeScorer(), relevance=RELEVANCE, schedule=SCHEDULE
        )
        theirs.reset(seed=0)
        for (_, rewards, _, infos), actions in zip(taken, actions_of(70, 3), strict=True):
            _, expected, _, _, their_infos = theirs.step(actions)
            np.testing.assert_array_equal([info["shaping"] for info in infos], their_infos["shaping"])
            np.testing.assert_allclose(rewards, expected, rtol=1e-5)
        assert ours.engine.version == theirs.engine.version == 2

    def test_a_reset_in_mid_episode_films_what_there_is(self) -> None:
        engine = learned_engine()
        venv = shaped(engine, lasts=(30, 30))
        drive(venv, 8)
        venv.reset()
        assert engine.metrics()["clips_waiting"] == 4

    def test_dict_observations_need_a_state_function(self) -> None:
        make = partial(FilmedEnv, clip=CLIP, state_fn=read_dict)
        with pytest.raises(EnvError, match="state_fn"):
            MultiViewVLMRewardVecEnv(DummyVecEnv([lambda: make(DictEnv())]), engine=learned_engine())
        venv = DummyVecEnv([lambda: make(DictEnv(EndingEnv(9)))])
        _, dicts = drive(MultiViewVLMRewardVecEnv(venv, engine=learned_engine(), state_fn=read_dict), 20)
        _, boxes = drive(shaped(learned_engine(), lasts=(9,)), 20)
        np.testing.assert_array_equal([step[1] for step in dicts], [step[1] for step in boxes])

    def test_sub_envs_that_do_not_fit(self) -> None:
        with pytest.raises(EnvError, match="FilmedEnv"):
            MultiViewVLMRewardVecEnv(DummyVecEnv([TinyEnv]), engine=learned_engine())
        sub = partial(gym.make, "MVR/tiny", engine=learned_engine())
        with pytest.raises(EnvError, match="shaped already"):
            MultiViewVLMRewardVecEnv(DummyVecEnv([sub]), engine=learned_engine())
        with pytest.raises(EnvError, match="VecNormalize"):
            MultiViewVLMRewardVecEnv(VecNormalize(DummyVecEnv([partial(filmed, 9)])), engine=learned_engine())

    def test_composition_with_sb3_s_own_function(self) -> None:
        venv = env_util.make_vec_env("Tiny-v0", 2, wrapper_class=FilmedEnv, wrapper_kwargs={"clip": CLIP})
        env = MultiViewVLMRewardVecEnv(venv, "a ball", scorer=FakeScorer(), relevance=RELEVANCE, schedule=SCHEDULE)
        drive(env, 90)
        assert env.engine.version == 2
        env.close()
        assert env.engine.closed


class TestMakeVecEnv:
    @pytest.mark.parametrize("vec_env_cls", [DummyVecEnv, SubprocVecEnv])
    def test_one_engine_serves_all(self, vec_env_cls: Any) -> None:
        kwargs = {"start_method": "fork"} if vec_env_cls is SubprocVecEnv else {}
        venv = make_vec_env("MVR/tiny", n_envs=2, seed=3, vec_env_cls=vec_env_cls, vec_env_kwargs=kwargs)
        assert isinstance(venv, MultiViewVLMRewardVecEnv) and type(venv.venv) is vec_env_cls
        _, taken = drive(venv, 90)
        engine = venv.engine
        assert (engine.seed, engine.version, engine.metrics()["env_steps"]) == (3, 2, 180)
        assert venv.env_method("get_wrapper_attr", "_rng")[0].bit_generator.state != (
            venv.env_method("get_wrapper_attr", "_rng")[1].bit_generator.state
        )
        again = make_vec_env("MVR/tiny", n_envs=2, seed=3)
        _, others = drive(again, 90)
        np.testing.assert_allclose([s[1] for s in taken], [s[1] for s in others], rtol=1e-6)
        venv.close()
        assert engine.closed

    def test_children_load_no_scorer(self) -> None:
        venv = make_vec_env("MVR/tiny", n_envs=1, vec_env_cls=SubprocVecEnv, scorer=Unpicklable())
        drive(venv, 2)
        venv.close()

    def test_monitor_sees_the_task(self, tmp_path: Path) -> None:
        venv = make_vec_env("MVR/tiny", n_envs=2, start_index=5, monitor_dir=str(tmp_path), engine=learned_engine())
        _, taken = drive(venv, 40)
        for info in taken[-1][3]:
            assert info["episode"]["r"] == pytest.approx(info["mvr_episode"]["task_return"], abs=1e-4)
            assert info["mvr_episode"]["task_return"] != pytest.approx(info["mvr_episode"]["shaped_return"])
        venv.close()
        assert sorted(path.name for path in tmp_path.iterdir()) == ["5.monitor.csv", "6.monitor.csv"]

    def test_options_may_stand_in_env_kwargs(self) -> None:
        for words in ({"env_kwargs": {"weight": 0.7, "seed": 8}}, {"weight": 0.7, "seed": 8}):
            venv = make_vec_env("tiny", **words)
            assert (venv.engine.weight, venv.engine.seed) == (0.7, 8)
        venv = make_vec_env("MVR/tiny", env_kwargs={"env_kwargs": {"max_steps": 7}})
        assert venv.get_attr("max_steps") == [7]
        assert venv.render_mode == "rgb_array"

    def test_wrapper_class_stands_outside(self) -> None:
        venv = make_vec_env(
            "MVR/tiny",
            wrapper_class=gym.wrappers.TransformAction,
            wrapper_kwargs={"func": np.negative, "action_space": None},
            engine=learned_engine(),
        )
        assert venv.env_is_wrapped(gym.wrappers.TransformAction) == [True]
        drive(venv, 3)

    def test_without_shaping(self) -> None:
        venv = make_vec_env("MVR/tiny", n_envs=2, shaping=False)
        assert type(venv) is DummyVecEnv and venv.env_is_wrapped(FilmedEnv) == [False, False]
        _, taken = drive(venv, 41)
        _, plain = drive(DummyVecEnv([TinyEnv, TinyEnv]), 41)
        np.testing.assert_array_equal([step[1] for step in taken], [step[1] for step in plain])
        assert {"task_reward", "is_success"} <= set(taken[0][3][0])

    def test_wrong_arguments(self) -> None:
        with pytest.raises(ConfigError, match="wrapper_class=FilmedEnv"):
            make_vec_env(TinyEnv)  # type: ignore[call-overload]  # the mistake
        with pytest.raises(ConfigError, match="wait is not an option"):
            make_vec_env("MVR/tiny", wait=1)
        with pytest.raises(UnknownNameError, match="hammer-v3"):
            make_vec_env("MVR/hammer-v2")


class Unpicklable(FakeScorer):
    def __reduce__(self) -> Any:
        raise AssertionError("a scorer was sent to a child")


class TestSb3sOwnFunction:
    def test_it_works_and_warns_once(self) -> None:
        for _ in range(2):
            with pytest.warns(UserWarning, match=r"mvr_wrappers\.sb3\.make_vec_env") as caught:
                venv = env_util.make_vec_env("MVR/tiny", n_envs=4)
            assert len(caught) == 1
        assert len({id(engine) for engine in venv.get_attr("engine")}) == 4
        _, taken = drive(venv, 41)
        assert {"task_reward", "vlm_reward", "shaping"} <= set(taken[0][3][0])
        venv.close()

    def test_one_env_is_no_reason_to_warn(self) -> None:
        env_util.make_vec_env("MVR/tiny").close()

    def test_an_engine_does_not_slip_into_a_child(self) -> None:
        engine = learned_engine()
        with pytest.raises(EngineError, match=r"mvr_wrappers\.sb3\.make_vec_env"):
            SubprocVecEnv([lambda: gym.make("MVR/tiny", engine=engine)])


def filled(venv: Any, steps: int, **options: Any) -> tuple[RelabelReplayBuffer, list[Any]]:
    """Returns a buffer with the transitions of a drive, and the drive's steps."""
    spaces = (1000, venv.observation_space, venv.action_space, "cpu")
    buffer = RelabelReplayBuffer(*spaces, n_envs=venv.num_envs, engine=venv.engine, **options)
    return buffer, fill([buffer], venv, steps)


class TestRelabelling:
    @pytest.mark.parametrize("lasts", [(9,), LASTS])
    @pytest.mark.parametrize("rule", ["additive", "potential"])
    @pytest.mark.parametrize("truncates", [False, True])
    def test_the_whole_buffer_follows_a_new_snapshot(self, lasts: Any, rule: str, truncates: bool) -> None:
        engine = learned_engine(rule)
        buffer, taken = filled(shaped(engine, truncates, lasts), 30)
        size = buffer.size()
        labels = np.array([[info["shaping"] for info in infos] for *_, infos in taken])
        np.testing.assert_allclose(buffer.shaping[:size], labels, rtol=1e-4, atol=1e-5)
        publish(engine, rule)
        buffer.sample(4)
        dones = np.array([dones for _, _, dones, _ in taken])
        now, after = (array[:size].reshape(-1, 4) for array in (buffer.observations, buffer.next_observations))
        expected = engine.shape(now, after, (dones & (not truncates)).ravel()).reshape(size, -1)
        assert np.abs(expected - labels).max() > 0.1
        np.testing.assert_allclose(buffer.shaping[:size], expected, rtol=1e-4, atol=1e-5)
        task = np.array([[info["task_reward"] for info in infos] for *_, infos in taken])
        np.testing.assert_allclose(buffer.rewards[:size], task, rtol=1e-6)

    def test_there_and_back_is_where_it_was(self) -> None:
        engine = learned_engine()
        buffer, _ = filled(shaped(engine), 30)
        buffer.relabel()
        first, snapshot = buffer.shaping.copy(), engine.snapshot
        for _ in range(5):
            publish(engine)
            buffer.relabel()
            assert not np.array_equal(buffer.shaping, first)
            engine.publish(snapshot)
            buffer.relabel()
            np.testing.assert_array_equal(buffer.shaping, first)

    def test_it_is_done_once_a_snapshot(self, monkeypatch: pytest.MonkeyPatch) -> None:
        engine = learned_engine()
        buffer, _ = filled(shaped(engine), 10)
        passes: list[int] = []
        shape = type(engine.snapshot).shape
        monkeypatch.setattr(
            type(engine.snapshot),
            "shape",
            lambda self, states, *rest: passes.append(len(states)) or shape(self, states, *rest),
        )
        for _ in range(3):
            buffer.sample(5)
        publish(engine)
        for _ in range(3):
            buffer.sample(5)
        assert passes == [30, 30]

    def test_chunks_do_not_matter(self, monkeypatch: pytest.MonkeyPatch) -> None:
        engine = learned_engine("potential")
        whole, _ = filled(shaped(engine), 20)
        parts, _ = filled(shaped(engine), 20)
        whole.relabel()
        monkeypatch.setattr("mvr_wrappers.sb3.replay.TRANSITIONS_AT_ONCE", 7)
        parts.relabel()
        np.testing.assert_allclose(parts.shaping, whole.shaping, rtol=1e-5, atol=1e-6)

    def test_a_full_ring_keeps_the_newest(self) -> None:
        venv = shaped(learned_engine(), lasts=(9,))
        buffer = RelabelReplayBuffer(8, venv.observation_space, venv.action_space, "cpu", engine=venv.engine)
        before, taken = drive(venv, 13)
        for observations, (after, rewards, dones, infos) in zip(before, taken, strict=True):
            buffer.add(observations, after, np.zeros((1, 2)), rewards, dones, infos)
        publish(venv.engine)
        buffer.relabel()
        newest = np.array(before[8:] + before[5:8])[:, 0]
        np.testing.assert_allclose(buffer.shaping[:, 0], venv.engine.shape(newest), rtol=1e-4, atol=1e-5)

    def test_samples_are_rewarded_with_the_sum(self) -> None:
        engine = learned_engine()
        buffer, _ = filled(shaped(engine), 30)
        publish(engine)
        batch = buffer.sample(64)
        task = {
            row.tobytes(): reward
            for row, reward in zip(
                buffer.observations[:30].reshape(-1, 4).astype(np.float32), buffer.rewards[:30].ravel(), strict=True
            )
        }
        states = batch.observations.numpy().astype(np.float32)
        expected = np.array([task[row.tobytes()] for row in states]) + engine.shape(states)
        np.testing.assert_allclose(batch.rewards.numpy()[:, 0], expected, rtol=1e-4, atol=1e-5)
        assert batch.actions.shape == (64, 2) and batch.dones.shape == (64, 1)

    def test_time_outs_are_no_ends(self) -> None:
        for truncates in (True, False):
            buffer, _ = filled(shaped(learned_engine(), truncates), 30)
            assert bool(buffer.sample(200).dones.any()) is not truncates

    def test_vec_normalize_scales_the_sum(self) -> None:
        engine = learned_engine()
        venv = VecNormalize(shaped(engine, lasts=(9,)), norm_obs=False, clip_reward=1e6)
        drive(venv, 30)  # which learns the scale
        buffer, _ = filled(venv.venv, 30)  # as SB3 does: what is stored is not normalised
        np.random.seed(0)  # noqa: NPY002
        plain = buffer.sample(16).rewards.numpy()
        np.random.seed(0)  # noqa: NPY002
        scaled = buffer.sample(16, env=venv).rewards.numpy()
        np.testing.assert_allclose(scaled, plain / np.sqrt(venv.ret_rms.var + venv.epsilon), rtol=1e-5)

    def test_a_saved_buffer_comes_back_without_its_engine(self) -> None:
        engine = learned_engine()
        buffer, _ = filled(shaped(engine), 20)
        for copied in (lambda it: pickle.loads(pickle.dumps(it)), copy.deepcopy):
            again = copied(buffer)
            np.testing.assert_array_equal(again.shaping, buffer.shaping)
            with pytest.raises(EngineError, match="set_engine"):
                again.sample(4)
            publish(engine)
            again.set_engine(engine)
            again.sample(4)
            buffer.relabel()
            np.testing.assert_array_equal(again.shaping, buffer.shaping)

    def test_wrong_use(self) -> None:
        space, actions = gym.spaces.Box(-1, 1, (4,)), gym.spaces.Box(-1, 1, (2,))
        with pytest.raises(ConfigError, match="optimize_memory_usage"):
            RelabelReplayBuffer(9, space, actions, optimize_memory_usage=True, handle_timeout_termination=False)
        buffer = RelabelReplayBuffer(9, space, actions, engine=learned_engine())
        with pytest.raises(EnvError, match="task_reward"):
            buffer.add(np.zeros((1, 4)), np.zeros((1, 4)), np.zeros((1, 2)), np.zeros(1), np.zeros(1, bool), [{}])


class TestTraining:
    def test_an_agent_learns_relabels_saves_and_goes_on(self, tmp_path: Path) -> None:
        venv = make_vec_env("MVR/tiny", n_envs=2, seed=0)
        kwargs = {"engine": venv.engine}
        model = SAC(
            "MlpPolicy", venv, replay_buffer_class=RelabelReplayBuffer, replay_buffer_kwargs=kwargs, **small_agent()
        )
        model.learn(200, callback=RewardLogger())
        assert venv.engine.version == 2 and kwargs == {"engine": venv.engine}
        buffer = of_type(RelabelReplayBuffer, model.replay_buffer)
        size = buffer.size()
        buffer.relabel()
        states = buffer.observations[:size].reshape(-1, 4)
        np.testing.assert_allclose(buffer.shaping[:size].ravel(), venv.engine.shape(states), rtol=1e-4, atol=1e-5)
        model.save(tmp_path / "model")
        model.save_replay_buffer(tmp_path / "buffer")
        again = SAC.load(tmp_path / "model", env=venv)
        again.load_replay_buffer(tmp_path / "buffer")
        again.learn(20, callback=RewardLogger(), reset_num_timesteps=False)
        loaded = of_type(RelabelReplayBuffer, again.replay_buffer)
        assert loaded.engine is venv.engine
        assert loaded.size() == size + 10

    def test_the_logger_keeps_returns_apart(self, tmp_path: Path) -> None:
        venv = make_vec_env("MVR/tiny", n_envs=2, seed=0)
        model = SAC("MlpPolicy", venv, **small_agent())
        logger = Recorded()
        model.learn(250, callback=[RewardLogger(), logger], log_interval=1)
        dumps = [dump for dump in logger.dumps if "mvr/task_return" in dump]
        last = dumps[-1]
        assert last["mvr/shaped_return"] != last["mvr/task_return"]
        assert last["mvr/shaped_return"] - last["mvr/task_return"] == pytest.approx(
            0.1 * last["mvr/vlm_return"], rel=1e-3
        )
        assert {"mvr/mean_vlm_reward", "mvr/success_rate", "engine/version", "engine/mean_score"} <= set(last)
        assert dumps[0]["mvr/task_return"] == pytest.approx(dumps[0]["rollout/ep_rew_mean"], abs=1e-3)

    def test_the_logger_serves_plain_envs_too(self) -> None:
        model = SAC("MlpPolicy", make_vec_env("MVR/tiny", shaping=False), **small_agent())
        model.learn(30, callback=RewardLogger())


class Recorded(RewardLogger):
    """Keeps what the logger holds whenever an episode has ended."""

    def _init_callback(self) -> None:
        self.dumps: list[dict[str, float]] = []

        def dump(step: int = 0) -> None:
            self.dumps.append(dict(self.model.logger.name_to_value))
            self.model.logger.name_to_value.clear()
            self.model.logger.name_to_count.clear()

        self.model.logger.dump = dump  # type: ignore[method-assign]  # it writes what it has collected

    def _on_step(self) -> bool:
        return True

    def _on_rollout_end(self) -> None:
        pass


def test_without_sb3_the_extra_is_named() -> None:
    code = (
        "import sys; sys.modules['stable_baselines3'] = None\n"
        "from mvr_wrappers.errors import MissingExtraError\n"
        "try:\n    import mvr_wrappers.sb3\nexcept MissingExtraError as error:\n    print(error)"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert install_command("sb3") in result.stdout
