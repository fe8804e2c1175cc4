from __future__ import annotations

from functools import partial

import numpy as np
import pytest
import torch

from mvr_wrappers.relevance.losses import direct_loss, matching_loss, representation_loss
from tests.support.known import present


def numpy_matching_loss(f_i, f_j, psi_i, psi_j, tau, beta):
    p = 1 / (1 + np.exp(-(f_i - f_j) / tau))
    y = 1 / (1 + np.exp(-beta * (psi_i - psi_j)))
    return np.mean(-y * np.log(p) - (1 - y) * np.log(1 - p))


def test_matching_loss_of_equal_clips_is_log_two():
    zeros = torch.zeros(5)
    assert matching_loss(zeros, zeros, zeros, zeros).item() == pytest.approx(0.693147, abs=1e-6)


def test_matching_loss_by_hand():
    # sigma(0.1 / 0.1) = 0.7310586, sigma(100 * 0.02) = 0.8807971:
    # -0.8807971 ln 0.7310586 - 0.1192029 ln 0.2689414 = 0.2759138 + 0.1565380
    f_i, f_j, psi_i, psi_j = (torch.tensor([value]) for value in (0.3, 0.2, 0.25, 0.23))
    assert matching_loss(f_i, f_j, psi_i, psi_j).item() == pytest.approx(0.432451, abs=1e-4)


def test_matching_loss_equals_numpy_reference(rng):
    f_i, f_j = rng.uniform(-1, 1, (2, 64))
    psi_i, psi_j = rng.uniform(0.1, 0.3, (2, 64))
    tensors = [torch.from_numpy(array) for array in (f_i, f_j, psi_i, psi_j)]
    found = partial(matching_loss, tau=0.2, beta=30.0)(*tensors)
    assert found.item() == pytest.approx(numpy_matching_loss(f_i, f_j, psi_i, psi_j, 0.2, 30.0), rel=1e-9)


def test_matching_loss_is_symmetric_in_the_pair(rng):
    f_i, f_j, psi_i, psi_j = (torch.from_numpy(rng.normal(size=16)) for _ in range(4))
    assert matching_loss(f_i, f_j, psi_i, psi_j).item() == pytest.approx(matching_loss(f_j, f_i, psi_j, psi_i).item())


def test_matching_loss_is_least_where_relevance_matches_scores():
    psi_i, psi_j = torch.tensor([0.02]), torch.tensor([0.0])
    differences = torch.linspace(-1, 1, 2001)
    losses = [matching_loss(d[None], torch.zeros(1), psi_i, psi_j).item() for d in differences]
    assert differences[int(np.argmin(losses))].item() == pytest.approx(0.1 * 100 * 0.02, abs=1e-3)  # tau beta dpsi


def test_matching_loss_is_finite_at_the_extremes():
    ends, scores = torch.tensor([1.0, -1.0], requires_grad=True), torch.tensor([-1.0, 1.0])
    loss = matching_loss(ends, -ends, scores, -scores, tau=1e-3)
    loss.backward()
    assert torch.isfinite(loss) and torch.isfinite(present(ends.grad)).all()
    assert loss.item() == pytest.approx(2000)  # every pair wrong by 2 / tau


def test_representation_loss_by_hand():
    e_i, e_j = torch.tensor([[3.0, 0.0], [1.0, 0.0]]), torch.tensor([[4.0, 3.0], [0.0, 2.0]])  # cosines 0.8 and 0
    g_i, g_j = torch.tensor([[0.5, 0.0], [0.5, 0.5]]), torch.tensor([[0.6, 1.0], [-0.5, -0.5]])  # products 0.3, -0.5
    assert representation_loss(e_i, e_j, g_i, g_j).item() == pytest.approx((0.5 + 0.5) / 2)


def test_representation_loss_equals_numpy_reference(rng):
    e_i, e_j, g_i, g_j = (rng.normal(size=(9, 7)) for _ in range(4))
    cosines = [a @ b / np.linalg.norm(a) / np.linalg.norm(b) for a, b in zip(e_i, e_j, strict=True)]
    expected = np.mean([abs(c - a @ b) for c, a, b in zip(cosines, g_i, g_j, strict=True)])
    assert representation_loss(*(torch.from_numpy(a) for a in (e_i, e_j, g_i, g_j))).item() == pytest.approx(expected)


def test_representation_loss_reaches_state_embeddings_alone():
    g = torch.ones(1, 2, requires_grad=True)
    representation_loss(torch.ones(1, 3), torch.ones(1, 3), g, torch.ones(1, 2)).backward()
    assert (present(g.grad) == 1).all()  # <g, 1> = 2 exceeds the cosine 1


def test_representation_loss_of_several_views_by_hand():
    """The cosines between videos of the same view, 1, 0 and -1, have the mean 0; <g_i, g_j> is 0.25."""
    e_i = torch.tensor([[[1.0, 0.0], [1.0, 0.0], [1.0, 0.0]]])
    e_j = torch.tensor([[[2.0, 0.0], [0.0, 3.0], [-1.0, 0.0]]])
    g_i, g_j = torch.tensor([[0.5, 0.0]]), torch.tensor([[0.5, 0.7]])
    assert representation_loss(e_i, e_j, g_i, g_j).item() == pytest.approx(0.25)
    one_view = representation_loss(e_i[:, :1], e_j[:, :1], g_i, g_j).item()
    assert one_view == pytest.approx(representation_loss(e_i[:, 0], e_j[:, 0], g_i, g_j).item()) == pytest.approx(0.75)


def test_direct_loss_by_hand():
    assert direct_loss(torch.tensor([0.5, -0.25]), torch.tensor([0.25, 0.25])).item() == pytest.approx(
        (0.0625 + 0.25) / 2
    )
