"""TransitionShaper: adds the learned term to the rewards of N envs and totals their episodes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mvr_wrappers.wrappers.routing import EnginePerEnv

Rows = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class ShapedStep:
    """One step of N envs. All arrays are (N,) and zero where an env did not really step.

    Attributes:
        rewards: task reward plus shaping.
        shaping: float32, the term added.
        vlm_rewards: float32, r_vlm(s_t), unweighted.
    """

    rewards: NDArray[np.floating[Any]]
    shaping: NDArray[np.float32]
    vlm_rewards: NDArray[np.float32]


class TransitionShaper:
    """Remembers the states that N envs are in, shapes the transitions out of them, and totals each episode.

    The term of the transition from s_t to s_t+1 is evaluated at s_t. All three wrappers go through this class, so that
    they agree.

    Args:
        engines: give the snapshot that shapes each env.
        n_envs: N.
    """

    def __init__(self, engines: EnginePerEnv, n_envs: int) -> None:
        self._engines = engines
        self._states: NDArray[np.float32] = np.zeros((n_envs, 0), np.float32)
        self._success_known = False
        self._task_return, self._shaped_return, self._vlm_return = (np.zeros(n_envs) for _ in range(3))
        self._length = np.zeros(n_envs, np.int64)
        self._success = np.zeros(n_envs, np.bool_)

    def begin(self, states: NDArray[np.float32], rows: Rows | None = None) -> None:
        """Starts new episodes.

        Args:
            states: float32 (N, D), the first states.
            rows: bool (N,), the envs that were reset; None is all.
        """
        if rows is None:
            rows = np.ones(len(states), np.bool_)
        # The first reset of all may be one of some: no state is known yet of the others, and none is needed.
        first = self._states.shape != states.shape
        self._states = states if first else np.where(rows[:, None], states, self._states)
        self._forget(rows)

    def step(
        self,
        rewards: NDArray[np.floating[Any]],
        states: NDArray[np.float32],
        terminated: Rows,
        success: Rows | None = None,
        stepped: Rows | None = None,
    ) -> ShapedStep:
        """Shapes one transition of each env and moves on to the states it led to.

        Args:
            rewards: (N,), task rewards.
            states: float32 (N, D), s_t+1: the final state where an episode ended, not one after a reset.
            terminated: bool (N,), where s_t+1 is terminal (not where it was truncated).
            success: bool (N,), where the task is solved; None where the env does not say.
            stepped: bool (N,); False where the env was reset instead of stepped; None: all stepped.
        """
        shaping, vlm_rewards = np.zeros((2, len(states)), np.float32)
        for snapshot, rows in self._engines.snapshots():
            shaping[rows], vlm_rewards[rows] = snapshot.evaluate(self._states[rows], states[rows], terminated[rows])
        if stepped is not None and not stepped.all():
            shaping, vlm_rewards = (np.where(stepped, term, np.float32(0)) for term in (shaping, vlm_rewards))
        self._engines.note_paid(shaping, rewards)
        shaped = rewards + shaping
        self._states = states
        self._task_return += rewards
        self._shaped_return += shaped
        self._vlm_return += vlm_rewards
        self._length += 1 if stepped is None else stepped.astype(np.int64)
        if success is not None:
            self._success_known = True
            self._success |= success
        return ShapedStep(shaped, shaping, vlm_rewards)

    def finish(self, rows: Rows) -> dict[str, NDArray[Any]]:
        """Returns the totals (N,) of the episodes that ended in `rows`, and forgets them.

        The keys are `task_return`, `shaped_return`, `vlm_return` (sums over the episode), `length`, and `success`
        (whether the task was solved at any step) where the env says.
        """
        totals: dict[str, NDArray[Any]] = {
            "task_return": self._task_return.copy(),
            "shaped_return": self._shaped_return.copy(),
            "vlm_return": self._vlm_return.copy(),
            "length": self._length.copy(),
        }
        if self._success_known:
            totals["success"] = self._success.copy()
        self._forget(rows)
        return totals

    def _forget(self, rows: Rows) -> None:
        for total in (self._task_return, self._shaped_return, self._vlm_return):
            total[rows] = 0.0
        self._length[rows] = 0
        self._success[rows] = False
