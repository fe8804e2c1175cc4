"""Where films are taken from, and in what light. Training never sees the azimuths kept for the test."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import mujoco
import numpy as np

from mvr_wrappers.filming.cameras import fit
from mvr_wrappers.rigs import Camera

RING = (0, 90, 180, 270)
UNSEEN, UNSEEN_HALF_WIDTH = (45, 135, 225, 315), 15  # degrees; training keeps out of these windows


def table_camera(azimuth: float, elevation: float = -20, distance: float = 2, lookat: object = (0, 0.5, 0)) -> Camera:
    """Returns the usual ring's view of a MetaWorld scene at an azimuth, degrees; the other arguments move it."""
    x, y, z = (float(v) for v in np.asarray(lookat))
    return Camera(lookat=(x, y, z), distance=float(distance), azimuth=float(azimuth % 360), elevation=float(elevation))


def body_camera(model: mujoco.MjModel, azimuth: float, elevation: float = -10, nearer: float = 1) -> Camera:
    """Returns the usual ring's view of a body, followed; `nearer` divides the distance."""
    usual = fit(Camera(track=1), model).distance
    assert usual is not None
    return Camera(track=1, azimuth=float(azimuth % 360), elevation=float(elevation), distance=usual / float(nearer))


def draw_azimuth(rng: np.random.Generator) -> float:
    """Draws a training azimuth: a fifth near the usual ring, the rest anywhere that is not kept for the test."""
    if rng.random() < 0.2:
        return float(rng.choice(RING) + rng.uniform(-5, 5)) % 360
    while True:
        azimuth = float(rng.uniform(0, 360))
        if min(abs((azimuth - unseen + 180) % 360 - 180) for unseen in UNSEEN) >= UNSEEN_HALF_WIDTH:
            return azimuth


def draw_camera(model: mujoco.MjModel, table: bool, rng: np.random.Generator) -> Camera:
    """Draws a training view of a MetaWorld scene (`table`) or of a body."""
    azimuth = draw_azimuth(rng)
    if not table:
        return body_camera(model, azimuth, -10 + rng.uniform(-15, 8), rng.uniform(0.75, 1.4))
    lookat = np.array([0, 0.5, 0]) + rng.uniform(-0.08, 0.08, 3)
    return table_camera(azimuth, -20 + rng.uniform(-15, 10), 2 + rng.uniform(-0.4, 0.3), lookat)


def judged_azimuths(rng: np.random.Generator) -> list[float]:
    """Draws two views of the usual ring, then two never trained on."""
    unseen = rng.choice(UNSEEN, 2, replace=False) + rng.uniform(-10, 10, 2)
    return [float(a) for a in (*rng.choice(RING, 2, replace=False), *unseen)]


@contextmanager
def other_light(model: mujoco.MjModel, rng: np.random.Generator) -> Iterator[None]:
    """Changes the strength and place of a model's lights for a while."""
    lamp = model.vis.headlight
    kept = lamp.ambient.copy(), lamp.diffuse.copy(), model.light_diffuse.copy(), model.light_pos.copy()
    lamp.ambient[:] = kept[0] * rng.uniform(0.6, 1.5)
    lamp.diffuse[:] = kept[1] * rng.uniform(0.6, 1.3)
    model.light_diffuse[:] = kept[2] * rng.uniform(0.6, 1.2, (model.nlight, 1))
    model.light_pos[:] = kept[3] + rng.uniform(-0.5, 0.5, (model.nlight, 3))
    try:
        yield
    finally:
        lamp.ambient[:], lamp.diffuse[:], model.light_diffuse[:], model.light_pos[:] = kept
