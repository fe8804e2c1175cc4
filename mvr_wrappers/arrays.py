"""State as named arrays, which `numpy.savez` stores without pickling: groups joined by a slash, generators as text."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

Arrays = Mapping[str, NDArray[Any]]


def nested(**parts: Arrays) -> dict[str, NDArray[Any]]:
    """Joins named groups of arrays into one, the names joined by a slash."""
    return {f"{part}/{name}": array for part, arrays in parts.items() for name, array in arrays.items()}


def group(arrays: Arrays, part: str) -> dict[str, NDArray[Any]]:
    """Returns the arrays of one group that `nested` joined, by their own names; none where there is no such group."""
    prefix = f"{part}/"
    return {name.removeprefix(prefix): array for name, array in arrays.items() if name.startswith(prefix)}


def numbered(arrays: Arrays) -> Iterator[dict[str, NDArray[Any]]]:
    """Yields the groups named "0", "1", ... in order."""
    number = 0
    while found := group(arrays, str(number)):
        yield found
        number += 1


def generator_to_array(rng: np.random.Generator) -> NDArray[Any]:
    """Describes a generator made by `numpy.random.default_rng` as a string array ()."""
    return np.array(json.dumps(rng.bit_generator.state))


def generator_from_array(array: NDArray[Any]) -> np.random.Generator:
    """Rebuilds the generator that `generator_to_array` described."""
    bits = np.random.PCG64()
    bits.state = json.loads(str(array))
    return np.random.Generator(bits)
