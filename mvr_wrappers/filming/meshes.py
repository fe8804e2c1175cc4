"""Meshes without the detail that a frame has no pixels for."""

from __future__ import annotations

import copy
import functools
from dataclasses import dataclass
from typing import TypeAlias

import mujoco
import numpy as np
from numpy.typing import NDArray

Faces: TypeAlias = NDArray[np.int32]  # (F, 3), vertices of each

_DENSE = 500  # faces from which on a mesh is worth simplifying
_AREA_KEPT = 0.7  # of a mesh's surface: less, and more has collapsed than the inner sides of thin walls


@dataclass(frozen=True, slots=True, eq=False)
class Simplified:
    """A model whose dense meshes have fewer faces.

    Attributes:
        model: a copy that differs in its meshes alone; for `mjr_makeContext`, not for simulating.
        geoms: ids of the geoms that show such a mesh.
        cell: metres; no vertex was moved by more than the diagonal of a cube of this edge.
    """

    model: mujoco.MjModel
    geoms: NDArray[np.int64]
    cell: float


def simplify(model: mujoco.MjModel, cell: float) -> Simplified | None:
    """Merges the vertices of each dense mesh that share a cell of a cubic grid (Rossignac and Borrel, 1993).

    Software rendering takes as long for a face smaller than a pixel as for one of a hundred. Normals and texture
    coordinates stay those of the original corners, so edges stay sharp and curved surfaces smooth. A mesh that loses
    more than 30% of its surface, because parts of it are thinner than a cell, is left as it is.

    Args:
        model: not changed.
        cell: edge of a cell, metres.

    Returns:
        The simplified model, or None if no mesh has enough faces.
    """
    changed = []
    for mesh in map(int, np.flatnonzero(model.mesh_facenum >= _DENSE)):
        vertices, faces = _rows(model, mesh)
        merged = _merge(model.mesh_vert[vertices].tobytes(), model.mesh_face[faces].tobytes(), cell)
        if merged is not None:
            changed.append((mesh, *merged))
    if not changed:
        return None
    lean = copy.copy(model)
    for mesh, places, corners, kept in changed:
        vertices, faces = _rows(model, mesh)
        new = slice(faces.start, faces.start + len(corners))
        lean.mesh_vert[vertices.start : vertices.start + len(places)] = places
        lean.mesh_face[new] = corners
        for corner_of in (lean.mesh_facenormal, lean.mesh_facetexcoord):
            corner_of[new] = corner_of[faces][kept]
        lean.mesh_facenum[mesh] = len(corners)
    lean.mesh_graphadr[:] = -1  # convex hulls, which are not drawn, would be uploaded too
    shown = np.isin(model.geom_dataid, [mesh for mesh, *_ in changed]) & (model.geom_type == mujoco.mjtGeom.mjGEOM_MESH)
    return Simplified(lean, np.flatnonzero(shown), cell) if shown.any() else None


def _rows(model: mujoco.MjModel, mesh: int) -> tuple[slice, slice]:
    """Returns where a mesh's vertices and faces stand in the model's arrays."""
    vertex, face = model.mesh_vertadr[mesh], model.mesh_faceadr[mesh]
    return slice(vertex, vertex + model.mesh_vertnum[mesh]), slice(face, face + model.mesh_facenum[mesh])


@functools.lru_cache(maxsize=128)  # envs of one task, and all their episodes, have the same meshes
def _merge(vertices: bytes, faces: bytes, cell: float) -> tuple[NDArray[np.float64], Faces, NDArray[np.int64]] | None:
    """Returns the merged vertices (V', 3), the faces left (F', 3) and which of the old ones those are, or None."""
    old = np.frombuffer(vertices, np.float32).reshape(-1, 3).astype(np.float64)
    old_faces = np.frombuffer(faces, np.int32).reshape(-1, 3)
    _, owner, members = np.unique(
        np.floor((old - old.min(axis=0)) / cell), axis=0, return_inverse=True, return_counts=True
    )
    owner = owner.reshape(-1)  # NumPy 2.0 alone returns a column
    places = np.stack([np.bincount(owner, column) / members for column in old.T], axis=1)
    corners = owner[old_faces].astype(np.int32)
    flat = (corners == np.roll(corners, 1, axis=1)).any(axis=1)
    # The same three corners in the same sense of rotation are the same face; in the other sense, its back.
    turn = (corners.argmin(axis=1)[:, None] + np.arange(3)) % 3
    _, first = np.unique(np.take_along_axis(corners, turn, axis=1), axis=0, return_index=True)
    kept = np.sort(first[~flat[first]])
    if _area(places, corners[kept]) < _AREA_KEPT * _area(old, old_faces):
        return None
    return places, corners[kept], kept


def _area(vertices: NDArray[np.float64], faces: Faces) -> float:
    a, b, c = (vertices[faces[:, corner]] for corner in range(3))
    return float(np.linalg.norm(np.cross(b - a, c - a), axis=1).sum() / 2)
