"""A finger on two rails pushes a red puck onto a green disc."""

import gymnasium as gym
import mujoco
import numpy as np

XML = """
<mujoco model="puck">
  <option timestep="0.01" integrator="implicitfast"/>
  <visual><headlight ambient=".35 .35 .35" diffuse=".3 .3 .3"/></visual>
  <asset>
    <texture name="wood" type="2d" builtin="checker" rgb1=".85 .8 .7" rgb2=".78 .72 .6" width="256" height="256"/>
    <material name="wood" texture="wood" texrepeat="6 6"/>
  </asset>
  <worldbody>
    <light pos="0 -1 2" dir="0 .4 -1" diffuse=".4 .4 .4"/>
    <geom name="table" type="box" pos="0 0 -.02" size=".45 .35 .02" material="wood"/>
    <site name="goal" type="cylinder" pos=".3 0 .001" size=".08 .001" rgba=".1 .7 .2 1"/>
    <body name="finger" pos="0 0 .05">
      <joint name="x" type="slide" axis="1 0 0" range="-.42 .42" damping="20"/>
      <joint name="y" type="slide" axis="0 1 0" range="-.32 .32" damping="20"/>
      <geom type="capsule" fromto="0 0 -.02 0 0 .15" size=".02" rgba=".2 .35 .8 1" mass=".5"/>
    </body>
    <body name="puck" pos="0 0 .021">
      <joint name="puck_x" type="slide" axis="1 0 0" damping="2"/>
      <joint name="puck_y" type="slide" axis="0 1 0" damping="2"/>
      <geom name="puck" type="cylinder" size=".045 .02" rgba=".85 .15 .1 1" mass=".1"/>
    </body>
  </worldbody>
  <actuator>
    <motor joint="x" gear="10" ctrlrange="-1 1"/>
    <motor joint="y" gear="10" ctrlrange="-1 1"/>
  </actuator>
</mujoco>
"""
GOAL = np.array([0.3, 0.0])


class PuckEnv(gym.Env):
    """Observation: positions of finger and puck, then their velocities (8,). Reward: 1 while the puck is on the disc."""

    def __init__(self):
        self.model = mujoco.MjModel.from_xml_string(XML)
        self.data = mujoco.MjData(self.model)
        self.observation_space = gym.spaces.Box(-np.inf, np.inf, (8,), np.float64)
        self.action_space = gym.spaces.Box(-1, 1, (2,), np.float32)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        mujoco.mj_resetData(self.model, self.data)
        self.data.qpos[:2] = self.np_random.uniform((-0.4, -0.3), (-0.2, 0.3))  # the finger, on the left
        self.data.qpos[2:] = self.np_random.uniform((-0.1, -0.2), (0.1, 0.2))  # the puck, in the middle
        mujoco.mj_forward(self.model, self.data)
        return self._observation(), {}

    def step(self, action):
        self.data.ctrl[:] = action
        mujoco.mj_step(self.model, self.data, nstep=5)
        success = bool(np.linalg.norm(self.data.qpos[2:] - GOAL) < 0.06)
        return self._observation(), float(success), False, False, {"success": success}

    def _observation(self):
        return np.concatenate([self.data.qpos, self.data.qvel])


def scripted(observation):
    """Moves the finger behind the puck, then through it towards the disc."""
    finger, puck = observation[:2], observation[2:4]
    left = np.linalg.norm(GOAL - puck)
    ahead = (GOAL - puck) / max(left, 1e-6)
    offset = puck - finger
    beside = np.linalg.norm(offset - (offset @ ahead) * ahead)
    target = puck - 0.1 * ahead if beside > 0.02 else puck
    if left < 0.02:
        target = finger  # done
    return np.clip(8 * (target - finger), -1, 1).astype(np.float32)


gym.register("PuckPush-v0", entry_point="puck_env:PuckEnv", max_episode_steps=150)
