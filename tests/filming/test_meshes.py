from __future__ import annotations

from typing import Any

import mujoco
import numpy as np
import pytest

from mvr_wrappers.filming import Camera, Renderer, renderer
from mvr_wrappers.filming.cameras import place
from mvr_wrappers.filming.meshes import simplify
from tests.support.gl_contexts import contexts_here


def torus(minor: float, n: int = 40, flatten: float = 1.0) -> mujoco.MjModel:
    """A ring of 1 m diameter made of 2 n^2 faces."""
    along, around = (grid.ravel() for grid in np.meshgrid(*2 * [2 * np.pi / n * np.arange(n)], indexing="ij"))
    radius = 0.5 + minor * np.cos(around)
    vertices = np.stack([radius * np.cos(along), radius * np.sin(along), flatten * minor * np.sin(around)], axis=1)
    i, j = (grid.ravel() for grid in np.meshgrid(np.arange(n), np.arange(n), indexing="ij"))
    a, b, c, d = ((i + di) % n * n + (j + dj) % n for di, dj in ((0, 0), (1, 0), (1, 1), (0, 1)))
    faces = np.concatenate([np.stack([a, b, c], axis=1), np.stack([a, c, d], axis=1)])
    vertex, face = (" ".join(map(str, values.ravel())) for values in (vertices, faces))
    return mujoco.MjModel.from_xml_string(f"""
        <mujoco><asset><mesh name="ring" vertex="{vertex}" face="{face}" inertia="shell"/></asset>
        <worldbody><light pos="0 0 3"/><geom type="mesh" mesh="ring" rgba="1 0 0 1"/>
        <geom size=".1" rgba="0 1 0 1"/></worldbody></mujoco>""")


def forward(model: mujoco.MjModel) -> mujoco.MjData:
    data = mujoco.MjData(model)
    mujoco.mj_forward(model, data)
    return data


def corners(model: mujoco.MjModel) -> Any:
    """Returns the corners of the faces drawn, (F, 3, 3), and their normals, likewise."""
    faces = slice(0, model.mesh_facenum[0])
    return model.mesh_vert[model.mesh_face[faces]], model.mesh_normal[model.mesh_facenormal[faces]]


def test_a_dense_mesh_loses_faces_and_no_surface_moves_by_a_cell() -> None:
    model = torus(0.2)
    before = model.mesh_vert.copy(), model.mesh_face.copy(), model.mesh_facenum.copy()
    simplified = simplify(model, 0.08)
    assert simplified is not None and simplified.geoms.tolist() == [0] and simplified.cell == 0.08
    for old, new in zip(before, (model.mesh_vert, model.mesh_face, model.mesh_facenum), strict=True):
        np.testing.assert_array_equal(new, old)
    places, normals = corners(simplified.model)
    assert 300 < len(places) < 0.5 * 3200
    nearest = np.linalg.norm(places.reshape(-1, 1, 3) - model.mesh_vert, axis=-1).min(axis=-1)
    assert nearest.max() < 0.08
    # Faces look outwards still, as their corners' normals do.
    outwards = np.cross(places[:, 1] - places[:, 0], places[:, 2] - places[:, 0])
    assert ((outwards * normals.mean(axis=1)).sum(-1) > 0).mean() > 0.95


def test_both_sides_of_a_plate_thinner_than_a_cell_are_left() -> None:
    model = torus(0.3, flatten=0.01)
    thin = np.ptp(model.mesh_vert, axis=0).argmin()  # MuJoCo turns meshes to their principal axes
    simplified = simplify(model, 0.05)
    assert simplified is not None
    places, _ = corners(simplified.model)
    up = np.cross(places[:, 1] - places[:, 0], places[:, 2] - places[:, 0])[:, thin] > 0
    assert 0.4 < up.mean() < 0.6


def test_what_would_vanish_and_what_has_few_faces_stays_as_it_is() -> None:
    assert simplify(torus(0.004), 0.05) is None  # a wire
    assert simplify(torus(0.2, n=12), 0.08) is None  # 288 faces


def test_fast_draws_the_models_own_mesh_where_a_pixel_is_smaller_than_the_detail(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    model = torus(0.2, n=100)
    data = forward(model)
    near, far = (Camera(azimuth=30, elevation=-50, distance=distance, lookat=(0, 0, 0)) for distance in (0.8, 2.5))
    with Renderer(model, 64) as lean:
        frames = [lean.render(data, view) for view in (near, far, near)]
    with monkeypatch.context() as patch:
        patch.setattr(renderer, "simplify", lambda model, cell: None)
        with Renderer(model, 64) as exact:
            expected = [exact.render(data, view) for view in (near, far)]
    np.testing.assert_array_equal(frames[0], expected[0])
    np.testing.assert_array_equal(frames[2], expected[0])
    difference = np.abs(frames[1].astype(int) - expected[1])
    assert 0 < difference.mean() < 2.0
    red = [(frame[..., 0] > 60).sum() for frame in (frames[1], expected[1])]
    assert red[0] == pytest.approx(red[1], rel=0.05)
    assert not contexts_here()


def test_full_quality_draws_every_face() -> None:
    model = torus(0.2, n=100)
    data = forward(model)
    view = Camera(distance=2.5, lookat=(0, 0, 0))
    with mujoco.Renderer(model, 64, 64) as reference, Renderer(model, 64, "full") as full:
        reference.update_scene(data, place(view, model, data))
        np.testing.assert_array_equal(full.render(data, view), reference.render())
