"""The arrays of a MuJoCo model by the beginnings of their names, and a digest of those that are uploaded."""

from __future__ import annotations

import functools
import hashlib

import mujoco
import numpy as np

# What an `MjrContext` reads of a model when it is made: all of the first, and of the others what planes are built from.
_UPLOADED = ("mesh_", "tex_", "hfield_", "skin_", "mat_tex", "geom_type", "geom_size", "geom_dataid", "geom_matid")


@functools.cache
def array_names(prefixes: tuple[str, ...]) -> list[str]:
    """Returns the names of the arrays whose names begin so: all models have the same, empty or not."""
    model = mujoco.MjSpec().compile()
    names = (name for name in dir(model) if name.startswith(prefixes))
    return [name for name in names if isinstance(getattr(model, name), np.ndarray)]


def uploaded_content(model: mujoco.MjModel) -> bytes:
    """Returns a digest of all that an `MjrContext` takes from a model when it is made."""
    digest = hashlib.sha256()
    for name in array_names(_UPLOADED):
        digest.update(getattr(model, name).tobytes())
    buffers, screen = model.vis.quality, model.vis.global_
    numbers = (buffers.shadowsize, buffers.offsamples, buffers.numslices, buffers.numstacks, buffers.numquads)
    endless = (model.vis.map.zfar, model.stat.extent)  # how far planes without an end are drawn
    digest.update(repr((*numbers, screen.offwidth, screen.offheight, *endless)).encode())
    return digest.digest()
