"""Saving a NumPy generator as an array, so that a resumed run draws the same numbers without unpickling anything."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
from numpy.typing import NDArray


def generator_to_array(rng: np.random.Generator) -> NDArray[Any]:
    """Describes a generator made by `numpy.random.default_rng` as a string array ()."""
    return np.array(json.dumps(rng.bit_generator.state))


def generator_from_array(array: NDArray[Any]) -> np.random.Generator:
    """Rebuilds the generator that `generator_to_array` described."""
    bits = np.random.PCG64()
    bits.state = json.loads(str(array))
    return np.random.Generator(bits)
