from __future__ import annotations

import json
import math

import mujoco
import numpy as np
import pytest

from mvr_wrappers.errors import ConfigError, UnknownNameError
from mvr_wrappers.filming import Camera, CameraRig
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
    placed = Camera(azimuth=30, elevation=-10, distance=2.5, lookat=(1, 2, 3)).place(arm, at_rest(arm))
    assert placed.type == mujoco.mjtCamera.mjCAMERA_FREE
    assert (placed.azimuth, placed.elevation, placed.distance) == (30, -10, 2.5)
    np.testing.assert_array_equal(placed.lookat, (1, 2, 3))


def test_an_open_pose_looks_at_the_whole_model(arm: mujoco.MjModel) -> None:
    placed = Camera().place(arm, at_rest(arm))
    np.testing.assert_allclose(placed.lookat, arm.stat.center)
    half_angle = math.asin(arm.stat.extent / 2 / placed.distance)
    assert half_angle < math.radians(arm.vis.global_.fovy / 2) < 1.2 * half_angle  # inside the picture, and fills it


@pytest.mark.parametrize("body", ["arm", 2])
def test_a_tracking_camera_follows_the_centre_of_mass_of_the_subtree(arm: mujoco.MjModel, body: int | str) -> None:
    # centre of mass: (1 * 0 + 2 * 0.6) / 3 = 0.4 above the shoulder, which is at height 1
    camera = Camera(track=body, distance=2.0)
    np.testing.assert_allclose(camera.place(arm, at_rest(arm)).lookat, (0, 0, 1.4))
    data = mujoco.MjData(arm)
    data.qpos[0] = math.pi / 2  # the arm swings to +x
    mujoco.mj_forward(arm, data)
    np.testing.assert_allclose(camera.place(arm, data).lookat, (0.4, 0, 1), atol=1e-12)


def test_lookat_of_a_tracking_camera_is_an_offset_and_height_is_not(arm: mujoco.MjModel) -> None:
    offset = Camera(track="arm", distance=2.0, lookat=(0.5, 0, -0.1))
    np.testing.assert_allclose(offset.place(arm, at_rest(arm)).lookat, (0.5, 0, 1.3))
    fixed = Camera(track="arm", distance=2.0, height=0.25)
    np.testing.assert_allclose(fixed.place(arm, at_rest(arm)).lookat, (0, 0, 0.25))


def test_an_open_distance_fits_the_followed_body_alone(arm: mujoco.MjModel) -> None:
    # from the centre of mass at 1.4 to the far side of the upper ball at 0.9: 0.5
    fitted = Camera(track="arm").fit(arm)
    assert fitted.distance == pytest.approx(1.1 * 0.5 / math.sin(math.radians(45 / 2)))
    assert fitted.lookat == (0, 0, 0)
    assert fitted.fit(arm) == fitted
    # a body without geometry has no size of its own
    bare = mujoco.MjModel.from_xml_string('<mujoco><worldbody><body name="dot"/><geom size="1"/></worldbody></mujoco>')
    assert Camera(track="dot").fit(bare).distance == Camera().fit(bare).distance


def test_a_named_camera_is_the_models_own(arm: mujoco.MjModel) -> None:
    placed = Camera(name="front").place(arm, at_rest(arm))
    assert placed.type == mujoco.mjtCamera.mjCAMERA_FIXED
    assert placed.fixedcamid == 0


def test_unknown_names_list_what_the_model_has(arm: mujoco.MjModel) -> None:
    with pytest.raises(UnknownNameError, match=r"no camera 'back'.*front"):
        CameraRig.named("front", "back").check(arm)
    with pytest.raises(UnknownNameError, match=r"no body 'leg'.*world, table, arm, hand"):
        CameraRig.ring(track="leg").check(arm)
    with pytest.raises(UnknownNameError, match="no body 4"):
        Camera(track=4, distance=1.0).place(arm, at_rest(arm))
    with pytest.raises(UnknownNameError, match="no body -1"):
        CameraRig.ring(track=-1).check(arm)
    without = mujoco.MjModel.from_xml_string("<mujoco><worldbody><body/></worldbody></mujoco>")
    with pytest.raises(UnknownNameError, match="no camera at all: use a ring"):
        CameraRig.named("front").check(without)
    with pytest.raises(UnknownNameError, match=r"world, \(unnamed, id 1\)"):
        CameraRig.ring(track="torso").check(without)


def test_a_ring_shares_all_but_the_azimuth() -> None:
    rig = CameraRig.ring((0, 45.5), distance=2, elevation=-20, lookat=[0, 0.5, 0], track="arm", height=1)
    assert len(rig) == 2
    assert rig.views[0] == Camera(0.0, -20.0, 2.0, (0.0, 0.5, 0.0), "arm", 1.0)
    assert rig.views[1].azimuth == 45.5
    assert [view.azimuth for view in CameraRig.ring().views] == [0, 90, 180, 270]


@pytest.mark.parametrize(
    ("rig", "kind"),
    [
        (CameraRig.ring(), "ring"),
        (CameraRig.ring((90, 180, 270, 0), distance=2.0, elevation=-20, lookat=(0, 0.5, 0)), "ring"),
        (CameraRig.ring(track=1, distance=3.0, elevation=0, height=1.0), "ring"),
        (CameraRig.named("track", "front"), "named"),
        (CameraRig.free([Camera(azimuth=1.0), {"elevation": 5.0, "track": "arm"}]), "free"),
        (CameraRig.free([Camera(name="front"), Camera(azimuth=1.0, lookat=(1, 2, 3))]), "free"),
    ],
)
def test_a_rig_survives_json(rig: CameraRig, kind: str) -> None:
    config = json.loads(json.dumps(rig.to_config()))
    assert config["kind"] == kind
    assert CameraRig.from_config(config) == rig


def test_numbers_of_numpy_do_too() -> None:
    camera = Camera(azimuth=np.float32(90), distance=np.float64(2), lookat=np.arange(3))  # type: ignore[arg-type]
    assert camera == Camera(azimuth=90.0, distance=2.0, lookat=(0.0, 1.0, 2.0))
    rig = CameraRig((camera,))
    assert CameraRig.from_config(json.loads(json.dumps(rig.to_config()))) == rig


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"kind": "rings"}, r"rig\.kind is 'rings'.*ring"),
        ({"azimuths": [0]}, r"rig\.kind is missing.*free, named, ring"),
        ({"kind": "ring", "azimuth": [0]}, r"rig\.azimuth is not a setting.*azimuths"),
        ({"kind": "ring", "azimuths": []}, "at least one view"),
        ({"kind": "ring", "azimuths": 90}, r"rig\.azimuths"),
        ({"kind": "ring", "distance": 0}, "greater than 0"),
        ({"kind": "ring", "distance": -1}, "greater than 0"),
        ({"kind": "ring", "elevation": float("nan")}, "finite"),
        ({"kind": "ring", "lookat": [0, 0]}, r"rig\.lookat"),
        ({"kind": "ring", "distance": "far"}, r"rig\.distance"),
        ({"kind": "named", "names": []}, "at least one view"),
        ({"kind": "named"}, r"rig\.names is missing"),
        ({"kind": "free", "poses": [{"azimut": 3}]}, "azimut.* is not a setting.*azimuth"),
        ({"kind": "free", "poses": [{"name": "front", "distance": 2.0}]}, "a name or a pose, not both"),
        ("ring", "must be a CameraRig or a mapping"),
    ],
)
def test_a_bad_config_is_refused_with_its_mend(config: object, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        CameraRig.from_config(config)  # type: ignore[arg-type]


def test_a_bad_config_names_its_source() -> None:
    with pytest.raises(ConfigError, match=r"my_tasks\.yaml: tasks\.jump\.rig\.kind"):
        CameraRig.from_config({"kind": "dome"}, "my_tasks.yaml: tasks.jump.rig")


@pytest.mark.parametrize("lookat", [(0, 0), (0, 0, 0, 0)])
def test_a_point_has_three_coordinates(lookat: tuple[float, ...]) -> None:
    with pytest.raises(ConfigError, match="three coordinates"):
        Camera(lookat=lookat)  # type: ignore[arg-type]


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_a_pose_is_finite(bad: float) -> None:
    with pytest.raises(ConfigError, match="finite"):
        CameraRig.ring((0.0, bad))
    with pytest.raises(ConfigError, match="finite"):
        Camera(lookat=(0, bad, 0))


def test_the_default_rig_follows_a_robot_that_moves_about(arm: mujoco.MjModel) -> None:
    assert {view.track for view in CameraRig.default(TinyEnv().model).views} == {1}  # slides
    floating = "<mujoco><worldbody><body><freejoint/><geom size='.1'/></body></worldbody></mujoco>"
    assert {view.track for view in CameraRig.default(mujoco.MjModel.from_xml_string(floating)).views} == {1}
    assert {view.track for view in CameraRig.default(arm).views} == {None}
    empty = mujoco.MjModel.from_xml_string("<mujoco/>")
    assert {view.track for view in CameraRig.default(empty).views} == {None}
