"""State relevance, learned from scored clips: NumPy arrays go in and out. torch is loaded at the first use of it."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mvr_wrappers.relevance.dataset import ClipBatch, ClipDataset
    from mvr_wrappers.relevance.losses import direct_loss, matching_loss, representation_loss
    from mvr_wrappers.relevance.model import RelevanceModel
    from mvr_wrappers.relevance.reference import ReferenceSet
    from mvr_wrappers.relevance.trainer import RelevanceTrainer, UpdateReport

_HOMES = {
    "ClipBatch": "dataset",
    "ClipDataset": "dataset",
    "ReferenceSet": "reference",
    "RelevanceModel": "model",
    "RelevanceTrainer": "trainer",
    "UpdateReport": "trainer",
    "direct_loss": "losses",
    "matching_loss": "losses",
    "representation_loss": "losses",
}

__all__ = [
    "ClipBatch",
    "ClipDataset",
    "ReferenceSet",
    "RelevanceModel",
    "RelevanceTrainer",
    "UpdateReport",
    "direct_loss",
    "matching_loss",
    "representation_loss",
]


def __getattr__(name: str) -> object:
    """Imports a public name from its module at first use."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
