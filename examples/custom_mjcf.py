"""A simulation of your own: a bare MJCF model, one class around it, one wrapper around that."""

import sys

import gymnasium as gym
import mujoco
import numpy as np

from mvr_wrappers import CameraRig, MultiViewVLMRewardWrapper

XML = """
<mujoco model="arm">
  <option timestep="0.01"/>
  <worldbody>
    <light pos="0 0 3"/>
    <geom type="plane" size="1 1 .1" rgba=".8 .8 .75 1"/>
    <geom name="goal" type="sphere" pos="0 0 .9" size=".05" rgba=".9 .1 .1 1" contype="0" conaffinity="0"/>
    <body name="upper" pos="0 0 .1">
      <joint name="shoulder" axis="0 1 0" damping=".5"/>
      <geom type="capsule" fromto="0 0 0 .4 0 0" size=".03" rgba=".2 .4 .8 1"/>
      <body name="lower" pos=".4 0 0">
        <joint name="elbow" axis="0 1 0" damping=".3"/>
        <geom type="capsule" fromto="0 0 0 .4 0 0" size=".025" rgba=".2 .6 .9 1"/>
        <site name="hand" pos=".4 0 0"/>
      </body>
    </body>
  </worldbody>
  <actuator><motor joint="shoulder" gear="15"/><motor joint="elbow" gear="8"/></actuator>
</mujoco>
"""


class Arm(gym.Env):
    """An arm of two links. All that filming needs of an env are `model` and `data`."""

    observation_space = gym.spaces.Box(-np.inf, np.inf, (4,), np.float64)
    action_space = gym.spaces.Box(-1.0, 1.0, (2,), np.float32)

    def __init__(self):
        self.model = mujoco.MjModel.from_xml_string(XML)
        self.data = mujoco.MjData(self.model)

    def reset(self, *, seed=None, options=None):
        """Begins near the ground."""
        super().reset(seed=seed)
        mujoco.mj_resetData(self.model, self.data)
        self.data.qpos[:] = self.np_random.uniform(-0.3, 0.3, 2)
        mujoco.mj_forward(self.model, self.data)
        return self.observation(), {}

    def step(self, action):
        """Pays 1 while the hand is at the red ball."""
        self.data.ctrl[:] = action
        mujoco.mj_step(self.model, self.data, 2)
        reached = np.linalg.norm(self.data.site("hand").xpos - self.data.geom("goal").xpos) < 0.1
        return self.observation(), float(reached), False, False, {"success": float(reached)}

    def observation(self):
        """Angles and angular velocities."""
        return np.concatenate([self.data.qpos, self.data.qvel])


if __name__ == "__main__":
    steps = int(sys.argv[1]) if len(sys.argv) > 1 else 5_000
    env = MultiViewVLMRewardWrapper(
        gym.wrappers.TimeLimit(Arm(), 100),
        prompt="a blue robot arm pointing straight up at a red ball",
        rig=CameraRig.ring(azimuths=(30, 90, 150), distance=2.2, elevation=-10, lookat=(0, 0, 0.5)),
        clip={"length": 32, "stride": 16, "film_every": 1},
        schedule={"score_every": 400, "update_every": 800},
    )
    observation, info = env.reset(seed=0)
    env.action_space.seed(0)
    for _ in range(steps):
        observation, reward, terminated, truncated, info = env.step(env.action_space.sample())
        if truncated:
            print({name: round(value, 3) for name, value in info["mvr_episode"].items()})
            observation, info = env.reset()
    env.close()
