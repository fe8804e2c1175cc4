from __future__ import annotations

import mujoco
import numpy as np
import pytest

from tools.pocket.motions import BODY_MOTIONS, STEP, Body

PAIRS = [(body, motion) for body, motions in BODY_MOTIONS.items() for motion in motions]


@pytest.fixture(scope="module")
def bodies() -> dict[str, Body]:
    return {name: Body(name) for name in BODY_MOTIONS}


@pytest.mark.parametrize(("name", "motion"), PAIRS)
def test_bodies_stay_on_or_above_the_floor(bodies: dict[str, Body], name: str, motion: str) -> None:
    body, times = bodies[name], 8 * STEP[name] * np.arange(8.0)
    qpos = body.play(motion, times, np.random.default_rng(2))
    assert qpos.shape == (8, body.model.nq) and np.isfinite(qpos).all()
    heights = []
    for row in qpos:
        body.show(row)
        heights.append(body.lowest())
    assert min(heights) > -0.15  # contacts of a simulation are soft, and twitching limbs hit hard
    if motion not in ("jump", "hop", "run", "flip", "fall", "twitch"):
        np.testing.assert_allclose(heights, 0, atol=1e-9)


@pytest.mark.parametrize("name", BODY_MOTIONS)
def test_motions_are_what_they_are_called(bodies: dict[str, Body], name: str) -> None:
    body, times = bodies[name], np.linspace(0, 2, 12)

    def play(motion: str) -> tuple[float, np.ndarray]:
        """Returns how far the root goes, and which way its own up axis points in the world."""
        qpos = body.play(motion, times, np.random.default_rng(5))
        ups = []
        for row in qpos:
            body.show(row)
            ups.append(body.data.xmat[1].reshape(3, 3)[2, 2])
        far = np.linalg.norm(qpos[-1, : 2 if body.floating else 1] - qpos[0, : 2 if body.floating else 1])
        return float(far), np.array(ups)

    far, up = play("stand")
    assert far == 0 and up.min() > 0.8
    moving = [m for m in ("crawl", "walk", "hop", "run") if m in BODY_MOTIONS[name]]
    assert all(play(motion)[0] > 0.2 for motion in moving)
    if {"walk", "run"} <= set(moving):
        assert play("run")[0] > 1.5 * play("walk")[0]
    assert play("upside_down")[1].max() < -0.8
    assert np.ptp(play("flip")[1]) > 1.5
    assert play("fall")[1][-1] < play("fall")[1][0] - 0.5


def test_the_same_seed_plays_the_same_motion() -> None:
    times = 0.1 * np.arange(8.0)
    for motion in ("walk", "twitch"):
        first, second = (Body("hopper").play(motion, times, np.random.default_rng(1)) for _ in range(2))
        np.testing.assert_array_equal(first, second)


def test_lowest_point_by_hand() -> None:
    body = Body("hopper")
    mujoco.mj_resetData(body.model, body.data)
    mujoco.mj_kinematics(body.model, body.data)
    assert body.lowest() == pytest.approx(0.04, abs=0.01)  # Gymnasium's hopper rests 4 cm above the floor
