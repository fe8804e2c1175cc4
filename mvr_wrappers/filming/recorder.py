"""What is kept of an episode while it runs: enough to film it later, and to know which state each frame shows."""

from __future__ import annotations

import mujoco
import numpy as np
from numpy.typing import NDArray

from mvr_wrappers.filming.looks import Looks

_SIGNATURE = mujoco.mjtState.mjSTATE_INTEGRATION


class Recorder:
    """Records one episode of one model: a physics state and a state vector a step, frames never.

    Args:
        model: the model simulated.

    Attributes:
        looks: how the model looked, from `start` on.
    """

    looks: Looks

    def __init__(self, model: mujoco.MjModel) -> None:
        self.model = model
        self._size = mujoco.mj_stateSize(model, _SIGNATURE)
        self._physics: list[NDArray[np.float64]] = []
        self._states: list[NDArray[np.float32]] = []

    def __len__(self) -> int:
        """Number of states recorded."""
        return len(self._states)

    def start(self, data: mujoco.MjData, state: NDArray[np.float32]) -> None:
        """Forgets what was recorded and records the first state of an episode.

        Args:
            data: the simulation, read only.
            state: float32 (D,), the state the agent sees; not copied.
        """
        self.looks = Looks(self.model)
        self._physics, self._states = [], []
        self.append(data, state)

    def append(self, data: mujoco.MjData, state: NDArray[np.float32]) -> None:
        """Records the state after a step; arguments as of `start`."""
        self.looks.watch(len(self))
        physics = np.empty(self._size)
        mujoco.mj_getState(self.model, data, physics, _SIGNATURE)
        self._physics.append(physics)
        self._states.append(state)

    @property
    def states(self) -> NDArray[np.float32]:
        """float32 (T, D), the state vectors."""
        return np.stack(self._states)

    @property
    def physics(self) -> NDArray[np.float64]:
        """float64 (T, P), the states of the simulation: all that decides what follows (`mjSTATE_INTEGRATION`)."""
        return np.stack(self._physics)


def restore(model: mujoco.MjModel, data: mujoco.MjData, physics: NDArray[np.float64]) -> None:
    """Sets `data` to a recorded physics state (P,) and computes the kinematics and all else rendering reads."""
    mujoco.mj_setState(model, data, physics, _SIGNATURE)
    mujoco.mj_forward(model, data)
