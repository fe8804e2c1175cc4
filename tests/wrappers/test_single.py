from __future__ import annotations

import subprocess
import sys
import warnings
from typing import Any, SupportsFloat

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.envs.registration import EnvSpec
from gymnasium.utils.env_checker import check_env

from mvr_wrappers import CameraRig, FilmedEnv, MultiViewVLMRewardWrapper
from mvr_wrappers.envs.make import RegisteredEnv
from mvr_wrappers.errors import ConfigError, EngineError, EnvError, NonFiniteError, UnknownNameError
from mvr_wrappers.settings import ClipSettings
from mvr_wrappers.tasks.registry import load_registry
from tests.support.fake_scorer import FakeScorer
from tests.support.known import of_type, present
from tests.support.tiny_env import TinyEnv
from tests.support.tiny_task import CLIP, RELEVANCE, SCHEDULE, DictEnv, EndingEnv, learned_engine, read_dict

Steps = list[tuple[Any, SupportsFloat, bool, bool, dict[str, Any]]]


def wrap(env: Any = None, prompt: str | None = "a red ball", **options: Any) -> MultiViewVLMRewardWrapper:
    given: Any = {"scorer": FakeScorer(), "clip": CLIP, "relevance": RELEVANCE, "schedule": SCHEDULE} | options
    return MultiViewVLMRewardWrapper(env or TinyEnv(), prompt, **given)


def share(engine: Any, env: Any = None, **options: Any) -> MultiViewVLMRewardWrapper:
    return MultiViewVLMRewardWrapper(env or TinyEnv(), **{"engine": engine, "clip": CLIP} | options)


def run(env: gym.Env[Any, Any], steps: int, seed: int = 0) -> tuple[list[Any], Steps]:
    """Returns the observation before each step, and the steps; episodes are reset when over."""
    rng = np.random.default_rng(seed)
    observation, _ = env.reset(seed=seed)
    before, taken = [], []
    for _ in range(steps):
        before.append(observation)
        taken.append(env.step(rng.uniform(-1, 1, 2).astype(np.float32)))
        observation = taken[-1][0]
        if taken[-1][2] or taken[-1][3]:
            observation, _ = env.reset()
    return before, taken


class TestReward:
    def test_it_is_the_task_reward_plus_the_term_at_the_state_before_the_step(self) -> None:
        engine = learned_engine()
        before, steps = run(share(engine), 50)
        _, plain = run(TinyEnv(), 50)
        expected = engine.vlm_reward(np.array(before))
        assert np.ptp(expected) > 0.5
        for r_vlm, (_, reward, _, _, info), (_, task_reward, *_) in zip(expected, steps, plain, strict=True):
            assert info["task_reward"] == task_reward
            assert info["vlm_reward"] == pytest.approx(r_vlm, abs=1e-6)
            assert info["shaping"] == pytest.approx(np.clip(0.5 * r_vlm, -5, 5), abs=1e-6)
            assert reward == info["task_reward"] + info["shaping"]

    @pytest.mark.parametrize("truncates", [False, True])
    def test_the_potential_rule_ends_at_zero_only_in_terminal_states(self, truncates: bool) -> None:
        engine = learned_engine("potential")
        before, steps = run(share(engine, EndingEnv(4, truncates), clip={**CLIP, "length": 5}), 8)
        phi, phi_next = engine.vlm_reward(np.array(before)), engine.vlm_reward(np.array([step[0] for step in steps]))
        if not truncates:
            phi_next[[3, 7]] = 0
        np.testing.assert_allclose(
            [step[4]["shaping"] for step in steps], 0.5 * (0.9 * phi_next - phi), rtol=1e-4, atol=1e-5
        )

    @pytest.mark.parametrize("weight", [0.0, 0.1])
    def test_weight_zero_and_the_time_before_an_update_leave_the_env_as_it_is(self, weight: float) -> None:
        schedule = SCHEDULE if weight == 0 else {"update_every": 10_000}
        _, shaped = run(wrap(weight=weight, schedule=schedule), 130)
        _, plain = run(TinyEnv(), 130)
        for ours, theirs in zip(shaped, plain, strict=True):
            np.testing.assert_array_equal(ours[0], theirs[0])
            assert ours[1:4] == theirs[1:4]

    def test_it_learns_while_it_runs_and_repeats_to_the_bit(self) -> None:
        one, other = wrap(seed=5), wrap(seed=5)
        (_, ours), (_, theirs) = run(one, 250), run(other, 250)
        assert one.engine.metrics()["updates"] == 3 and one.engine.version == 4  # one scoring changed the references
        assert len({step[4]["shaping"] for step in ours}) > 50
        assert [step[1] for step in ours] == [step[1] for step in theirs]
        _, others = run(wrap(seed=6), 250)
        assert [step[1] for step in ours] != [step[1] for step in others]


class TestInfo:
    def test_episode_totals(self) -> None:
        _, steps = run(share(learned_engine()), 80)
        for episode in (steps[:40], steps[40:]):
            assert all("mvr_episode" not in step[4] for step in episode[:-1])
            totals = episode[-1][4]["mvr_episode"]
            assert totals["length"] == 40
            assert totals["task_return"] == pytest.approx(sum(step[4]["task_reward"] for step in episode))
            assert totals["shaped_return"] == pytest.approx(sum(float(step[1]) for step in episode))
            assert totals["vlm_return"] == pytest.approx(sum(step[4]["vlm_reward"] for step in episode))
            assert totals["success"] is any(step[4]["is_success"] for step in episode)

    def test_success_where_the_env_reports_it(self) -> None:
        _, steps = run(wrap(), 3)
        assert all(step[4]["is_success"] is bool(step[4]["success"]) for step in steps)
        silent = share(learned_engine(), gym.wrappers.TransformReward(Silent(TinyEnv(max_steps=9)), float))
        _, steps = run(silent, 9)
        assert "is_success" not in steps[-1][4] and "success" not in steps[-1][4]["mvr_episode"]

    def test_values_are_plain_numbers(self) -> None:
        _, steps = run(wrap(), 40)
        info = steps[-1][4]
        kinds = {name: type(info[name]) for name in ("task_reward", "vlm_reward", "shaping", "is_success")}
        assert kinds == {"task_reward": float, "vlm_reward": float, "shaping": float, "is_success": bool}
        assert {type(value) for value in info["mvr_episode"].values()} == {float, int, bool}


class Silent(gym.Wrapper[Any, Any, Any, Any]):
    def step(self, action: Any) -> Any:
        *rest, _ = self.env.step(action)
        return *rest, {}


class TestEngine:
    def test_clips_arrive_when_an_episode_ends_or_is_cut_short(self) -> None:
        env = wrap(schedule={"score_every": 10_000})
        run(env, 39)
        assert env.engine.metrics()["clips_waiting"] == 0
        env.step(env.action_space.sample())
        n_clips = env.engine.metrics()["clips_waiting"]
        assert n_clips == 10  # 41 states: starts 0, 4, ..., 32 and 33
        env.reset()
        for _ in range(8):
            env.step(env.action_space.sample())
        env.reset()
        assert env.engine.metrics()["clips_waiting"] == n_clips + 2  # 9 states: starts 0 and 1
        assert env.engine.metrics()["env_steps"] == 48

    def test_one_engine_serves_two_envs_and_is_left_open(self) -> None:
        engine = learned_engine()
        one, other = share(engine), share(engine)
        run(one, 10)
        run(other, 10)
        assert engine.metrics()["env_steps"] == 20
        one.close()
        assert not engine.closed
        run(other, 1)

    def test_its_own_engine_is_closed_with_the_env(self) -> None:
        env = wrap(mode="async")
        run(env, 90)
        env.close()
        assert env.engine.closed
        with pytest.raises(EngineError, match="was closed"):
            env.step(env.action_space.sample())

    def test_frames_have_the_size_the_scorer_works_at(self) -> None:
        env = wrap(clip={"length": 8, "frames": 4, "film_every": 1})
        run(env, 40)
        assert env.engine.gallery.best[0].frames.shape == (1, 4, 32, 32, 3)


class TestComposition:
    def test_a_filmed_env_is_used_as_it_is(self) -> None:
        filmed = FilmedEnv(TinyEnv(), clip=CLIP)
        env = MultiViewVLMRewardWrapper(filmed, engine=learned_engine())
        assert env.env is filmed
        with pytest.raises(ConfigError, match="FilmedEnv already"):
            wrap(filmed)

    def test_envs_of_one_engine_have_numbers_of_their_own(self) -> None:
        engine = learned_engine()
        envs = [share(engine) for _ in range(3)]
        assert [env.get_wrapper_attr("film_number") for env in envs] == [0, 1, 2]
        for env in envs:
            run(env, 41)
        assert len({clip.episode for clip in engine._pool.take()}) == 3

    def test_the_spec_makes_the_env_again(self) -> None:
        env = wrap(gym.make("Tiny-v0"), scorer="fake", seed=3, rig=CameraRig.ring((0, 90), lookat=(0, 0, 0.2)))
        assert env.spec is not None
        for spec in (env.spec, EnvSpec.from_json(present(env.spec).to_json())):
            again = gym.make(spec)
            assert again.get_wrapper_attr("engine").options == env.engine.options
            assert again.get_wrapper_attr("rig") == env.get_wrapper_attr("rig")
            assert again.get_wrapper_attr("clip") == env.get_wrapper_attr("clip")
        (_, ours), (_, theirs) = run(env, 120), run(again, 120)
        assert [step[1] for step in ours] == [step[1] for step in theirs]

    def test_a_shared_engine_is_recorded_as_the_arguments_that_make_its_like(self) -> None:
        engine = learned_engine(weight=0.3)
        env = share(engine, gym.make("Tiny-v0"))
        assert env.spec is not None
        again = gym.make(EnvSpec.from_json(present(env.spec).to_json())).get_wrapper_attr("engine")
        assert again is not engine and again.options == engine.options

    def test_other_observations_need_a_state_function(self) -> None:
        with pytest.raises(EnvError, match="state_fn"):
            wrap(DictEnv())
        _, steps = run(share(learned_engine(), DictEnv(), state_fn=read_dict), 5)
        _, plain = run(share(learned_engine()), 5)
        assert [step[1] for step in steps] == [step[1] for step in plain]

    def test_the_state_function_is_called_once_an_observation(self) -> None:
        calls: list[int] = []

        def read(observation: Any) -> Any:
            calls.append(1)
            return observation

        env = share(learned_engine(), state_fn=read)
        calls.clear()  # one to learn the size of a state
        env.reset(seed=0)
        for _ in range(10):
            env.step(env.action_space.sample())
        assert len(calls) == 11


class TestWrongUse:
    def test_shaping_twice(self) -> None:
        with pytest.raises(EnvError, match="shaped already"):
            wrap(wrap())

    def test_prompt_or_engine(self) -> None:
        with pytest.raises(ConfigError, match=r"prompt=.*or engine="):
            wrap(prompt=None)
        with pytest.raises(ConfigError, match="brings its own prompt"):
            share(learned_engine(), prompt="another")
        with pytest.raises(ConfigError, match="one sentence"):
            wrap(prompt=" ")

    def test_an_env_without_mujoco(self) -> None:
        with pytest.raises(EnvError, match="get_mujoco"):
            wrap(gym.make("CartPole-v1"))

    @pytest.mark.parametrize("broken", ["reward", "observation"])
    def test_nan_is_raised_with_the_step(self, broken: str) -> None:
        env = wrap(Diverging(broken))
        env.reset(seed=0)
        env.step(env.action_space.sample())
        with pytest.raises(NonFiniteError, match="step 2"):
            env.step(env.action_space.sample())


class Diverging(TinyEnv):
    def __init__(self, broken: str) -> None:
        super().__init__()
        self.broken = broken

    def step(self, action: Any) -> Any:
        observation, reward, *rest = super().step(action)
        if self._t == 2 and self.broken == "reward":
            reward = float("inf")
        if self._t == 2 and self.broken == "observation":
            observation[1] = np.nan
        return observation, reward, *rest


class TestMake:
    def test_options_by_keyword(self) -> None:
        env = gym.make(
            "MVR/tiny",
            prompt="a ball at rest",
            weight=0.5,
            method="mvr",
            rig={"kind": "named", "names": ["track"]},
            clip=ClipSettings(length=6, frames=3, film_every=2, image_size=16),
            relevance={"references": 7},
            reward={"rule": "potential"},
            schedule={"score_every": 33},
            seed=4,
            device="cpu",
            mode="async",
            env_kwargs={"max_steps": 12},
            render_mode="rgb_array",
        )
        engine = env.get_wrapper_attr("engine")
        assert (engine.prompt, engine.weight, engine.seed, engine.device) == ("a ball at rest", 0.5, 4, "cpu")
        assert (engine.relevance.references, engine.relevance.hidden) == (7, 16)
        assert (engine.reward.rule, engine.schedule.score_every, engine.schedule.mode) == ("potential", 33, "async")
        assert len(env.get_wrapper_attr("rig")) == 1 and env.get_wrapper_attr("clip").length == 6
        assert of_type(TinyEnv, env.unwrapped).max_steps == 12 and env.render_mode == "rgb_array"
        spec = EnvSpec.from_json(present(env.spec).to_json())
        again = gym.make(spec)
        assert again.get_wrapper_attr("engine").options == engine.options
        assert again.spec == env.spec == spec
        env.close()

    def test_the_spec_of_an_env_with_objects_is_json_safe(self) -> None:
        env = gym.make("MVR/tiny", engine=learned_engine(), rig=CameraRig.named("track"))
        again = gym.make(EnvSpec.from_json(present(env.spec).to_json()))
        assert again.get_wrapper_attr("rig") == CameraRig.named("track")
        env = gym.make("MVR/tiny", scorer=FakeScorer())
        assert EnvSpec.from_json(present(env.spec).to_json()).kwargs["scorer"] == "fake"

    def test_an_engine_by_keyword_is_shared(self) -> None:
        engine = learned_engine()
        envs = [gym.make("MVR/tiny", engine=engine) for _ in range(2)]
        assert all(env.get_wrapper_attr("engine") is engine for env in envs)
        envs[0].close()
        assert not engine.closed

    def test_two_envs_never_share_an_engine_by_themselves(self) -> None:
        one, other = (gym.make("MVR/tiny").get_wrapper_attr("engine") for _ in range(2))
        assert one is not other

    def test_without_shaping_it_is_the_task(self) -> None:
        env = gym.make("MVR/tiny", shaping=False)
        (_, ours), (_, plain) = run(env, 50), run(TinyEnv(), 50)
        assert [step[1] for step in ours] == [step[1] for step in plain]
        assert set(ours[0][4]) == {"success", "is_success", "task_reward"}
        assert not any(isinstance(layer, FilmedEnv) for layer in layers(env))
        assert gym.make(present(env.spec)).spec == env.spec

    def test_without_shaping_torch_is_not_loaded(self) -> None:
        code = (
            "import sys, gymnasium, mvr_wrappers\n"
            "env = gymnasium.make('MVR/Hopper-v5', shaping=False)\n"
            "env.reset(seed=0); env.step(env.action_space.sample())\n"
            "print(sorted({'torch', 'transformers', 'jax', 'stable_baselines3'} & set(sys.modules)))"
        )
        result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        assert result.stdout == "[]\n"

    def test_wrong_options(self) -> None:
        with pytest.raises(ConfigError, match=r"weihgt is not an option.*Nearest: weight"):
            gym.make("MVR/tiny", weihgt=0.1)
        with pytest.raises(ConfigError, match="lengths"):
            gym.make("MVR/tiny", clip={"lengths": 3})
        with pytest.raises(UnknownNameError, match=r"'faked'.*fake"):
            gym.make("MVR/tiny", scorer="faked")
        with pytest.raises(UnknownNameError, match="track"):
            gym.make("MVR/tiny", rig={"kind": "named", "names": ["tracks"]})
        with pytest.raises(ConfigError, match="prompt"):
            gym.make("MVR/tiny", prompt="")

    @pytest.mark.parametrize("task", ["tiny", "hammer-v3", "assembly-v3", "Ant-v5", "HalfCheetah-v5", "Humanoid-v5"])
    def test_the_checkers_of_gymnasium_and_sb3_pass(self, task: str) -> None:
        if task in load_registry() and load_registry()[task].family == "metaworld":
            pytest.importorskip("metaworld")
        sb3 = pytest.importorskip("stable_baselines3.common.env_checker")
        env = gym.make(f"MVR/{task}", clip={"image_size": 32})
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            check_env(env, skip_render_check=True)
            again = gym.make(EnvSpec.from_json(present(env.spec).to_json()))
            sb3.check_env(again)
        of_the_base_env = ("different from the unwrapped", "-infinity", "is infinity", "normalized Box action space")
        ours = [str(w.message) for w in caught if not any(part in str(w.message) for part in of_the_base_env)]
        assert ours == []
        env.close()
        again.close()


def layers(env: gym.Env[Any, Any]) -> list[gym.Env[Any, Any]]:
    found = [env]
    while isinstance(found[-1], gym.Wrapper):
        found.append(found[-1].env)
    assert any(isinstance(layer, RegisteredEnv) for layer in found)
    return found
