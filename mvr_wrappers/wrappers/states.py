"""StateReader: batches of observations become the state vectors that relevance is learned on."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.vector.utils import batch_space, iterate
from numpy.typing import NDArray

from mvr_wrappers.errors import EnvError
from mvr_wrappers.filming.access import StateFn, as_state_fn, state_size
from mvr_wrappers.options import function_named


class StateReader:
    """Reads state vectors from batched observations, as `FilmedEnv` reads them from single ones.

    Args:
        space: observation space of one env.
        state_fn: observation of one env -> state vector (D,), or the name of such a function; needed unless
            observations are vectors.

    Raises:
        EnvError: the observations are no vectors and `state_fn` is missing.
    """

    def __init__(self, space: gym.Space[Any], state_fn: StateFn | str | None = None) -> None:
        if isinstance(state_fn, str):
            state_fn = function_named(state_fn, "state_fn")
        self._space = space
        self._to_state = as_state_fn(space, state_fn)
        self._vectors = state_fn is None

    def require_sizes(self, sizes: Iterable[int]) -> None:
        """Checks that the sub-envs, which cut the clips, make states of the same sizes.

        Raises:
            EnvError: they do not.
        """
        own = state_size(self._space, self._to_state)
        for size in sizes:
            if size != own:
                raise EnvError(
                    f"the sub-envs film states of {size} numbers, and here states have {own}: give this wrapper and "
                    "each FilmedEnv the same state_fn, and put FilmedEnv outside wrappers that change observations"
                )

    def one(self, observation: Any) -> NDArray[np.float32]:
        """Returns the state of one observation: a new array, float32 (D,)."""
        return self._to_state(observation)

    def batch(self, observations: Any, count: int) -> NDArray[np.float32]:
        """Returns the states of `count` batched observations: a new array, float32 (count, D)."""
        if self._vectors:
            return np.array(observations, np.float32)
        return np.stack([self._to_state(row) for row in iterate(batch_space(self._space, count), observations)])
