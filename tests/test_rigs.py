"""Camera rigs as plain data: their configuration, and what is refused."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pytest

from mvr_wrappers.errors import ConfigError
from mvr_wrappers.rigs import Camera, CameraRig


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
        ({"kind": {"ring": 1}}, r"rig\.kind is \{'ring': 1\}; give one of"),
        ({"kind": ["ring"]}, r"rig\.kind is \['ring'\]; give one of"),
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


def test_rigs_are_plain_data_and_load_no_simulator() -> None:
    code = (
        "import sys; from mvr_wrappers import CameraRig, TaskSpec; CameraRig.ring(); "
        "sys.exit('mujoco' in sys.modules or 'OpenGL' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_the_filming_room_hands_out_the_same_classes() -> None:
    from mvr_wrappers import filming

    assert filming.CameraRig is CameraRig and filming.Camera is Camera
