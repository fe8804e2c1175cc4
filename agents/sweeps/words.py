"""From the configuration of a run to the words of `mvr train` that make it."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator
from typing import Any

import yaml

from mvr_agents.runs.config import TrainConfig

_MAPPINGS = ("rig", "env_kwargs")  # options that are one word of YAML


def train_words(config: TrainConfig) -> list[str]:
    """Returns the words after `mvr`: the task, the preset, and whatever differs from what these say."""
    usual = dict(_leaves(TrainConfig.for_task(config.task, config.preset)))
    words = ["train", config.task, "--preset", config.preset]
    for name, value in _leaves(config):
        if name not in ("task", "preset") and value != usual[name]:
            words.extend(_option(name.replace("_", "-"), value))
    return words


def _leaves(settings: Any, above: str = "") -> Iterator[tuple[str, Any]]:
    """Yields the options by their names on the command line, where hyper-parameters stand beside the others."""
    for item in dataclasses.fields(settings):
        value = getattr(settings, item.name)
        if dataclasses.is_dataclass(value):
            yield from _leaves(value, f"{above}{item.name}.")
        elif item.name == "hyperparameters":
            yield from value.items()
        else:
            yield f"{above}{item.name}", value


def _option(name: str, value: Any) -> list[str]:
    if isinstance(value, bool):
        above, _, last = name.rpartition(".")
        flag = f"{'' if value else 'no-'}{last}"
        return [f"--{above}.{flag}" if above else f"--{flag}"]
    if name.replace("-", "_") in _MAPPINGS and value is not None:
        return [f"--{name}", yaml.safe_dump(value, default_flow_style=True, width=math.inf).strip()]
    if isinstance(value, list | tuple):
        return [f"--{name}", *map(str, value)]
    return [f"--{name}={value}"]
