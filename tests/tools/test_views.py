from __future__ import annotations

import mujoco
import numpy as np

from tools.pocket.motions import Body
from tools.pocket.views import RING, UNSEEN, UNSEEN_HALF_WIDTH, draw_camera, judged_azimuths, other_light


def _gaps(azimuths: np.ndarray) -> np.ndarray:
    return np.abs((azimuths[:, None] - UNSEEN + 180) % 360 - 180).min(1)


def test_training_views_leave_the_test_windows_alone(rng: np.random.Generator) -> None:
    model = Body("hopper").model
    for table in (True, False):
        azimuths = np.array([draw_camera(model, table, rng).azimuth for _ in range(500)])
        assert _gaps(azimuths).min() >= UNSEEN_HALF_WIDTH
        assert len(np.unique(azimuths // 30)) == 8  # of twelve bins, the four about the test views are empty


def test_half_of_the_test_views_were_never_trained_on(rng: np.random.Generator) -> None:
    for _ in range(20):
        azimuths = np.array(judged_azimuths(rng))
        assert set(azimuths[:2]) <= set(RING) and len(set(azimuths)) == 4
        assert _gaps(azimuths[2:]).max() <= 10


def test_light_comes_back(rng: np.random.Generator) -> None:
    model: mujoco.MjModel = Body("hopper").model
    before = model.vis.headlight.ambient.copy(), model.light_pos.copy()
    with other_light(model, rng):
        assert (model.vis.headlight.ambient != before[0]).any() and (model.light_pos != before[1]).any()
    np.testing.assert_array_equal(model.vis.headlight.ambient, before[0])
    np.testing.assert_array_equal(model.light_pos, before[1])
