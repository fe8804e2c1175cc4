"""What RewardLogger takes from `info`: the numbers that are the task's own."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from mvr_wrappers.sb3 import make_vec_env
from mvr_wrappers.sb3.logger import NOT_THE_TASKS, task_info_means
from tests.support.tiny_task import TASKS


def test_numbers_are_averaged_over_the_sub_envs() -> None:
    infos: list[dict[str, Any]] = [
        {"near_object": 0.25, "grasp_success": True, "reward_ctrl": np.float32(-0.5), "only_here": 3},
        {"near_object": np.float64(0.75), "grasp_success": np.False_, "reward_ctrl": np.float32(-1.5)},
    ]
    means = {"near_object": 0.5, "grasp_success": 0.5, "reward_ctrl": -1.0, "only_here": 3.0}
    assert task_info_means(infos) == means


def test_what_is_no_number_does_not_count() -> None:
    info = {"name": "hammer", "tendon": np.zeros(2), "more": {"a": 1}, "none": None, "nan": math.nan, "far": math.inf}
    assert task_info_means([info]) == {}
    assert task_info_means([{"x": math.nan}, {"x": 2.0}]) == {"x": 2.0}
    assert task_info_means([{}, {}]) == {}


@pytest.mark.parametrize("shaping", [True, False])
def test_our_own_keys_are_not_the_tasks(shaping: bool) -> None:
    """An episode to its end, with all the keys that wrappers and Stable-Baselines3 add on the way."""
    venv = make_vec_env(f"{TASKS}:tiny", n_envs=2, seed=0, shaping=shaping, env_kwargs={"device": "cpu"})
    venv.reset()
    seen: set[str] = set()
    for _ in range(40):
        *_, infos = venv.step(np.zeros((2, 2), np.float32))
        assert task_info_means(infos).keys() == {"success"}  # all that the tiny env says
        seen |= infos[0].keys()
    venv.close()
    assert seen - {"success"} <= NOT_THE_TASKS and "terminal_observation" in seen
