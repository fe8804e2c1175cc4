"""Cameras in a model: views fitted to it, placed in it, and the rig used where none is given."""

from __future__ import annotations

import math
from dataclasses import replace

import mujoco

from mvr_wrappers.filming.anatomy import find, reach
from mvr_wrappers.rigs import Camera, CameraRig

_MARGIN = 1.1  # of the distance at which the sphere around the model or the body touches the picture's edges


def fit(view: Camera, model: mujoco.MjModel) -> Camera:
    """Returns a view with the distance and the look-at point that `model` calls for where they were left open.

    Raises:
        UnknownNameError: the model lacks the camera or the body; those it has are listed.
    """
    if view.name is not None:
        find(model, mujoco.mjtObj.mjOBJ_CAMERA, view.name)
        return view
    if view.track is None:
        x, y, z = map(float, model.stat.center)
        radius = float(model.stat.extent) / 2
    else:
        x = y = z = 0.0
        radius = reach(model, find(model, mujoco.mjtObj.mjOBJ_BODY, view.track))
    distance = view.distance or _MARGIN * radius / math.sin(math.radians(model.vis.global_.fovy) / 2)
    return replace(view, lookat=view.lookat or (x, y, z), distance=distance)


def place(view: Camera, model: mujoco.MjModel, data: mujoco.MjData) -> mujoco.MjvCamera:
    """Returns a view as MuJoCo wants it.

    Args:
        view: the camera.
        model: the model filmed.
        data: its state, after `mj_forward`: a camera that follows a body reads `subtree_com`.

    Raises:
        UnknownNameError: the model lacks the camera or the body; those it has are listed.
    """
    placed = mujoco.MjvCamera()
    if view.name is not None:
        placed.type = mujoco.mjtCamera.mjCAMERA_FIXED
        placed.fixedcamid = find(model, mujoco.mjtObj.mjOBJ_CAMERA, view.name)
        return placed
    if view.distance is None or view.lookat is None:
        return place(fit(view, model), model, data)
    placed.type = mujoco.mjtCamera.mjCAMERA_FREE
    placed.azimuth, placed.elevation, placed.distance = view.azimuth, view.elevation, view.distance
    placed.lookat[:] = view.lookat
    if view.track is not None:
        placed.lookat[:] += data.subtree_com[find(model, mujoco.mjtObj.mjOBJ_BODY, view.track)]
    if view.height is not None:
        placed.lookat[2] = view.height
    return placed


def default_rig(model: mujoco.MjModel) -> CameraRig:
    """Returns the rig used where none is given: a ring around the robot if it moves about, else around the scene.

    Body 1, the world's first, is taken for the robot. It moves about if it has a free or a sliding joint.
    """
    first = model.body_jntadr[1] if model.nbody > 1 else 0
    joints = model.jnt_type[first : first + model.body_jntnum[1]] if model.nbody > 1 else []
    mobile = {int(mujoco.mjtJoint.mjJNT_FREE), int(mujoco.mjtJoint.mjJNT_SLIDE)}
    moves = bool(mobile & {int(joint) for joint in joints})
    return CameraRig.ring(track=1, elevation=-10) if moves else CameraRig.ring()


def check_rig(rig: CameraRig, model: mujoco.MjModel) -> None:
    """Checks that `model` has every camera and body the rig names.

    Raises:
        UnknownNameError: it lacks one; those it has are listed.
    """
    for view in rig.views:
        fit(view, model)
