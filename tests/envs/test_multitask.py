"""Several tasks in one vector: an engine a prompt, one scorer, one-hot task numbers."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.vector import AutoresetMode
from gymnasium.wrappers import vector as vector_wrappers

import mvr_wrappers
from mvr_wrappers import EngineGroup, MultiViewVLMRewardVectorWrapper, make_multitask_vec
from mvr_wrappers.envs.multitask import TaskAmongOthers, benchmark, benchmark_tasks
from mvr_wrappers.errors import ConfigError, EnvError, MissingExtraError, UnknownNameError
from mvr_wrappers.extras import install_command
from mvr_wrappers.tasks.registry import get_task
from tests.support.known import of_type, present
from tests.support.tiny_env import TinyEnv
from tests.support.tiny_task import DictEnv, learned_engine, waiting

TASKS = """
tasks:
  roll-east: {make: {id: Tiny-v0, module: tests.support.tiny_env}, prompt: a ball rolling to the red pillar,
    weight: 0.2}
  roll-west: {make: {id: Tiny-v0, module: tests.support.tiny_env}, prompt: a ball rolling to the blue pillar,
    weight: 0.3}
  roll-right: {make: {id: Tiny-v0, module: tests.support.tiny_env}, prompt: a ball rolling to the red pillar,
    weight: 0.4}
"""
EAST, WEST = "a ball rolling to the red pillar", "a ball rolling to the blue pillar"
SMALL: dict[str, Any] = {
    "scorer": "fake",
    "clip": {"length": 8, "stride": 4, "frames": 4, "film_every": 1},
    "relevance": {"hidden": 16, "pairs": 16, "steps_per_epoch": 5, "max_steps": 10, "patience": 2, "references": 3},
    "schedule": {"score_every": 40, "update_every": 80},
}


@pytest.fixture(scope="module")
def tasks(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    file = tmp_path_factory.mktemp("tasks") / "rolling.yaml"
    file.write_text(TASKS)
    return [f"{file}:{name}" for name in ("roll-east", "roll-west", "roll-right")]


def drive(venv: Any, steps: int) -> list[Any]:
    venv.reset(seed=0)
    rng = np.random.default_rng(1)
    return [venv.step(rng.uniform(-1, 1, (venv.num_envs, 2)).astype(np.float32)) for _ in range(steps)]


class TestEngines:
    def test_one_a_prompt_with_the_settings_of_its_first_task_and_one_scorer(self, tasks: list[str]) -> None:
        venv = make_multitask_vec(tasks, **SMALL)
        assert venv.num_envs == 3
        assert {prompt: engine.weight for prompt, engine in venv.engines.items()} == {EAST: 0.2, WEST: 0.3}
        assert list(venv.engines) == [EAST, WEST]
        assert venv.engines[EAST].scorer is venv.engines[WEST].scorer
        drive(venv, 100)
        steps = {prompt: engine.metrics()["env_steps"] for prompt, engine in venv.engines.items()}
        assert steps == {EAST: 2 * 98, WEST: 98}  # NEXT_STEP: two of the hundred reset
        assert venv.engines[EAST].version == 2 and venv.engines[WEST].version == 1
        venv.close()
        assert all(engine.closed for engine in venv.engines.values())

    @pytest.mark.parametrize("mode", ["NextStep", "SameStep"])
    def test_each_sub_env_is_shaped_by_the_engine_of_its_task(self, tasks: list[str], mode: str) -> None:
        east, west = learned_engine(weight=0.5), learned_engine(weight=0.1)
        east.prompt, west.prompt = EAST, WEST
        group = EngineGroup([east, west])
        venv = make_multitask_vec(tasks[:2], 4, engine=group, autoreset_mode=mode, clip=SMALL["clip"])
        observations, _ = venv.reset(seed=0)
        for _ in range(90):
            before = observations
            observations, rewards, _, _, infos = venv.step(venv.action_space.sample())
            for i, engine in enumerate((east, west, east, west)):
                if infos["_shaping"][i]:
                    expected = engine.shape(before[i : i + 1])[0]
                    assert infos["shaping"][i] == pytest.approx(expected, rel=1e-4, abs=1e-6)
                    assert rewards[i] == infos["task_reward"][i] + infos["shaping"][i]
                    assert infos["prompt"][i] == engine.prompt
        # Two envs, two episodes of 41 states each: starts 0, 4, ..., 32, 33
        assert list(waiting(venv.engines).values()) == [2 * 2 * 10] * 2
        venv.close()
        assert not east.closed  # it was given

    def test_processes_earn_what_one_process_earns(self, tasks: list[str]) -> None:
        here, there = (make_multitask_vec(tasks, vectorization=kind, **SMALL) for kind in ("sync", "async"))
        for ours, theirs in zip(drive(here, 100), drive(there, 100), strict=True):
            np.testing.assert_array_equal(ours[1], theirs[1])
        there.close()

    def test_an_engine_that_was_given_shapes_all(self, tasks: list[str]) -> None:
        engine = learned_engine()
        venv = make_multitask_vec(tasks, engine=engine, clip=SMALL["clip"])
        assert venv.engine is engine and len(venv.engines) == 1

    def test_without_shaping(self, tasks: list[str]) -> None:
        venv = make_multitask_vec(tasks, 6, shaping=False, use_one_hot=True)
        taken = drive(venv, 3)
        assert taken[-1][0].shape == (6, 7) and "task_reward" in taken[-1][4] and "shaping" not in taken[-1][4]


class TestObservations:
    def test_one_hot_numbers_of_the_tasks(self, tasks: list[str]) -> None:
        venv = make_multitask_vec(tasks, 6, use_one_hot=True, **SMALL)
        plain = make_multitask_vec(tasks, 6, **SMALL)
        space = of_type(gym.spaces.Box, venv.single_observation_space)
        assert space.shape == (7,) and plain.single_observation_space.shape == (4,)
        np.testing.assert_array_equal(space.low[4:], 0)
        np.testing.assert_array_equal(space.high[4:], 1)
        for ours, theirs in zip(drive(venv, 90), drive(plain, 90), strict=True):
            np.testing.assert_array_equal(ours[0][:, :4], theirs[0])
            np.testing.assert_array_equal(ours[0][:, 4:], np.tile(np.eye(3), (2, 1)))
        assert venv.observation_space.contains(ours[0])
        assert venv.engines[EAST].version == 3  # it learns on such states; the first update came before the first clips

    def test_the_wrapper_alone(self) -> None:
        env = TaskAmongOthers(TinyEnv(), task=1, tasks=3, use_one_hot=True)
        observation, _ = env.reset(seed=0)
        np.testing.assert_array_equal(observation[4:], [0, 1, 0])
        assert observation.dtype == env.observation_space.dtype and observation in env.observation_space
        again = gym.make(present(gym.make("Tiny-v0").spec))
        assert again.observation_space.shape == (4,)
        other = TaskAmongOthers(DictEnv(), task=0, tasks=2, use_one_hot=False)
        assert other.observation_space == DictEnv().observation_space
        with pytest.raises(EnvError, match="no vectors"):
            TaskAmongOthers(DictEnv(), task=0, tasks=2, use_one_hot=True)


class TestErrors:
    def test_numbers_that_do_not_fit(self, tasks: list[str]) -> None:
        for count in (2, 4, 0, -3):
            with pytest.raises(ConfigError, match="cannot play 3 tasks evenly; give 3, 6"):
                make_multitask_vec(tasks, count)

    def test_tasks_that_do_not_exist_or_fit(self, tasks: list[str]) -> None:
        bad: Any
        for bad in ([], [3]):
            with pytest.raises(ConfigError, match="names of at least one task"):
                make_multitask_vec(bad)
        with pytest.raises(UnknownNameError, match="hammer-v3"):
            make_multitask_vec(["hamer-v3"])
        for vectorization in ("sync", "async"):
            with pytest.raises(ConfigError, match="do not fit into one vector"):
                make_multitask_vec([tasks[0], "Hopper-v5"], vectorization=vectorization, shaping=False)
        with pytest.raises(ConfigError, match="wait is not an option"):
            make_multitask_vec(tasks, wait=2)

    def test_one_task_needs_no_number(self) -> None:
        with pytest.raises(ConfigError, match="use_one_hot tells several tasks apart"):
            gym.make_vec("MVR/tiny", use_one_hot=True)

    def test_a_benchmark_is_no_single_env(self) -> None:
        with pytest.raises(ConfigError, match=r"gymnasium\.make_vec\('MVR/MT10'\)"):
            gym.make("MVR/MT10")
        assert benchmark("mvr_wrappers:MVR/MT50") == "MT50" and benchmark("hammer-v3") is None

    def test_a_benchmark_s_name_is_taken(self, tmp_path: Path) -> None:
        file = tmp_path / "mine.yaml"
        file.write_text(TASKS.replace("roll-east", "MT10"))
        with pytest.raises(ConfigError, match=r"tasks\.MT10 is the name of a benchmark"):
            mvr_wrappers.register_tasks(file)

    def test_without_metaworld(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(sys.modules, "metaworld.env_dict", None)
        monkeypatch.setitem(sys.modules, "metaworld", None)
        with pytest.raises(MissingExtraError, match=f"MT10 needs metaworld.*{re.escape(install_command('metaworld'))}"):
            gym.make_vec("MVR/MT10")


class TestMetaWorld:
    @pytest.fixture(autouse=True)
    def _metaworld(self) -> None:
        pytest.importorskip("metaworld")

    def test_the_lists_are_metaworld_s(self) -> None:
        assert benchmark_tasks("MT10") == tuple(
            f"{task}-v3"
            for task in "reach push pick-place door-open drawer-open drawer-close button-press-topdown peg-insert-side "
            "window-open window-close".split()
        )
        assert [len(set(benchmark_tasks(name))) for name in ("MT10", "MT25", "MT50")] == [10, 25, 50]
        assert all(get_task(task).family == "metaworld" for task in benchmark_tasks("MT50"))

    def test_mt10(self) -> None:
        small = {"length": 8, "stride": 8, "frames": 4, "film_every": 1, "image_size": 32}
        made = gym.make_vec(
            *("MVR/MT10", 10), use_one_hot=True, scorer="fake", clip=small, max_episode_steps=10, seed=1
        )
        venv = of_type(MultiViewVLMRewardVectorWrapper, made)
        assert venv.num_envs == len(venv.engines) == 10
        assert list(venv.engines) == [get_task(task).prompt for task in benchmark_tasks("MT10")]
        assert len({id(engine.scorer) for engine in venv.engines.values()}) == 1
        observations, _ = venv.reset(seed=0)
        np.testing.assert_array_equal(observations[:, 39:], np.eye(10))
        assert observations[:, 36:39].any(axis=1).all()  # each goal is seen
        counted = vector_wrappers.RecordEpisodeStatistics(venv)
        for _ in range(11):
            *_, infos = counted.step(np.zeros((10, 4), np.float32))
        assert not infos["_shaping"].any()  # NEXT_STEP: all have reset
        assert list(waiting(venv.engines).values()) == [2] * 10
        again = gym.make_vec(gym.envs.registration.EnvSpec.from_json(present(counted.spec).to_json()))
        assert again.num_envs == 10 and again.single_observation_space.shape == (49,)
        assert again.metadata["autoreset_mode"] is AutoresetMode.NEXT_STEP
        counted.close()
        again.close()


class TestStableBaselines:
    @pytest.fixture(autouse=True)
    def _sb3(self) -> None:
        pytest.importorskip("stable_baselines3")

    @pytest.mark.parametrize("kind", ["DummyVecEnv", "SubprocVecEnv"])
    def test_make_vec_env(self, tasks: list[str], kind: str) -> None:
        from stable_baselines3.common import vec_env

        from mvr_wrappers.sb3 import make_vec_env

        venv = make_vec_env(tasks[:2], seed=0, vec_env_cls=getattr(vec_env, kind), use_one_hot=True, **SMALL)
        assert venv.num_envs == 2 and venv.observation_space.shape == (6,)
        assert list(venv.engines) == [EAST, WEST]
        np.testing.assert_array_equal(of_type(np.ndarray, venv.reset())[:, 4:], np.eye(2))
        for _ in range(45):
            infos = venv.step(np.ones((2, 2), np.float32))[3]
        assert [info["prompt"] for info in infos] == [EAST, WEST]
        assert [engine.metrics()["env_steps"] for engine in venv.engines.values()] == [45, 45]
        venv.close()
        assert all(engine.closed for engine in venv.engines.values())

    def test_one_engine_is_asked_for_and_there_are_two(self, tasks: list[str]) -> None:
        from mvr_wrappers.errors import EngineError
        from mvr_wrappers.sb3 import make_vec_env

        for venv in (make_vec_env(tasks, **SMALL), make_multitask_vec(tasks, **SMALL)):
            with pytest.raises(EngineError, match="see engines"):
                venv.engine  # noqa: B018 - asked for its error
        assert make_vec_env([tasks[0], tasks[2]], **SMALL).engine.prompt == EAST

    def test_spaces_that_differ(self, tasks: list[str]) -> None:
        from mvr_wrappers.sb3 import make_vec_env

        with pytest.raises(ConfigError, match="need one observation space: sub-env 0 has"):
            make_vec_env([tasks[0], "Hopper-v5"], shaping=False)

    def test_an_agent_learns_with_a_buffer_relabelled_by_each_engine(self, tasks: list[str]) -> None:
        from stable_baselines3 import SAC

        from mvr_wrappers.sb3 import RelabelReplayBuffer, RewardLogger, make_vec_env

        venv = make_vec_env(tasks[:2], seed=0, **SMALL | {"schedule": {"score_every": 41, "update_every": 82}})
        small: Any = {"learning_starts": 20, "batch_size": 8, "policy_kwargs": {"net_arch": [8]}, "buffer_size": 600}
        agent = SAC("MlpPolicy", venv, replay_buffer_class=RelabelReplayBuffer, device="cpu", **small)
        agent.learn(400, callback=RewardLogger())
        buffer = of_type(RelabelReplayBuffer, agent.replay_buffer)
        engines = present(buffer.engines)
        assert engines is venv.engines and all(engine.version >= 2 for engine in venv.engines.values())
        buffer.relabel()
        for i, engine in enumerate(venv.engines.values()):
            rows = slice(0, buffer.size())
            states = buffer.observations[rows, i].astype(np.float32)
            np.testing.assert_allclose(buffer.shaping[rows, i], engine.shape(states), rtol=1e-4, atol=1e-6)
        alone = RelabelReplayBuffer(10, venv.observation_space, venv.action_space, n_envs=2, engine=venv.engines[EAST])
        venv.reset()
        observations: Any
        observations, rewards, dones, infos = venv.step(np.ones((2, 2), np.float32))
        from mvr_wrappers.errors import EngineError

        with pytest.raises(EngineError, match=r"give it all engines.*venv\.engines"):
            alone.add(observations, observations, np.ones((2, 2)), rewards, dones, infos)
