from __future__ import annotations

import numpy as np
import pytest
import torch

from tools.pocket.losses import (
    SHARPNESS,
    TEMPERATURE,
    learning_rate,
    matching_term,
    naming_term,
    order_term,
    twin_term,
)


def test_matching_term_by_hand() -> None:
    logits, match = torch.tensor([[2.0, -1.0], [0.5, 3.0]]), torch.eye(2)
    weight = torch.tensor([[1.0, 1.0], [0.0, 1.0]])
    expected = -sum(np.log(1 / (1 + np.exp(-x))) for x in (2.0, 1.0, 3.0)) / 2
    assert matching_term(logits, match, weight).item() == pytest.approx(expected, rel=1e-5)


def test_order_term_is_zero_where_scores_are_as_asked() -> None:
    level = torch.tensor([0.0, 0.5, 1.0])
    scores = TEMPERATURE * SHARPNESS * level + 0.3
    assert order_term(scores, level, torch.zeros(3)).item() == pytest.approx(0, abs=1e-6)
    assert order_term(-scores, level, torch.zeros(3)).item() > 1


def test_order_term_by_hand() -> None:
    """Levels 1 and 0, score 0.1 apart: cross-entropy of sigmoid(6) and sigmoid(1), less the entropy of sigmoid(6)."""
    scores, level, owner = torch.tensor([0.3, 0.2, 0.9]), torch.tensor([1.0, 0.0, 0.5]), torch.tensor([0, 0, 1])
    p, q = 1 / (1 + np.exp(-6)), 1 / (1 + np.exp(-1))
    expected = -p * np.log(q / p) - (1 - p) * np.log((1 - q) / (1 - p))
    assert order_term(scores, level, owner).item() == pytest.approx(expected, rel=1e-4)


def test_order_term_pulls_equal_levels_together() -> None:
    scores = torch.tensor([0.3, 0.1], requires_grad=True)
    order_term(scores, torch.ones(2), torch.zeros(2)).backward()
    assert scores.grad is not None and scores.grad[0] > 0 > scores.grad[1]


def test_twin_term_by_hand() -> None:
    rows = torch.tensor([[1.0, 0.0], [0.0, 1.0], [1.0, 0.0]])
    assert twin_term(rows, torch.tensor([1, 0, 2])).item() == pytest.approx(2)
    assert twin_term(rows, torch.arange(3)).item() == 0


def test_naming_term_by_hand() -> None:
    """Two clips with names to choose from, of three and of one; one clip without any."""
    scores = torch.tensor([[0.3, 0.2, 0.1, 0.9], [0.5, 0.5, 0.5, 0.5], [0.9, 0.0, 0.0, 0.4]])
    offered = torch.tensor([[1, 1, 1, 0], [0, 0, 0, 0], [0, 0, 0, 1]]).bool()
    expected = -np.log(np.exp(2) / (np.exp(3) + np.exp(2) + np.exp(1))) / 2
    assert naming_term(scores, offered, torch.tensor([1, 0, 3])).item() == pytest.approx(expected, rel=1e-4)
    assert naming_term(scores[:, :0], offered[:, :0], torch.zeros(3).long()).item() == 0


def test_learning_rate() -> None:
    assert learning_rate(0, 1_000, 2.0, warmup=100) == pytest.approx(0.02)
    assert learning_rate(500, 1_000, 2.0, warmup=100) == learning_rate(500, 5_000, 2.0, warmup=100) == 2.0
    assert learning_rate(850, 1_000, 2.0, warmup=100) == pytest.approx(1.0)
    assert learning_rate(999, 1_000, 2.0, warmup=100) == pytest.approx(2 / 300)
