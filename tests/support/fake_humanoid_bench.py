"""A package in the image of HumanoidBench, as small as its troubles allow, for tests where no clone is installed."""

from __future__ import annotations

from pathlib import Path

SCENE = """
<mujoco>
  {head}
  <worldbody>
    <camera name="cam_default" pos="0 -3 1" xyaxes="1 0 0 0 0 1"/>
    <camera name="left_eye_camera" pos="0 0 9" xyaxes="1 0 0 0 1 0"/>
    <body name="pelvis" pos="0 0 1">
      <joint name="slide" type="slide" axis="0 0 1"/>
      <geom name="torso" size="0.2" rgba="1 0 0 1"/>
    </body>
    {body}
    <body name="goal" pos="0 0 0"><site name="destination"/></body>
  </worldbody>
  <actuator><motor joint="slide" ctrlrange="-2 2"/></actuator>
</mujoco>
"""

INIT = """
from gymnasium.envs import register
from .env import ROBOTS, TASKS
for robot in ROBOTS:
    for task in TASKS:
        register(id=f"{robot}-{task}-v0", entry_point="humanoid_bench.env:HumanoidEnv", max_episode_steps=20,
                 kwargs={"robot": robot, "control": "pos", "task": task})
"""

ENV = """
import os
import numpy as np
from gymnasium.envs.mujoco import MujocoEnv
from gymnasium.spaces import Box
from .dmc_deps.dmc_sizes import array_sizes
from .envs.push import Push, Truck
from .mjx.flax_to_torch import jnp

ROBOTS = ["h1", "g1"]
TASKS = {"push": Push, "truck": Truck, "window": Push, "kitchen": Push}

class Named:
    def __init__(self):
        self.row = type("Row", (), {"_names_to_slices": {"floating_base_joint": slice(0, 7)}})()

class HumanoidEnv(MujocoEnv):
    metadata = {"render_modes": ["human", "rgb_array", "depth_array"]}

    def __init__(self, robot, control, task, render_mode="rgb_array", width=64, height=64, randomness=0.01, **kwargs):
        scene = os.path.join(os.path.dirname(__file__), "assets", "envs", f"{robot}_{control}_{task}.xml")
        MujocoEnv.__init__(self, scene, 1, Box(-np.inf, np.inf, (5,), np.float64), render_mode, width, height,
                           camera_name="cam_default")
        assert kwargs.get("policy_type", "flat") == "flat", "only flat policies here"
        for struct, of in (("mjmodel", self.model), ("mjdata", self.data)):
            for field in array_sizes[struct]:
                getattr(of, field)
        self.action_space = Box(-1, 1, (1,), np.float32)
        self.blocked = kwargs.get("blocked_hands", "false").lower() == "true"
        self.randomness = randomness
        qpos = type("Qpos", (), {"axes": Named()})()
        self.named = type("Named", (), {"data": type("Data", (), {"qpos": qpos})()})()
        self.task = TASKS[task](self, robot)
        if self.render_mode is not None:
            self.viewer = self.mujoco_renderer._get_viewer(self.render_mode)

    def step(self, action):
        self.do_simulation(2 * action, 1)
        return self.task.get_obs(), self.task.get_reward(), self.data.qpos[0] < -9, False, {}

    def reset_model(self):
        noise = self.np_random.uniform(-self.randomness, self.randomness, 1)
        self.set_state(self.init_qpos + noise, self.init_qvel)
        return self.task.reset_model()

    def render(self):
        return self.task.render()
"""

TASKS = """
import numpy as np

class Task:
    def __init__(self, env, robot):
        self._env = env
        self.unwrapped = self

    def get_obs(self):
        place = self._env.data.site("destination").xpos
        return np.concatenate([self._env.data.qpos, self._env.data.qvel, place])

    def reset_model(self):
        return self.get_obs()

    def render(self):
        return self._env.mujoco_renderer.render(self._env.render_mode, self._env.camera_id, self._env.camera_name)
"""

PUSH = """
import numpy as np
from humanoid_bench.tasks import Task

_STAND_HEIGHT = 1.65

class Push(Task):
    def __init__(self, env, robot):
        super().__init__(env, robot)
        if robot == "g1":
            global _STAND_HEIGHT
            _STAND_HEIGHT = 1.28

    def get_reward(self):
        return _STAND_HEIGHT

    def reset_model(self):
        self._env.randomness = 0
        self._env.model.body_pos[-1] = np.random.uniform(-2, 2, 3)
        self._env.model.geom_rgba[0] *= 0.5
        return super().reset_model()

    def render(self):
        self._env.viewer.add_marker(pos=np.zeros(3), size=0.05, rgba=(0, 1, 0, 1), label="")
        return super().render()

    def eye(self):
        return self._env.mujoco_renderer.render("rgb_array", camera_name="left_eye_camera")

class Truck(Task):
    def __init__(self, env, robot):
        super().__init__(env, robot)
        self.delivered, self.started, self.steps = [], False, 0

    def get_reward(self):
        reward = len(self.delivered) + 100 * self.steps + 10_000 * self.started
        self.started = True
        self.delivered.append(1)
        self.steps += 1
        return reward
"""

FILES = {
    "__init__.py": INIT,
    "env.py": ENV,
    "tasks.py": TASKS,
    "envs/__init__.py": "",
    "envs/push.py": PUSH,
    "mjx/__init__.py": "",
    "mjx/flax_to_torch.py": "import jax.numpy as jnp\n",
    "dmc_deps/__init__.py": "",
    "dmc_deps/dmc_sizes.py": "array_sizes = {'mjmodel': {'qpos0': ('nq',), 'absent': ()}, 'mjdata': {'absent': ()}}\n",
}

KITCHEN = "kitchen/adept_models/kitchen/assets"
SCENES = {
    "h1_pos_push": SCENE.format(head="", body=""),
    "g1_pos_push": SCENE.format(head="", body=""),
    "h1_pos_truck": SCENE.format(head="", body=""),
    "h1_pos_window": SCENE.format(head='<asset><texture name="wood" type="2d" file="wood.png"/></asset>', body=""),
    "h1_pos_kitchen": SCENE.format(
        head=f'<include file="../{KITCHEN}/kettle_asset.xml"/>', body=f'<include file="../{KITCHEN}/kettle_chain.xml"/>'
    ),
}
KETTLE = {
    "kettle_asset.xml": '<mujocoinclude>\n<default class="kettle"><geom margin="0.125"/></default></mujocoinclude>',
    "kettle_chain.xml": '<mujocoinclude><body childclass="kettle"><geom size="1"/></body></mujocoinclude>',
}


def write(folder: Path) -> Path:
    """Writes the package `humanoid_bench`, and a `jax` for it to import, into a folder; returns the package's."""
    root = folder / "humanoid_bench"
    files = {f"humanoid_bench/{name}": text for name, text in FILES.items()}
    files |= {f"humanoid_bench/assets/envs/{name}.xml": text for name, text in SCENES.items()}
    files |= {f"humanoid_bench/assets/{KITCHEN}/{name}": text for name, text in KETTLE.items()}
    files |= {"jax/__init__.py": "", "jax/numpy.py": "pi = 3\n"}
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return root
