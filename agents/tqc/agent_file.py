"""The file of a JAX agent: arrays and JSON, which loading cannot execute."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import optax
import torch as th
from numpy.typing import NDArray

from mvr_agents.encoding import LeftOut, decoded, encoded, left_out
from mvr_agents.tqc.policy import TQCPolicy
from mvr_agents.tqc.replay import DeviceReplayBuffer
from mvr_wrappers.arrays import group, nested
from mvr_wrappers.engine.arrays_file import read_arrays, write_arrays
from mvr_wrappers.errors import ConfigError, EngineError

FORMAT = 1
"""Of the file. Raise it where something gets another name or meaning, and have `read_agent` say which was which."""

Parameters = dict[str, dict[str, th.Tensor]]

_NAMES: dict[str, Any] = {
    "TQCPolicy": TQCPolicy,
    "DeviceReplayBuffer": DeviceReplayBuffer,
    **{f"torch.optim.{name}": getattr(th.optim, name) for name in ("Adam", "AdamW", "RMSprop", "SGD")},
    **{
        f"optax.{name}": getattr(optax, name)
        for name in ("adam", "adamw", "amsgrad", "lion", "nadam", "rmsprop", "sgd")
    },
    **{f"torch.nn.{name}": getattr(th.nn, name) for name in ("ELU", "GELU", "LeakyReLU", "ReLU", "SiLU", "Tanh")},
    **{f"jax.nn.{name}": getattr(jax.nn, name) for name in ("elu", "gelu", "leaky_relu", "relu", "silu", "tanh")},
}
"""Classes and functions that a file may name."""


def write_agent(path: str | Path, data: Mapping[str, Any], parameters: Parameters) -> None:
    """Writes attributes and parameters of an agent.

    Args:
        path: the file; ".zip" is added where it has no suffix, as Stable-Baselines3 does.
        data: name of an attribute -> value.
        parameters: see `BaseAlgorithm.get_parameters`.
    """
    arrays: dict[str, NDArray[Any]] = {}
    words = {name: encoded(value, arrays, _NAMES) for name, value in data.items()}
    tensors = {name: {key: tensor.numpy() for key, tensor in part.items()} for name, part in parameters.items()}
    header = {"format": FORMAT, "kind": "agent", "data": words}
    write_arrays(_with_suffix(path), header, nested(data=arrays, **tensors))


def read_agent(path: str | Path) -> tuple[dict[str, Any], Parameters]:
    """Reads what `write_agent` wrote; values of `LeftOut` stand for what it could not write.

    Raises:
        ConfigError: no such file, a damaged one, or one that something else or a newer version wrote.
    """
    path = _with_suffix(path)
    try:
        header, arrays = read_arrays(path)
        if header.get("kind") != "agent" or header["format"] not in range(1, FORMAT + 1):
            raise ConfigError(f"{path} is no agent that this version reads: format {header.get('format')}")
        of_data = group(arrays, "data")
        data = {name: decoded(value, of_data, _NAMES) for name, value in header["data"].items()}
    except (EngineError, KeyError, TypeError, ValueError, AttributeError) as error:
        if isinstance(error, ConfigError):
            raise
        raise ConfigError(f"{path} is damaged, or no agent of this package ({error})") from error
    parameters: Parameters = {}
    for name, array in arrays.items():
        part, _, key = name.partition("/")
        if part != "data":
            parameters.setdefault(part, {})[key] = th.from_numpy(array)
    return data, parameters


def is_pickled(path: str | Path) -> bool:
    """Returns whether a file is one of Stable-Baselines3's, whose member `data` holds pickles."""
    try:
        with zipfile.ZipFile(_with_suffix(path)) as archive:
            return "data" in archive.namelist()
    except (OSError, zipfile.BadZipFile):
        return False


def fill_in(data: dict[str, Any], path: str | Path, *, needed: bool) -> None:
    """Does without what was left out of a file where that is possible, in place.

    Args:
        data: what `read_agent` returned, with what the user gave instead.
        path: for the error.
        needed: whether the agent is to learn; without, learning rates and replay buffers play no part.

    Raises:
        ConfigError: something that is needed was left out.
    """
    stand_ins: dict[str, Any] = {"action_noise": None}
    if not needed:
        stand_ins |= {
            "learning_rate": 0.0,
            "lr_schedule": None,
            "replay_buffer_class": None,
            "replay_buffer_kwargs": {},
        }
    elif not isinstance(data["learning_rate"], LeftOut):
        stand_ins["lr_schedule"] = None  # which is made of the learning rate
    for name, value in data.items():
        missing = left_out(value)
        if missing is None:
            continue
        if name not in stand_ins or (needed and name == "action_noise"):
            raise ConfigError(
                f"{path} was saved without {name}, as {missing.what} is no value that a file can hold: give "
                f"custom_objects={{{name!r}: ...}}"
            )
        data[name] = stand_ins[name]


def _with_suffix(path: str | Path) -> Path:
    path = Path(path)
    return path if path.suffix else path.with_suffix(".zip")
