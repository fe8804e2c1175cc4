"""Views fitted to a model and placed in it."""

from __future__ import annotations

import math

import mujoco
import numpy as np
import pytest

from mvr_wrappers.errors import UnknownNameError
from mvr_wrappers.filming import Camera, CameraRig
from mvr_wrappers.filming.cameras import check_rig, default_rig, fit, place
from tests.support.tiny_env import TinyEnv

ARM = """
<mujoco>
  <worldbody>
    <camera name="front" pos="0 -2 1"/>
    <geom type="plane" size="5 5 .1"/>
    <body name="table" pos="0 1 0"><geom type="box" size=".5 .5 .5" mass="3"/></body>
    <body name="arm" pos="0 0 1">
      <joint type="hinge" axis="0 1 0"/>
      <geom name="upper" type="sphere" size=".1" mass="1"/>
      <body name="hand" pos="0 0 .6"><geom name="palm" type="sphere" size=".2" mass="2"/></body>
    </body>
  </worldbody>
</mujoco>
"""


@pytest.fixture
def arm() -> mujoco.MjModel:
    return mujoco.MjModel.from_xml_string(ARM)


def at_rest(model: mujoco.MjModel) -> mujoco.MjData:
    data = mujoco.MjData(model)
    mujoco.mj_forward(model, data)
    return data


def test_a_free_pose_is_placed_as_given(arm: mujoco.MjModel) -> None:
    placed = place(Camera(azimuth=30, elevation=-10, distance=2.5, lookat=(1, 2, 3)), arm, at_rest(arm))
    assert placed.type == mujoco.mjtCamera.mjCAMERA_FREE
    assert (placed.azimuth, placed.elevation, placed.distance) == (30, -10, 2.5)
    np.testing.assert_array_equal(placed.lookat, (1, 2, 3))


def test_an_open_pose_looks_at_the_whole_model(arm: mujoco.MjModel) -> None:
    placed = place(Camera(), arm, at_rest(arm))
    np.testing.assert_allclose(placed.lookat, arm.stat.center)
    half_angle = math.asin(arm.stat.extent / 2 / placed.distance)
    assert half_angle < math.radians(arm.vis.global_.fovy / 2) < 1.2 * half_angle  # inside the picture, and fills it


@pytest.mark.parametrize("body", ["arm", 2])
def test_a_tracking_camera_follows_the_centre_of_mass_of_the_subtree(arm: mujoco.MjModel, body: int | str) -> None:
    # centre of mass: (1 * 0 + 2 * 0.6) / 3 = 0.4 above the shoulder, which is at height 1
    camera = Camera(track=body, distance=2.0)
    np.testing.assert_allclose(place(camera, arm, at_rest(arm)).lookat, (0, 0, 1.4))
    data = mujoco.MjData(arm)
    data.qpos[0] = math.pi / 2  # the arm swings to +x
    mujoco.mj_forward(arm, data)
    np.testing.assert_allclose(place(camera, arm, data).lookat, (0.4, 0, 1), atol=1e-12)


def test_lookat_of_a_tracking_camera_is_an_offset_and_height_is_not(arm: mujoco.MjModel) -> None:
    offset = Camera(track="arm", distance=2.0, lookat=(0.5, 0, -0.1))
    np.testing.assert_allclose(place(offset, arm, at_rest(arm)).lookat, (0.5, 0, 1.3))
    fixed = Camera(track="arm", distance=2.0, height=0.25)
    np.testing.assert_allclose(place(fixed, arm, at_rest(arm)).lookat, (0, 0, 0.25))


def test_an_open_distance_fits_the_followed_body_alone(arm: mujoco.MjModel) -> None:
    # from the centre of mass at 1.4 to the far side of the upper ball at 0.9: 0.5
    fitted = fit(Camera(track="arm"), arm)
    assert fitted.distance == pytest.approx(1.1 * 0.5 / math.sin(math.radians(45 / 2)))
    assert fitted.lookat == (0.0, 0.0, 0.0)
    assert fit(fitted, arm) == fitted
    # a body without geometry has no size of its own
    bare = mujoco.MjModel.from_xml_string('<mujoco><worldbody><body name="dot"/><geom size="1"/></worldbody></mujoco>')
    assert fit(Camera(track="dot"), bare).distance == fit(Camera(), bare).distance


def test_a_named_camera_is_the_models_own(arm: mujoco.MjModel) -> None:
    placed = place(Camera(name="front"), arm, at_rest(arm))
    assert placed.type == mujoco.mjtCamera.mjCAMERA_FIXED
    assert placed.fixedcamid == 0


def test_unknown_names_list_what_the_model_has(arm: mujoco.MjModel) -> None:
    with pytest.raises(UnknownNameError, match=r"no camera 'back'.*front"):
        check_rig(CameraRig.named("front", "back"), arm)
    with pytest.raises(UnknownNameError, match=r"no body 'leg'.*world, table, arm, hand"):
        check_rig(CameraRig.ring(track="leg"), arm)
    with pytest.raises(UnknownNameError, match="no body 4"):
        place(Camera(track=4, distance=1.0), arm, at_rest(arm))
    with pytest.raises(UnknownNameError, match="no body -1"):
        check_rig(CameraRig.ring(track=-1), arm)
    without = mujoco.MjModel.from_xml_string("<mujoco><worldbody><body/></worldbody></mujoco>")
    with pytest.raises(UnknownNameError, match="no camera at all: use a ring"):
        check_rig(CameraRig.named("front"), without)
    with pytest.raises(UnknownNameError, match=r"world, \(unnamed, id 1\)"):
        check_rig(CameraRig.ring(track="torso"), without)


def test_the_default_rig_follows_a_robot_that_moves_about(arm: mujoco.MjModel) -> None:
    assert {view.track for view in default_rig(TinyEnv().model).views} == {1}  # slides
    floating = "<mujoco><worldbody><body><freejoint/><geom size='.1'/></body></worldbody></mujoco>"
    assert {view.track for view in default_rig(mujoco.MjModel.from_xml_string(floating)).views} == {1}
    assert {view.track for view in default_rig(arm).views} == {None}
    empty = mujoco.MjModel.from_xml_string("<mujoco/>")
    assert {view.track for view in default_rig(empty).views} == {None}
