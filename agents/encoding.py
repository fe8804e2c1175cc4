"""Values as arrays and JSON, which reading cannot execute: what Stable-Baselines3 pickles."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from gymnasium import spaces
from numpy.typing import NDArray
from stable_baselines3.common.type_aliases import TrainFreq, TrainFrequencyUnit
from stable_baselines3.common.utils import ConstantSchedule, FloatSchedule, LinearSchedule

NONE: Mapping[str, Any] = {}
Part = Callable[[Any], Any]
"""Encodes or decodes what a value holds."""


@dataclass(frozen=True, slots=True)
class LeftOut:
    """Stands for what cannot be written, such as a function of the user.

    Attributes:
        what: its kind.
    """

    what: str


@dataclass(frozen=True, slots=True)
class _Kind:
    """How values of a type are written.

    Attributes:
        type: of the values.
        write: value -> JSON.
        read: the other way round.
    """

    type: type
    write: Callable[[Any, Part], Any]
    read: Callable[[Any, Part], Any]


def _float_schedule(content: Any, part: Part) -> FloatSchedule | LeftOut:
    inner = part(content)
    return inner if isinstance(inner, LeftOut) else FloatSchedule(inner)


_KINDS = {
    "train_freq": _Kind(
        TrainFreq,
        lambda it, part: [it.frequency, it.unit.value],
        lambda words, part: TrainFreq(int(words[0]), TrainFrequencyUnit(words[1])),
    ),
    "linear": _Kind(
        LinearSchedule,
        lambda it, part: [it.start, it.end, it.end_fraction],
        lambda words, part: LinearSchedule(*map(float, words)),
    ),
    "constant": _Kind(ConstantSchedule, lambda it, part: it.val, lambda words, part: ConstantSchedule(float(words))),
    "float": _Kind(FloatSchedule, lambda it, part: part(it.value_schedule), _float_schedule),
    "box": _Kind(
        spaces.Box,
        lambda it, part: [part(it.low), part(it.high), str(it.dtype)],
        lambda words, part: spaces.Box(part(words[0]), part(words[1]), dtype=np.dtype(words[2]).type),
    ),
    "deque": _Kind(
        deque,
        lambda it, part: [it.maxlen, [part(item) for item in it]],
        lambda words, part: deque(map(part, words[1]), maxlen=words[0]),
    ),
    "tuple": _Kind(tuple, lambda it, part: [part(item) for item in it], lambda words, part: tuple(map(part, words))),
    "dict": _Kind(
        dict,
        lambda it, part: [[part(key), part(item)] for key, item in it.items()],
        lambda words, part: {part(key): part(item) for key, item in words},
    ),
}
"""In the order in which they are tried: a TrainFreq is a tuple, too."""


def encoded(value: Any, arrays: dict[str, NDArray[Any]], names: Mapping[str, Any] = NONE) -> Any:
    """Returns a value as JSON.

    Args:
        value: numbers, text, arrays, tensors, boxes, schedules, and containers of these; in the place of anything else
            stands that it was left out.
        arrays: arrays and tensors are put in here, and stand by their number.
        names: classes and functions that may be named; a subclass of one too, if it is called the same.
    """
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, str | int | float | bool | None):
        return value
    if isinstance(value, list):
        return [encoded(item, arrays, names) for item in value]
    for name, known in names.items():
        if value is known or (isinstance(value, type) and value.__name__ == name):
            return {"name": name}
    kind, array = ("tensor", value.detach().cpu().numpy()) if isinstance(value, torch.Tensor) else ("array", value)
    if isinstance(array, np.ndarray):
        arrays[number := str(len(arrays))] = array
        return {kind: number}
    for kind, how in _KINDS.items():
        if isinstance(value, how.type):
            return {kind: how.write(value, lambda item: encoded(item, arrays, names))}
    return {"left_out": getattr(value, "__qualname__", type(value).__qualname__)}


def decoded(value: Any, arrays: Mapping[str, NDArray[Any]], names: Mapping[str, Any] = NONE) -> Any:
    """Returns what `encoded` was given; arrays are those that were put aside.

    Raises:
        KeyError, TypeError, ValueError: `encoded` did not return this.
    """
    if isinstance(value, list):
        return [decoded(item, arrays, names) for item in value]
    if not isinstance(value, dict):
        return value
    ((kind, content),) = value.items()
    if kind in ("array", "tensor"):
        return torch.from_numpy(arrays[content]) if kind == "tensor" else arrays[content]
    if kind == "name":
        return names[content]
    if kind == "left_out":
        return LeftOut(str(content))
    return _KINDS[kind].read(content, lambda item: decoded(item, arrays, names))


def left_out(value: Any) -> LeftOut | None:
    """Returns the first thing that was left out of a value; None if it is whole."""
    parts = value.values() if isinstance(value, dict) else value if isinstance(value, list | tuple) else ()
    found = (value if isinstance(value, LeftOut) else None, *(left_out(part) for part in parts))
    return next((each for each in found if each is not None), None)
