"""Learners for `mvr_wrappers` tasks, and the `mvr` command. Every public name is imported at its first use."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .config import TrainConfig
    from .runs.evaluate import evaluate
    from .tqc import TQC
    from .train import train

_HOMES = {
    "TQC": "tqc",
    "TrainConfig": "config",
    "evaluate": "runs.evaluate",
    "train": "train",
}

__all__ = ["TQC", "TrainConfig", "evaluate", "train"]


def __getattr__(name: str) -> object:
    """Imports a public name from its module at first use."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
    globals()[name] = value  # over the module of the same name, which the import has put here
    return value


def __dir__() -> list[str]:
    """Lists the public names."""
    return sorted(__all__)
