"""State relevance, learned from scored clips: torch in model, losses and trainer; NumPy arrays go in and out."""

from mvr_wrappers.relevance.dataset import ClipBatch, ClipDataset
from mvr_wrappers.relevance.losses import matching_loss, representation_loss
from mvr_wrappers.relevance.model import RelevanceModel
from mvr_wrappers.relevance.reference import ReferenceSet
from mvr_wrappers.relevance.trainer import RelevanceTrainer, UpdateReport

__all__ = [
    "ClipBatch",
    "ClipDataset",
    "ReferenceSet",
    "RelevanceModel",
    "RelevanceTrainer",
    "UpdateReport",
    "matching_loss",
    "representation_loss",
]
