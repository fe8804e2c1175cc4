"""Frozen video-text encoders behind one protocol, and the door to them."""

from __future__ import annotations

from mvr_wrappers.scorers.base import Scorer
from mvr_wrappers.scorers.goal import Goal
from mvr_wrappers.scorers.registry import load_scorer, register_scorer, scorer_names, scorer_options

__all__ = ["Goal", "Scorer", "load_scorer", "register_scorer", "scorer_names", "scorer_options"]
