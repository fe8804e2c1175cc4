"""The window that metrics.csv is filled from: means over steps and over the episodes that ended."""

from __future__ import annotations

import numpy as np
import pytest

from mvr_agents.runs.monitor import Window


def step(window: Window, rewards: list[float], dones: list[bool], **more: list[object]) -> None:
    infos = [
        {"task_reward": reward, **{key: values[i] for key, values in more.items()}} for i, reward in enumerate(rewards)
    ]
    window.add(infos, np.array(dones))


def test_task_and_shaped_returns_are_kept_apart() -> None:
    window = Window(n_envs=2)
    step(window, [1.0, 10.0], [False, False], shaping=[-0.5, 0.0], vlm_reward=[-5.0, 0.0])
    step(window, [2.0, 20.0], [True, False], shaping=[-0.25, 0.0], vlm_reward=[-2.5, 0.0])
    means = window.means()
    assert means["task_return"] == 3.0
    assert means["shaped_return"] == 3.0 - 0.75
    assert means["vlm_reward"] == pytest.approx(-7.5 / 4)
    assert means["shaping"] == pytest.approx(-0.75 / 4)


def test_the_fade_is_shaping_beside_task_reward() -> None:
    """Sizes, not sums: shaping of -0.5, 0.25, 0 and 0.25 is 0.25 on average, task rewards of 1, -3, 0 and 4 are 2."""
    window = Window(n_envs=2)
    step(window, [1.0, -3.0], [False, False], shaping=[-0.5, 0.25])
    step(window, [0.0, 4.0], [False, False], shaping=[0.0, 0.25])
    means = window.means()
    assert (means["abs_shaping"], means["abs_task_reward"], means["fade"]) == (0.25, 2.0, 0.125)
    window.clear()
    step(window, [0.0, 0.0], [False, False], shaping=[-0.5, 0.5])
    means = window.means()
    assert means["abs_shaping"] == 0.5 and np.isnan(means["fade"])  # the task paid nothing


def test_episodes_go_on_over_the_end_of_a_window() -> None:
    window = Window(n_envs=1)
    step(window, [1.0], [False], is_success=[True])
    assert np.isnan(window.means()["task_return"])
    window.clear()
    step(window, [2.0], [True], is_success=[False])
    assert window.means()["task_return"] == 3.0
    assert window.means()["success"] == 1.0  # solved at a step of the window before
    window.clear()
    step(window, [5.0], [True], is_success=[False])
    assert window.means()["task_return"] == 5.0 and window.means()["success"] == 0.0


def test_what_was_not_reported_is_unknown() -> None:
    window = Window(n_envs=1)
    assert all(np.isnan(value) for value in window.means().values())
    step(window, [1.0], [True])
    means = window.means()
    assert means["task_return"] == 1.0
    assert all(
        np.isnan(means[name]) for name in ("shaped_return", "shaping", "abs_shaping", "fade", "vlm_reward", "success")
    )
