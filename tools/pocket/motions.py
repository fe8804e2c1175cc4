"""Motions of Gymnasium's MuJoCo bodies, posed by formulas or simulated: what a film of one needs, frame by frame.

A posed motion is a function of time that bends the joints and turns the root; the body is then set down so that its
lowest point is where the motion wants it above the floor. Falls and random motion are simulated.
"""

from __future__ import annotations

from pathlib import Path

import gymnasium.envs.mujoco
import mujoco
import numpy as np
from numpy.typing import NDArray

from tools.pocket.gaits import Pose, draw_motion

Array = NDArray[np.float64]
ASSETS = Path(gymnasium.envs.mujoco.__file__).parent / "assets"

BODY_MOTIONS: dict[str, tuple[str, ...]] = {
    "humanoid": tuple("stand walk run jump crawl crouch lie fall upside_down flip spin wave twitch".split()),
    "half_cheetah": tuple("stand walk run jump lie fall upside_down flip twitch".split()),
    "hopper": tuple("stand hop jump crouch lie fall upside_down flip twitch".split()),
    "walker2d": tuple("stand walk run hop jump crouch lie fall upside_down flip twitch".split()),
    "ant": tuple("stand walk run jump crawl lie fall upside_down flip spin twitch".split()),
}
STEP = {"humanoid": 0.015, "half_cheetah": 0.05, "hopper": 0.008, "walker2d": 0.008, "ant": 0.05}  # seconds, Gymnasium


class Body:
    """One of Gymnasium's bodies, to be posed or simulated."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.model = mujoco.MjModel.from_xml_path(str(ASSETS / f"{name}.xml"))
        self.data = mujoco.MjData(self.model)
        self.floating = bool(self.model.jnt_type[0] == mujoco.mjtJoint.mjJNT_FREE)
        self._geoms = np.flatnonzero(self.model.geom_bodyid > 0)

    def play(self, motion: str, times: Array, rng: np.random.Generator) -> Array:
        """Returns joint positions (T, nq) of a motion at `times`, seconds, increasing from 0."""
        if motion in ("fall", "twitch") and not (motion == "fall" and self.name in ("half_cheetah", "ant")):
            return self._simulate(motion, times, rng)
        pose = draw_motion(self.name, motion, float(times[-1]), rng)
        heading = rng.uniform(0, 2 * np.pi) if self.floating else 0.0
        return np.stack([self._place(pose(float(t)), heading) for t in times])

    def _place(self, pose: Pose, heading: float = 0.0) -> Array:
        qpos, model = self.model.qpos0.copy(), self.model
        for name, angle in pose.joints.items():
            qpos[model.jnt_qposadr[model.joint(name).id]] += angle
        if self.floating:
            qpos[:3] = pose.forward * np.cos(heading), pose.forward * np.sin(heading), 0
            turned = np.zeros(4)
            mujoco.mju_euler2Quat(turned, np.array([pose.yaw + heading, pose.pitch, pose.roll]), "zyx")
            qpos[3:7] = turned
        else:
            qpos[:3] = pose.forward, 0, pose.pitch
        self.data.qpos[:] = qpos
        mujoco.mj_kinematics(model, self.data)
        qpos[2 if self.floating else 1] += pose.lift - self.lowest()
        return qpos

    def show(self, qpos: Array) -> mujoco.MjData:
        """Returns the simulation at these joint positions (nq,), ready to be rendered."""
        self.data.qpos[:] = qpos
        mujoco.mj_forward(self.model, self.data)
        return self.data

    def lowest(self) -> float:
        """Returns the height of the body's lowest point, metres; its geometry is capsules and spheres."""
        axes = np.abs(self.data.geom_xmat[self._geoms, 8])
        sizes = self.model.geom_size[self._geoms]
        half = np.where(self.model.geom_type[self._geoms] == mujoco.mjtGeom.mjGEOM_CAPSULE, sizes[:, 1], 0)
        return float((self.data.geom_xpos[self._geoms, 2] - half * axes - sizes[:, 0]).min())

    def _simulate(self, motion: str, times: Array, rng: np.random.Generator) -> Array:
        """A push and weak random torques until the body falls; strong random torques, once it has, are twitching."""
        model, data = self.model, self.data
        mujoco.mj_resetData(model, data)
        data.qpos[:] = self._place(Pose(pitch=rng.uniform(-0.15, 0.15), roll=rng.uniform(-0.15, 0.15)))
        data.qvel[0] = rng.choice([-1, 1]) * rng.uniform(0.5, 2.0)
        if self.floating:
            data.qvel[1] = rng.uniform(-1, 1)
        falls = motion == "fall"
        strength = rng.uniform(0, 0.3) if falls else rng.uniform(0.7, 1.0)
        low, high = model.actuator_ctrlrange.T
        hold = STEP[self.name]
        # A fall takes most of a second; short films begin when it is under way.
        settling = max(0.6 - times[-1] / 2, 0.0) * rng.uniform(0.5, 1) if falls else 1.5
        shots: list[Array] = []
        due, frames = times + settling, 0.0
        while len(shots) < len(times):
            if data.time >= frames:
                data.ctrl[:] = strength * rng.uniform(low, high)
                frames += hold
            if data.time >= due[len(shots)]:
                shots.append(data.qpos.copy())
            mujoco.mj_step(model, data)
        return np.stack(shots)
