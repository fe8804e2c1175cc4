from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import gymnasium as gym
import mujoco
import numpy as np
import pytest

from mvr_wrappers.errors import EnvError, UnknownNameError
from mvr_wrappers.filming import CameraRig, FilmedEnv, film_episode
from mvr_wrappers.filming.cameras import default_rig
from mvr_wrappers.filming.simulation import find_mujoco, model_if_made, simulation
from tests.support.tiny_env import XML, TinyEnv

CLIP = {"length": 4, "stride": 4, "frames": 2, "film_every": 1, "image_size": 24, "views": "all"}


class Nested(gym.Env[Any, Any]):
    """Keeps its simulation in a part of its own, which it makes at its first reset if told so."""

    def __init__(self, lazy: bool = False) -> None:
        self.inside = TinyEnv(8)
        self.observation_space, self.action_space = self.inside.observation_space, self.inside.action_space
        self.sim: Any = None if lazy else self.inside

    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        super().reset(seed=seed)
        self.sim = self.inside
        return self.inside.reset(seed=seed)

    def step(self, action: Any) -> Any:
        return self.inside.step(action)


class Lazy(TinyEnv):
    """Has no model before its first reset."""

    def __init__(self) -> None:
        super().__init__(8)
        self.model = self.data = None

    def reset(self, **kwargs: Any) -> Any:
        self.model = mujoco.MjModel.from_xml_string(XML)
        self.data = mujoco.MjData(self.model)
        return super().reset(**kwargs)


def nested(env: Any) -> Any:
    return env.unwrapped.sim.model, env.unwrapped.sim.data


def play(env: gym.Env[Any, Any], seed: int = 0) -> None:
    env.reset(seed=seed)
    while not any(env.step(np.array([1.0, -0.5], np.float32))[2:4]):
        pass


def frames(env: FilmedEnv) -> Any:
    play(env)
    return np.stack([clip.frames for clip in env.pop_clips()])


class TestWhereItIs:
    def test_under_any_wrappers(self) -> None:
        env = TinyEnv()
        model, data = find_mujoco(gym.wrappers.TimeLimit(env, 5))
        assert model is env.model and data is env.data

    def test_where_the_function_says(self) -> None:
        env = FilmedEnv(gym.wrappers.TimeLimit(Nested(), 8), clip=CLIP, get_mujoco=nested)
        np.testing.assert_array_equal(frames(env), frames(FilmedEnv(TinyEnv(8), clip=CLIP)))
        film = film_episode(Nested(), lambda _: np.zeros(2, np.float32), size=8, quality="fast", get_mujoco=nested)
        assert film.frames.shape == (4, 9, 8, 8, 3)

    def test_a_list_is_as_good_as_a_tuple(self) -> None:
        env = TinyEnv()
        model, data = simulation(env, lambda env: [env.model, env.data])  # type: ignore[attr-defined, arg-type, return-value]
        assert model is env.model and data is env.data


class TestMadeAtTheFirstReset:
    @pytest.mark.parametrize(
        ("make", "get_mujoco"), [(Lazy, None), (lambda: Nested(lazy=True), nested)], ids=["None", "missing"]
    )
    def test_it_is_filmed_from_the_rig_it_suggests(self, make: Any, get_mujoco: Any) -> None:
        env = FilmedEnv(make(), clip=CLIP, get_mujoco=get_mujoco)
        assert model_if_made(env, get_mujoco) is None
        with pytest.raises(EnvError, match="reset first"):
            _ = env.rig
        np.testing.assert_array_equal(frames(env), frames(FilmedEnv(TinyEnv(8), clip=CLIP)))
        assert env.rig == default_rig(TinyEnv().model)

    def test_a_given_rig_is_checked_then(self) -> None:
        env = FilmedEnv(Lazy(), rig={"kind": "named", "names": ["track"]}, clip=CLIP)
        assert env.rig == CameraRig.named("track")
        assert frames(env).shape[1] == 1
        env = FilmedEnv(Lazy(), rig=CameraRig.named("corner"), clip=CLIP)
        with pytest.raises(UnknownNameError, match=r"'corner'.*track"):
            env.reset()

    def test_what_is_still_missing_then_is_said(self) -> None:
        env = Nested()
        env.model = env.data = None  # type: ignore[attr-defined]
        with pytest.raises(EnvError, match=r"Nested has no MuJoCo .*\.model is None.* get_mujoco="):
            FilmedEnv(env).reset()
        wrong = FilmedEnv(Nested(), get_mujoco=lambda env: (env.sim.model, env.sim.data))  # type: ignore[attr-defined]
        wrong.reset()
        wrong = FilmedEnv(gym.wrappers.TimeLimit(Nested(), 3), clip=CLIP, get_mujoco=lambda env: env.sim)  # type: ignore[attr-defined]
        with pytest.raises(EnvError, match=r"AttributeError.*'sim'.*env\.unwrapped"):
            wrong.reset()


class TestWhatIsSaid:
    def test_of_an_env_with_something_else(self) -> None:
        env: Any = gym.make("CartPole-v1")
        with pytest.raises(EnvError, match=r"CartPoleEnv has no MuJoCo.* \.model does not exist.* get_mujoco="):
            find_mujoco(env)
        env.unwrapped.model = "a neural network"
        with pytest.raises(EnvError, match=r"\.model is of type str and its \.data does not exist.* get_mujoco="):
            FilmedEnv(env)

    @pytest.mark.parametrize(
        ("found", "message"),
        [
            (lambda env: env.model, r"pair \(model, data\); what it returned is of type MjModel"),
            (lambda env: None, r"pair \(model, data\); what it returned is None"),
            (lambda env: (env.model, env.data, 3), r"pair \(model, data\); what it returned is of type tuple"),
            (lambda env: (env.data, env.model), r"in the order \(model, data\)"),
            (lambda env: (env, env.data), r"its model is of type TinyEnv"),
            (lambda env: (env.model, None), r"its data is None"),
            (lambda env: (env.model, SimpleNamespace(qpos=[])), r"its data is of type SimpleNamespace"),
        ],
    )
    def test_of_a_function_that_returns_something_else(self, found: Any, message: str) -> None:
        with pytest.raises(EnvError, match=message):
            FilmedEnv(TinyEnv(), get_mujoco=found)

    def test_of_what_is_no_function(self) -> None:
        env = TinyEnv()
        with pytest.raises(EnvError, match=r"get_mujoco is of type tuple; give a function"):
            FilmedEnv(env, get_mujoco=(env.model, env.data))  # type: ignore[arg-type]

    def test_of_data_of_another_model(self) -> None:
        env = TinyEnv()
        env.data = mujoco.MjData(mujoco.MjModel.from_xml_string("<mujoco/>"))
        with pytest.raises(EnvError, match=r"data of TinyEnv was not made for its model.*\(0, 0, .*\(2, 2, .*MjData"):
            FilmedEnv(env)
