"""What a model is made of: the names in it and the size of its bodies."""

from __future__ import annotations

import mujoco
import numpy as np
from numpy.typing import NDArray

from mvr_wrappers.errors import UnknownNameError


def find(model: mujoco.MjModel, kind: mujoco.mjtObj, name: int | str) -> int:
    """Returns the id of a camera or a body, by name or id.

    Raises:
        UnknownNameError: the model lacks it; those it has are listed.
    """
    word, count = ("camera", model.ncam) if kind == mujoco.mjtObj.mjOBJ_CAMERA else ("body", model.nbody)
    found = mujoco.mj_name2id(model, kind, name) if isinstance(name, str) else name
    if 0 <= found < count:
        return found
    names = [mujoco.mj_id2name(model, kind, i) or f"(unnamed, id {i})" for i in range(count)]
    have = f"It has: {', '.join(names)}." if names else f"It has no {word} at all: use a ring or free poses."
    raise UnknownNameError(f"the model has no {word} {name!r}. {have}")


def reach(model: mujoco.MjModel, body: int) -> float:
    """Returns the radius in metres of the sphere around a body's centre of mass that holds its subtree, at rest.

    A body that carries no geometry is taken for as large as the whole model.
    """
    rest = mujoco.MjData(model)
    mujoco.mj_kinematics(model, rest)
    mujoco.mj_comPos(model, rest)
    inside = [g for g in range(model.ngeom) if _descends(model, int(model.geom_bodyid[g]), body)]
    offsets: NDArray[np.float64] = rest.geom_xpos[inside] - rest.subtree_com[body]
    radii = np.linalg.norm(offsets, axis=1) + model.geom_rbound[inside]
    return float(radii.max(initial=0)) or float(model.stat.extent) / 2


def _descends(model: mujoco.MjModel, body: int, ancestor: int) -> bool:
    while body > ancestor:  # a parent's id is always smaller than its child's
        body = int(model.body_parentid[body])
    return body == ancestor
