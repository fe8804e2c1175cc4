"""Looks: what an env changes in its model while it runs, so that each frame shows the model of its own moment."""

from __future__ import annotations

import copy
from typing import Any

import mujoco

from mvr_wrappers.filming.model_arrays import array_names

# One entry a body, a joint, a geom and so on: colours, sizes, places, masses. What is left out is meshes, textures and
# height fields, which are megabytes and are taken from the episode's start.
_WATCHED = ("body_", "cam_", "geom_", "jnt_", "light_", "mat_", "qpos", "site_", "tendon_")


class Looks:
    """Watches a model through one episode.

    Envs paint a goal when it is reached, or move a site: in the model, where the physics state says nothing of it.

    Args:
        live: the model simulated, only read.

    Attributes:
        model: a copy of it, made now; `restore` changes it.
    """

    __slots__ = ("_changes", "_fields", "_live", "model")

    def __init__(self, live: mujoco.MjModel) -> None:
        self.model = copy.copy(live)
        self._live, self._fields = live, _fields(live)
        self._changes: list[tuple[int, bytes]] = []

    def __deepcopy__(self, memo: dict[int, Any]) -> Looks:
        """Copies an env amid an episode: the copy watches the model of the copy."""
        new = Looks(copy.deepcopy(self._live, memo))
        new.model, new._changes = copy.copy(self.model), list(self._changes)
        return new

    def watch(self, time: int) -> None:
        """Remembers how the model looks from state number `time` on, if that is new."""
        look = b"".join(self._fields)
        if not self._changes or look != self._changes[-1][1]:
            self._changes.append((time, look))

    def restore(self, time: int) -> None:
        """Makes the copy look as the model did in state number `time`."""
        if len(self._changes) < 2:
            return  # the copy looks so already
        look = next(look for begun, look in reversed(self._changes) if begun <= time)
        offset = 0
        for field in _fields(self.model):
            field[:] = look[offset : offset + len(field)]
            offset += len(field)


def _fields(model: mujoco.MjModel) -> list[memoryview]:
    """Returns the bytes of the arrays watched, shared with the model."""
    arrays = (getattr(model, name) for name in array_names(_WATCHED))
    return [memoryview(array).cast("B") for array in arrays if array.size]
