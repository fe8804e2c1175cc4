"""Where the cameras stand: single views and the rigs made of them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, TypeAlias

import mujoco

from mvr_wrappers.errors import ConfigError, nearest
from mvr_wrappers.filming.anatomy import find, reach
from mvr_wrappers.parsing import Float, Int, StrictFields, parse

Point: TypeAlias = tuple[Float, Float, Float]

_MARGIN = 1.1  # of the distance at which the sphere around the model or the body touches the picture's edges


@dataclass(frozen=True, slots=True)
class Camera(StrictFields):
    """One view. It looks from a pose, follows a body, or is one of the model's own cameras.

    Attributes:
        azimuth: degrees about the vertical; at 0 the camera looks along +x, at 90 along +y.
        elevation: degrees above the horizon the camera looks towards; negative looks down.
        distance: metres from the point looked at; None fits the followed body, or the whole model.
        lookat: the point looked at, metres: in the world, or relative to the followed body's centre. None is the
            model's centre, or the body's.
        track: body to follow, by name or id: the centre of mass of its subtree, frame by frame. None follows nothing.
        height: world height in metres of the point looked at, whatever the followed body does; None follows it.
        name: camera of the model to use instead; no other attribute may then be set.
    """

    azimuth: Float = 90.0
    elevation: Float = -20.0
    distance: Float | None = None
    lookat: Point | None = None
    track: Int | str | None = None
    height: Float | None = None
    name: str | None = None

    def __post_init__(self) -> None:
        """Takes any numbers for plain floats, and refuses poses that cannot be."""
        for attribute in ("azimuth", "elevation", "distance", "height"):
            value = getattr(self, attribute)
            object.__setattr__(self, attribute, None if value is None else float(value))
        if self.lookat is not None:
            object.__setattr__(self, "lookat", tuple(map(float, self.lookat)))
            if len(self.lookat) != 3:
                raise ConfigError(f"camera.lookat is {self.lookat}; give the three coordinates x, y, z in metres")
        if self.name is not None and replace(self, name=None) != Camera():
            raise ConfigError(f"camera {self.name!r} belongs to the model; give a name or a pose, not both")
        numbers = (self.azimuth, self.elevation, self.distance, self.height, *(self.lookat or ()))
        if not all(math.isfinite(number) for number in numbers if number is not None):
            raise ConfigError(f"a camera pose must be finite, got {self}")
        if self.distance is not None and self.distance <= 0:
            raise ConfigError(f"camera.distance is {self.distance}; it must be greater than 0 metres")

    def fit(self, model: mujoco.MjModel) -> Camera:
        """Returns this view with the distance and the look-at point that `model` calls for where they were left open.

        Raises:
            UnknownNameError: the model lacks the camera or the body.
        """
        if self.name is not None:
            find(model, mujoco.mjtObj.mjOBJ_CAMERA, self.name)
            return self
        if self.track is None:
            x, y, z = map(float, model.stat.center)
            radius = float(model.stat.extent) / 2
        else:
            x = y = z = 0.0
            radius = reach(model, find(model, mujoco.mjtObj.mjOBJ_BODY, self.track))
        distance = self.distance or _MARGIN * radius / math.sin(math.radians(model.vis.global_.fovy) / 2)
        return replace(self, lookat=self.lookat or (x, y, z), distance=distance)

    def place(self, model: mujoco.MjModel, data: mujoco.MjData) -> mujoco.MjvCamera:
        """Returns the view as MuJoCo wants it.

        Args:
            model: the model filmed.
            data: its state, after `mj_forward`: a camera that follows a body reads `subtree_com`.

        Raises:
            UnknownNameError: the model lacks the camera or the body.
        """
        placed = mujoco.MjvCamera()
        if self.name is not None:
            placed.type = mujoco.mjtCamera.mjCAMERA_FIXED
            placed.fixedcamid = find(model, mujoco.mjtObj.mjOBJ_CAMERA, self.name)
            return placed
        if self.distance is None or self.lookat is None:
            return self.fit(model).place(model, data)
        placed.type = mujoco.mjtCamera.mjCAMERA_FREE
        placed.azimuth, placed.elevation, placed.distance = self.azimuth, self.elevation, self.distance
        placed.lookat[:] = self.lookat
        if self.track is not None:
            placed.lookat[:] += data.subtree_com[find(model, mujoco.mjtObj.mjOBJ_BODY, self.track)]
        if self.height is not None:
            placed.lookat[2] = self.height
        return placed


@dataclass(frozen=True, slots=True)
class CameraRig:
    """The views an env is filmed from, in a fixed order: a clip names them by index.

    Build one with `ring`, `named`, `free`, `default` or, from plain values, `from_config`:

        >>> rig = CameraRig.ring(azimuths=(0, 90), distance=2.0, elevation=-20, lookat=(0, 0.5, 0))
        >>> len(rig)
        2
        >>> CameraRig.from_config(rig.to_config()) == rig
        True
    """

    views: tuple[Camera, ...]

    def __post_init__(self) -> None:
        """Refuses an empty rig."""
        if not self.views:
            raise ConfigError("a camera rig needs at least one view; give azimuths, names or poses")

    def __len__(self) -> int:
        """Number of views."""
        return len(self.views)

    @classmethod
    def ring(
        cls,
        azimuths: Iterable[float] = (0, 90, 180, 270),
        *,
        distance: float | None = None,
        elevation: float = -20.0,
        lookat: Sequence[float] | None = None,
        track: int | str | None = None,
        height: float | None = None,
    ) -> CameraRig:
        """Cameras around one point or one body, one an azimuth; see `Camera` for units and defaults."""
        point = None if lookat is None else tuple(lookat)
        shared = {"elevation": elevation, "distance": distance, "lookat": point, "track": track, "height": height}
        return cls.from_config({"kind": "ring", "azimuths": tuple(azimuths), **shared})

    @classmethod
    def named(cls, *names: str) -> CameraRig:
        """The model's own cameras, by name."""
        return cls(tuple(Camera(name=name) for name in names))

    @classmethod
    def free(cls, poses: Iterable[Camera | Mapping[str, Any]]) -> CameraRig:
        """Any views: cameras, or mappings of a camera's attributes."""
        return cls(_cameras(poses, "rig"))

    @classmethod
    def default(cls, model: mujoco.MjModel) -> CameraRig:
        """The rig used where none is given: a ring around the robot if it moves about, else around the scene.

        Body 1, the world's first, is taken for the robot. It moves about if it has a free or a sliding joint.
        """
        first = model.body_jntadr[1] if model.nbody > 1 else 0
        joints = model.jnt_type[first : first + model.body_jntnum[1]] if model.nbody > 1 else []
        mobile = {int(mujoco.mjtJoint.mjJNT_FREE), int(mujoco.mjtJoint.mjJNT_SLIDE)}
        return cls.ring(track=1, elevation=-10) if mobile & {int(joint) for joint in joints} else cls.ring()

    def check(self, model: mujoco.MjModel) -> None:
        """Checks that `model` has every camera and body the rig names.

        Raises:
            UnknownNameError: it lacks one; those it has are listed.
        """
        for view in self.views:
            view.fit(model)

    @classmethod
    def from_config(cls, config: Mapping[str, Any], where: str = "rig") -> CameraRig:
        """Builds a rig from plain values.

        Args:
            config: `kind` and that kind's keys. "ring": azimuths, distance, elevation, lookat, track, height.
                "named": names. "free": poses, a list of mappings of a camera's attributes.
            where: what an error calls the source, such as a file name and a key.

        Raises:
            ConfigError: an unknown kind or key, the nearest valid ones named, or a value that cannot work.
        """
        if not isinstance(config, Mapping):
            raise ConfigError(f"{where} must be a CameraRig or a mapping with the key 'kind', got {config!r}")
        values = dict(config)
        if "kind" not in values:
            raise ConfigError(f"{where}.kind is missing; give one of: {', '.join(sorted(_KINDS))}")
        kind = str(values.pop("kind"))
        if kind not in _KINDS:
            raise ConfigError(f"{where}.kind is {kind!r}; give one of: {nearest(kind, _KINDS)}")
        return cls(parse(_KINDS[kind], values, where).views(where))

    def to_config(self) -> dict[str, Any]:
        """Returns plain JSON-safe values from which `from_config` builds this rig again."""
        if all(view.name is not None for view in self.views):
            return {"kind": "named", "names": [view.name for view in self.views]}
        poses = [_attributes(view) for view in self.views]
        shared = [{key: value for key, value in pose.items() if key != "azimuth"} for pose in poses]
        if all(pose == shared[0] for pose in shared):
            return {"kind": "ring", "azimuths": [pose["azimuth"] for pose in poses], **shared[0]}
        return {"kind": "free", "poses": poses}


@dataclass(frozen=True, slots=True)
class _Ring(StrictFields):
    """Keys of a rig of kind "ring"."""

    azimuths: tuple[Float, ...] = (0.0, 90.0, 180.0, 270.0)
    distance: Float | None = None
    elevation: Float = -20.0
    lookat: Point | None = None
    track: Int | str | None = None
    height: Float | None = None

    def views(self, where: str) -> tuple[Camera, ...]:
        shared = {key: value for key, value in asdict(self).items() if key != "azimuths"}
        return tuple(Camera(azimuth=azimuth, **shared) for azimuth in self.azimuths)


@dataclass(frozen=True, slots=True)
class _Named(StrictFields):
    """Keys of a rig of kind "named"."""

    names: tuple[str, ...]

    def views(self, where: str) -> tuple[Camera, ...]:
        return tuple(Camera(name=name) for name in self.names)


@dataclass(frozen=True, slots=True)
class _Free(StrictFields):
    """Keys of a rig of kind "free"."""

    poses: tuple[dict[str, Any], ...]

    def views(self, where: str) -> tuple[Camera, ...]:
        return _cameras(self.poses, where)


_KINDS: dict[str, type[_Ring | _Named | _Free]] = {"ring": _Ring, "named": _Named, "free": _Free}


def _cameras(poses: Iterable[Camera | Mapping[str, Any]], where: str) -> tuple[Camera, ...]:
    return tuple(
        pose if isinstance(pose, Camera) else parse(Camera, pose, f"{where}.poses.{i}") for i, pose in enumerate(poses)
    )


def _attributes(view: Camera) -> dict[str, Any]:
    """Returns the attributes of a view that are set, JSON-safe."""
    values = {key: list(value) if isinstance(value, tuple) else value for key, value in asdict(view).items()}
    return {key: value for key, value in values.items() if value is not None}
