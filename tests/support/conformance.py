"""What the tests of foreign clients (tests/conformance) share: real ids, set to film and learn soon."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

FAST: dict[str, Any] = {
    "clip": {"length": 8, "stride": 2, "frames": 4, "film_every": 1, "image_size": 32},
    "relevance": {"hidden": 16, "pairs": 16, "steps_per_epoch": 5, "max_steps": 10, "references": 3},
    "schedule": {"score_every": 20, "update_every": 40},
    "weight": 1.0,
    "env_kwargs": {"max_episode_steps": 25},
}
"""Keywords of every id: episodes of at most 25 steps, each filmed; the first update is published within fifty."""

IDS = ("MVR/Hopper-v5", "MVR/window-close-v3")

SEPARATE_ENGINES = "ignore:each of these envs gets a reward engine of its own:UserWarning"
METAWORLD_ACTIONS = "ignore:.*precision lowered:UserWarning"  # Gymnasium, of the bounds of Meta-World's action space


def need_packages(env_id: str) -> None:
    """Skips where the package of an id is missing, naming what installs it."""
    if env_id == "MVR/window-close-v3":
        pytest.importorskip("metaworld", reason="the extra metaworld is not installed")


def actions_of(steps: int, *shape: int) -> np.ndarray:
    """Returns the same actions every time: float32 (steps, *shape) in [-1, 1]."""
    return np.random.default_rng(0).uniform(-1, 1, (steps, *shape)).astype(np.float32)


def check_video(path: Any, n_frames: int) -> None:
    """Checks that a file holds a video of so many frames, and that its pictures differ."""
    import av

    with av.open(str(path)) as container:
        frames = [frame.to_ndarray(format="rgb24").astype(int) for frame in container.decode(video=0)]
    assert len(frames) == n_frames
    assert np.ptp(frames[0]) > 100 and np.abs(frames[-1] - frames[0]).max() > 20
