"""The film of an episode shows the model of that episode, and each frame the model of its own moment."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import mujoco
import numpy as np
import pytest

from mvr_wrappers.filming import CameraRig, FilmedEnv, Renderer, film_episode
from mvr_wrappers.filming.looks import Looks
from tests.support.tiny_env import TinyEnv

RING = CameraRig.ring((0, 90), distance=4.0, elevation=-30, lookat=(0, 0, 0.5))
CLIP = {"length": 8, "stride": 8, "frames": 4, "film_every": 1, "image_size": 32, "views": "all"}
STEPS = 7

XML = """
<mujoco model="painted">
  <asset>
    <texture name="skin" type="2d" builtin="flat" width="8" height="8" rgb1="1 1 1"/>
    <material name="skin" texture="skin"/>
    <hfield name="land" nrow="4" ncol="4" size="2 2 1 .1"/>
  </asset>
  <worldbody>
    <light name="sun" pos="0 0 4" dir="0 0 -1" diffuse=".6 .6 .6"/>
    <geom name="land" type="hfield" hfield="land" pos="0 0 -.2" rgba=".5 .5 .5 1"/>
    <site name="goal" pos="1 0 .4" size=".3" rgba="1 0 0 1"/>
    <body name="ball" pos="0 0 .6">
      <freejoint/>
      <geom name="ball" type="sphere" size=".4" material="skin"/>
    </body>
  </worldbody>
</mujoco>
"""

Change = Any


def colour(model: mujoco.MjModel, x: float) -> None:
    model.geom("ball").rgba = [x, 1 - x, 0, 1]


def size(model: mujoco.MjModel, x: float) -> None:
    model.geom("ball").size[0] = 0.2 + 0.4 * x


def mass(model: mujoco.MjModel, x: float) -> None:
    model.body("ball").mass[0] = 1 + 5 * x


def place(model: mujoco.MjModel, x: float) -> None:
    model.site("goal").pos[1] = 2 * x - 1


def sun(model: mujoco.MjModel, x: float) -> None:
    model.light("sun").diffuse[:] = x


def headlight(model: mujoco.MjModel, x: float) -> None:
    model.vis.headlight.diffuse[:] = x


def texture(model: mujoco.MjModel, x: float) -> None:
    model.tex_data[:] = int(255 * x)


def land(model: mujoco.MjModel, x: float) -> None:
    model.hfield_data[:] = x


CHANGES = [colour, size, place, sun, headlight, texture, land]


class Randomised(gym.Env[Any, Any]):
    """A ball that falls. Each reset changes the one model in place, then `during` does so at every step."""

    def __init__(self, change: Change, during: bool = False) -> None:
        self.model = mujoco.MjModel.from_xml_string(XML)
        self.data = mujoco.MjData(self.model)
        self.observation_space = gym.spaces.Box(-np.inf, np.inf, (7,), np.float64)
        self.action_space = gym.spaces.Box(-1, 1, (1,), np.float32)
        self.change, self.during, self.ends = change, during, True
        self.t = 0

    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        super().reset(seed=seed)
        self.change(self.model, (options or {}).get("x", 0.0))
        mujoco.mj_resetData(self.model, self.data)
        mujoco.mj_forward(self.model, self.data)
        self.t = 0
        return self.data.qpos.copy(), {}

    def step(self, action: Any) -> Any:
        if self.during:
            self.change(self.model, (self.t + 1) / STEPS)
        mujoco.mj_step(self.model, self.data)
        self.t += 1
        return self.data.qpos.copy(), 0.0, False, self.ends and self.t == STEPS, {}


def wrapped(change: Change, **options: Any) -> FilmedEnv:
    return FilmedEnv(Randomised(change, **options), rig=RING, clip=CLIP)


def play(env: gym.Env[Any, Any], x: float) -> None:
    env.reset(seed=0, options={"x": x})
    for _ in range(STEPS):
        env.step(np.zeros(1, np.float32))


def film_of(env: FilmedEnv) -> Any:
    (clip,) = env.pop_clips()
    return clip.frames


class TestChangedAtReset:
    @pytest.mark.parametrize("change", CHANGES)
    def test_each_episode_shows_its_own_model(self, change: Change) -> None:
        env = wrapped(change)
        films = []
        for x in (0.2, 0.8, 0.2):
            play(env, x)
            films.append(film_of(env))
        assert (films[0] != films[1]).mean() > 0.01
        np.testing.assert_array_equal(films[0], films[2])

    @pytest.mark.parametrize("change", CHANGES)
    def test_an_episode_cut_by_a_reset_shows_what_it_ran_on(self, change: Change) -> None:
        whole, cut = wrapped(change), wrapped(change)
        play(whole, 0.2)
        cut.unwrapped.ends = False  # type: ignore[attr-defined]
        play(cut, 0.2)
        assert not cut.pop_clips()
        cut.reset(options={"x": 0.8})
        np.testing.assert_array_equal(film_of(cut), film_of(whole))

    @pytest.mark.parametrize("change", CHANGES)
    def test_a_wrapper_outside_may_change_the_model_before_it_resets(self, change: Change) -> None:
        whole, cut = wrapped(change), wrapped(change)
        play(whole, 0.2)
        cut.unwrapped.ends = False  # type: ignore[attr-defined]
        play(cut, 0.2)
        change(cut.unwrapped.model, 0.8)  # type: ignore[attr-defined]
        cut.reset()
        np.testing.assert_array_equal(film_of(cut), film_of(whole))

    def test_filming_leaves_the_model_alone(self) -> None:
        env = wrapped(mass)
        play(env, 0.2)
        model: Any = env.unwrapped.model  # type: ignore[attr-defined]
        before = {name: getattr(model, name).copy() for name in ("body_mass", "geom_rgba", "tex_data", "site_pos")}
        play(env, 0.2)
        for name, value in before.items():
            np.testing.assert_array_equal(getattr(model, name), value)


class TestChangedAmidAnEpisode:
    @pytest.mark.parametrize("change", [colour, size, place, sun])
    def test_each_frame_shows_the_model_of_its_moment(self, change: Change) -> None:
        env = wrapped(change, during=True)
        play(env, 0.0)
        for time, frame in zip((1, 3, 5, 7), np.swapaxes(film_of(env), 0, 1), strict=True):
            still = Randomised(change)
            still.reset()
            for _ in range(time):
                still.step(None)
            change(still.model, time / STEPS)
            mujoco.mj_forward(still.model, still.data)
            with Renderer(still.model, 32) as renderer:
                expected = [renderer.render(still.data, view) for view in RING.views]
            np.testing.assert_array_equal(frame, expected)

    def test_so_does_an_episode_filmed_whole(self) -> None:
        film = film_episode(Randomised(colour, during=True), lambda _: None, RING, size=32, quality="fast")
        reds = (film.frames[0].astype(int)[..., 0] - film.frames[0][..., 1]).max(axis=(1, 2))
        assert (np.diff(reds) >= 0).all() and reds[0] < reds[-1] - 50

    def test_a_model_replaced_amid_an_episode_begins_a_new_recording(self) -> None:
        env = FilmedEnv(Swapped(colour), rig=RING, clip={**CLIP, "length": 4, "frames": 2})
        play(env, 0.2)
        before, after = env.pop_clips()
        assert before.states.shape == after.states.shape == (4, 7)
        assert (before.frames != after.frames).any()


class Swapped(Randomised):
    """Compiles a new model, of another colour, before its fourth step."""

    def step(self, action: Any) -> Any:
        if self.t == 3:
            self.model = mujoco.MjModel.from_xml_string(XML)
            self.change(self.model, 0.8)
            self.data = mujoco.MjData(self.model)
        return super().step(action)


class TestLooks:
    def test_nothing_is_kept_of_a_model_that_does_not_change(self) -> None:
        env = TinyEnv()
        looks = Looks(env.model)
        for time in range(5):
            looks.watch(time)
        assert len(looks._changes) == 1

    def test_any_moment_can_be_restored_in_any_order(self) -> None:
        env = TinyEnv()
        looks = Looks(env.model)
        reds = [0.1, 0.1, 0.6, 0.6, 0.3]
        for time, red in enumerate(reds):
            env.model.geom("floor").rgba[0] = red
            looks.watch(time)
        for time in (4, 0, 3, 2, 1):
            looks.restore(time)
            assert looks.model.geom("floor").rgba[0] == np.float32(reds[time])
        assert env.model.geom("floor").rgba[0] == np.float32(0.3)
