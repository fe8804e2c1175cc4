"""A MuJoCo env small enough to read: a ball rolls on a plane between a red, a green and a blue pillar."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import mujoco
import numpy as np

XML = """
<mujoco model="tiny">
  <option timestep="0.02"/>
  <visual><global offwidth="640" offheight="480"/></visual>
  <worldbody>
    <light pos="0 0 4" dir="0 0 -1" diffuse="1 1 1"/>
    <geom name="floor" type="plane" size="3 3 .1" rgba=".8 .8 .8 1"/>
    <geom name="east" type="box" pos="1 0 .5" size=".1 .1 .5" rgba="1 0 0 1"/>
    <geom name="north" type="box" pos="0 1 .5" size=".1 .1 .5" rgba="0 1 0 1"/>
    <geom name="west" type="box" pos="-1 0 .5" size=".1 .1 .5" rgba="0 0 1 1"/>
    <body name="ball" pos="0 0 .15">
      <camera name="track" mode="trackcom" pos="0 -3 1" xyaxes="1 0 0 0 .3 1"/>
      <joint name="x" type="slide" axis="1 0 0" range="-2 2" limited="true" damping=".5"/>
      <joint name="y" type="slide" axis="0 1 0" range="-2 2" limited="true" damping=".5"/>
      <geom type="sphere" size=".15" rgba="1 1 0 1" mass="1"/>
    </body>
  </worldbody>
  <actuator><motor joint="x" gear="4"/><motor joint="y" gear="4"/></actuator>
</mujoco>
"""


class TinyEnv(gym.Env[Any, Any]):
    """Observation: position and velocity of the ball (4,). Reward: minus the distance to the red pillar."""

    metadata = {"render_modes": ["rgb_array"], "render_fps": 50}  # noqa: RUF012 - declared by gymnasium.Env

    def __init__(self, max_steps: int = 40, render_mode: str | None = None) -> None:
        self.model = mujoco.MjModel.from_xml_string(XML)
        self.data = mujoco.MjData(self.model)
        self.observation_space = gym.spaces.Box(-np.inf, np.inf, (4,), np.float64)
        self.action_space = gym.spaces.Box(-1, 1, (2,), np.float32)
        self.max_steps, self.render_mode, self._t = max_steps, render_mode, 0

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        super().reset(seed=seed)
        mujoco.mj_resetData(self.model, self.data)
        self.data.qpos[:] = self.np_random.uniform(-0.5, 0.5, 2)
        mujoco.mj_forward(self.model, self.data)
        self._t = 0
        return self._observation(), {}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        self.data.ctrl[:] = action
        mujoco.mj_step(self.model, self.data)
        self._t += 1
        distance = float(np.hypot(self.data.qpos[0] - 1, self.data.qpos[1]))
        return self._observation(), -distance, False, self._t >= self.max_steps, {"success": float(distance < 0.3)}

    def _observation(self) -> Any:
        return np.concatenate([self.data.qpos, self.data.qvel])


gym.register("Tiny-v0", entry_point="tests.support.tiny_env:TinyEnv")
