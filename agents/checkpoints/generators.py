"""The random generators that are global to a process: states that are JSON-safe."""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from gymnasium import spaces
from numpy.typing import NDArray


def generator_states(action_space: spaces.Space[Any]) -> dict[str, Any]:
    """Returns the states of Python's, NumPy's and torch's generators and of the one that warm-up actions come from."""
    return {
        "python": random.getstate(),
        "numpy": _plain(np.random.get_state(legacy=False)),  # noqa: NPY002 - SB3 draws from it
        "torch": torch.get_rng_state().tolist(),
        "cuda": [state.tolist() for state in torch.cuda.get_rng_state_all()] if torch.cuda.is_available() else [],
        "action_space": action_space.np_random.bit_generator.state,
    }


def set_generator_states(states: Mapping[str, Any], action_space: spaces.Space[Any]) -> None:
    """Sets what `generator_states` returned; CUDA's only where there are as many devices as then."""
    version, numbers, rest = states["python"]
    random.setstate((version, tuple(numbers), rest))
    np.random.set_state(states["numpy"])  # noqa: NPY002 - as above
    torch.set_rng_state(torch.tensor(states["torch"], dtype=torch.uint8))
    if torch.cuda.is_available() and torch.cuda.device_count() == len(states["cuda"]):
        torch.cuda.set_rng_state_all([torch.tensor(state, dtype=torch.uint8) for state in states["cuda"]])
    action_space.np_random.bit_generator.state = states["action_space"]


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    array: NDArray[Any] | Any = value
    return array.tolist() if isinstance(array, np.ndarray) else array
