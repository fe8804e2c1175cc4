"""A world that was simulated elsewhere, as an env: filmed as any other."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import mujoco
import numpy as np
from numpy.typing import NDArray

from mvr_wrappers.mjx.records import Record


class RecordedWorld(gym.Env[Any, Any]):
    """Shows the records of one world one after the other: `reset` and `step` both go on to `record`.

    Args:
        model: of the simulation, for rendering.
        state_dim: D.

    Attributes:
        record: what comes next, of this world alone.
    """

    action_space = gym.spaces.Discrete(1)
    record: Record

    def __init__(self, model: mujoco.MjModel, state_dim: int) -> None:
        self.model, self.data = model, mujoco.MjData(model)
        self.observation_space = gym.spaces.Box(-np.inf, np.inf, (state_dim,), np.float32)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[NDArray[np.float32], dict[str, Any]]:
        """Begins an episode with the record."""
        super().reset(seed=seed)
        return self._show(), {}

    def step(self, action: Any) -> tuple[NDArray[np.float32], float, bool, bool, dict[str, Any]]:
        """Goes on to the record, whatever the action; an episode ends where `reset` begins the next."""
        return self._show(), float(self.record.task_reward), False, False, {}

    def _show(self) -> NDArray[np.float32]:
        data, record = self.data, self.record
        data.qpos[:], data.qvel[:] = record.qpos, record.qvel
        data.mocap_pos[:], data.mocap_quat[:] = record.mocap_pos, record.mocap_quat
        return np.asarray(record.states, np.float32)
