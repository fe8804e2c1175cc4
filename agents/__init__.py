"""Learners for `mvr_wrappers` tasks, and the `mvr` command. Every public name is imported at its first use."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mvr_agents.checkpoints.callback import CheckpointCallback
    from mvr_agents.runs.config import TrainConfig
    from mvr_agents.runs.evaluate import evaluate
    from mvr_agents.tqc.algorithm import TQC
    from mvr_agents.training import resume, train

_HOMES = {
    "CheckpointCallback": "checkpoints.callback",
    "TQC": "tqc.algorithm",
    "TrainConfig": "runs.config",
    "evaluate": "runs.evaluate",
    "resume": "training",
    "train": "training",
}

__all__ = ["TQC", "CheckpointCallback", "TrainConfig", "evaluate", "resume", "train"]


def __getattr__(name: str) -> object:
    """Imports a public name from its module at first use."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    """Lists the public names."""
    return sorted(__all__)
