"""Where the cameras stand, as plain data: single views and the rigs made of them. `filming/cameras.py` places them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, TypeAlias

from mvr_wrappers.errors import ConfigError
from mvr_wrappers.parsing import Float, Int, StrictFields, parse

Point: TypeAlias = tuple[Float, Float, Float]


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


@dataclass(frozen=True, slots=True)
class CameraRig:
    """The views an env is filmed from, in a fixed order: a clip names them by index.

    Build one with `ring`, `named`, `free` or, from plain values, `from_config`:

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
    def from_config(cls, config: Mapping[str, Any], where: str = "rig") -> CameraRig:
        """Builds a rig from plain values.

        Args:
            config: `kind` and that kind's keys. "ring": azimuths, distance, elevation, lookat, track, height.
                "named": names. "free": poses, a list of mappings of a camera's attributes.
            where: what an error calls the source, such as a file name and a key.

        Raises:
            ConfigError: an unknown kind or key, the valid ones named, or a value that cannot work.
        """
        if not isinstance(config, Mapping):
            raise ConfigError(f"{where} must be a CameraRig or a mapping with the key 'kind', got {config!r}")
        values = dict(config)
        kind = values.pop("kind", None)
        if not isinstance(kind, str) or kind not in _KINDS:
            found = "missing" if kind is None else repr(kind)
            raise ConfigError(f"{where}.kind is {found}; give one of: {', '.join(sorted(_KINDS))}")
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
