"""Snapshots of random networks, and of one whose relevance is known."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from mvr_wrappers.relevance.model import RelevanceModel
from mvr_wrappers.relevance_net import RelevanceNet
from mvr_wrappers.settings import RewardSettings
from mvr_wrappers.snapshot import RewardSnapshot

RULES = [RewardSettings(), RewardSettings(rule="potential"), RewardSettings(baseline="none", bound=None)]


def make_net(rng: np.random.Generator, dim: int = 3, hidden: int = 16) -> RelevanceNet:
    model = RelevanceModel(dim, hidden, torch.Generator().manual_seed(int(rng.integers(100))))
    model.set_standardisation(rng.normal(size=dim), rng.uniform(0.5, 2, size=dim))
    return model.net()


def identity_net() -> RelevanceNet:
    """A net of two inputs whose relevance is known: f(s) = s_0 / |s| for s_0, s_1 >= 0."""
    eye, zero = np.eye(2, dtype=np.float32), np.zeros(2, np.float32)
    return RelevanceNet(zero, zero + 1, eye, zero, eye, zero, np.array([1, 0], np.float32))


def make_snapshot(rng: np.random.Generator, reward: RewardSettings | None = None, **changes: Any) -> RewardSnapshot:
    options = {"tau": 0.1, "weight": 0.5, "version": 1, **changes}
    net = options.pop("net", None) or make_net(rng)
    references = options.pop("references", None)
    references = rng.uniform(-1, 1, (4, 8)) if references is None else references
    return RewardSnapshot.build(net, references, reward=reward or RewardSettings(), **options)
