from __future__ import annotations

import mujoco
import numpy as np

from mvr_wrappers.filming.recorder import Recorder, restore
from tests.support.tiny_env import TinyEnv


def run(env: TinyEnv, recorder: Recorder | None, steps: int = 5) -> list[mujoco.MjData]:
    """Steps the env and returns copies of its data, one a state."""
    observation, _ = env.reset(seed=3)
    copies = [env.data.__copy__()]
    if recorder is not None:
        recorder.start(env.data, observation.astype(np.float32))
    for step in range(steps):
        observation, *_ = env.step([np.sin(step), 1.0])
        copies.append(env.data.__copy__())
        if recorder is not None:
            recorder.append(env.data, observation.astype(np.float32))
    return copies


def test_states_and_physics_are_parallel_and_in_order(tiny_env: TinyEnv) -> None:
    recorder = Recorder(tiny_env.model)
    copies = run(tiny_env, recorder)
    assert len(recorder) == 6
    assert recorder.states.shape == (6, 4) and recorder.states.dtype == np.float32
    assert recorder.physics.dtype == np.float64
    np.testing.assert_array_equal(recorder.states[:, 0], np.array([data.qpos[0] for data in copies], np.float32))


def test_a_restored_state_is_the_one_recorded(tiny_env: TinyEnv) -> None:
    recorder = Recorder(tiny_env.model)
    copies = run(tiny_env, recorder)
    scratch = mujoco.MjData(tiny_env.model)
    for data, physics in zip(copies, recorder.physics, strict=True):
        restore(tiny_env.model, scratch, physics)
        mujoco.mj_forward(tiny_env.model, data)  # the copy's kinematics are as old as the last step's start
        for field in ("time", "qpos", "qvel", "ctrl", "xpos", "xmat", "subtree_com", "cam_xpos"):
            np.testing.assert_array_equal(getattr(scratch, field), getattr(data, field), err_msg=field)


def test_recording_leaves_the_simulation_alone(tiny_env: TinyEnv) -> None:
    watched = run(tiny_env, Recorder(tiny_env.model))[-1]
    alone = run(TinyEnv(), None)[-1]
    for field in ("qpos", "qvel", "qacc", "qacc_warmstart", "xpos"):
        np.testing.assert_array_equal(getattr(watched, field), getattr(alone, field), err_msg=field)


def test_start_forgets_the_episode_before(tiny_env: TinyEnv) -> None:
    recorder = Recorder(tiny_env.model)
    run(tiny_env, recorder)
    first = recorder.physics
    run(tiny_env, recorder, steps=2)
    assert len(recorder) == len(recorder.states) == len(recorder.physics) == 3
    np.testing.assert_array_equal(recorder.physics, first[:3])
