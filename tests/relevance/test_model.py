from __future__ import annotations

import numpy as np
import pytest
import torch

from mvr_wrappers.relevance.model import RelevanceModel
from mvr_wrappers.relevance_net import relevance


def make_model(state_dim: int = 3, hidden: int = 16, seed: int = 0) -> RelevanceModel:
    return RelevanceModel(state_dim, hidden, torch.Generator().manual_seed(seed))


def numpy_relevance(model: RelevanceModel, states: np.ndarray) -> np.ndarray:
    """The equations of the paper in float64, from the raw parameters."""
    p = {name: tensor.numpy().astype(np.float64) for name, tensor in model.state_dict().items()}
    h = np.maximum((states - p["mean"]) / p["std"] @ p["layer_1.weight"].T + p["layer_1.bias"], 0)
    h = h @ p["layer_2.weight"].T + p["layer_2.bias"]
    g = h / np.linalg.norm(h, axis=-1, keepdims=True)
    return g @ (p["direction"] / np.linalg.norm(p["direction"]))


def test_equations(rng):
    model = make_model()
    model.set_standardisation(np.array([1.0, -2.0, 0.0]), np.array([0.5, 3.0, 1.0]))
    states = rng.normal(size=(5, 4, 3)).astype(np.float32)
    np.testing.assert_allclose(model.relevance(states), numpy_relevance(model, states), atol=1e-6)


def test_embeddings_are_unit_rows(rng):
    g = make_model().embed(torch.from_numpy(rng.normal(size=(20, 3), scale=100).astype(np.float32)))
    assert g.shape == (20, 16)
    np.testing.assert_allclose(g.norm(dim=-1).detach(), 1, atol=1e-6)


@pytest.mark.parametrize("scale", [0.0, 1e-6, 1.0, 1e6, 1e15])
def test_relevance_is_bounded(rng, scale):
    states = (rng.normal(size=(1000, 3)) * scale).astype(np.float32)
    f = make_model().relevance(states)
    assert np.isfinite(f).all() and (np.abs(f) <= 1 + 1e-6).all()


def test_relevance_maps_numpy_to_numpy_and_drops_the_last_axis(rng):
    f = make_model().relevance(rng.normal(size=(2, 5, 3)).astype(np.float32))
    assert type(f) is np.ndarray and f.dtype == np.float32 and f.shape == (2, 5)


def test_clip_relevance_is_the_direction_times_the_mean_embedding(rng):
    """fbar = <d/|d|, gbar>: the trainer relies on it."""
    model = make_model()
    states = torch.from_numpy(rng.normal(size=(4, 8, 3)).astype(np.float32))
    mean_of_f, f_of_mean = model(states).mean(1), model.embed(states).mean(1) @ model.unit_direction
    torch.testing.assert_close(mean_of_f, f_of_mean)


def test_one_seed_gives_one_model_and_leaves_the_global_generator_alone():
    before = torch.get_rng_state()
    first, same, other = make_model(seed=1), make_model(seed=1), make_model(seed=2)
    assert torch.equal(torch.get_rng_state(), before)
    for name, tensor in first.state_dict().items():
        assert torch.equal(tensor, same.state_dict()[name])
    assert not torch.equal(first.direction, other.direction)


def test_initial_weights_are_those_of_torch_layers():
    model = make_model(state_dim=100, hidden=400)
    for layer, inputs in ((model.layer_1, 100), (model.layer_2, 400)):
        bound = 1 / np.sqrt(inputs)
        for parameter in (layer.weight, layer.bias):
            assert parameter.abs().max() <= bound
            assert parameter.std().item() == pytest.approx(bound / np.sqrt(3), rel=0.1)


def test_net_is_the_same_function_in_numpy(rng):
    model = make_model()
    model.set_standardisation(rng.normal(size=3), rng.uniform(0.1, 10, size=3))
    states = rng.normal(size=(50, 3)).astype(np.float32)
    net = model.net()
    assert all(type(part) is np.ndarray and part.dtype == np.float32 for part in net)
    np.testing.assert_allclose(relevance(net, states), numpy_relevance(model, states), atol=1e-6)


def test_net_does_not_alias_the_weights():
    model = make_model()
    net = model.net()
    kept = [part.copy() for part in net]
    with torch.no_grad():
        for tensor in model.state_dict().values():
            tensor.fill_(7)
    for part, before in zip(net, kept, strict=True):
        np.testing.assert_array_equal(part, before)


def test_standardised_states_are_clipped_in_the_model_and_in_its_net(rng):
    """A feature that has hardly ever changed must not outweigh all others when it does."""
    bounded, free = make_bounded(5.0), make_bounded(None)
    states = rng.normal(size=(20, 3)).astype(np.float32)
    far = states.copy()
    far[:, 1] = 0.5  # half a million deviations
    inside = np.clip((far - [0, 0, 0]) / [1, 1e-6, 1], -5, 5) * [1, 1e-6, 1]
    np.testing.assert_allclose(bounded.relevance(far), numpy_relevance(bounded, inside), atol=1e-6)
    np.testing.assert_allclose(relevance(bounded.net(), far), bounded.relevance(far), atol=1e-6)
    np.testing.assert_allclose(free.relevance(far), numpy_relevance(free, far), atol=1e-6)
    assert np.ptp(free.relevance(far)) < 1e-3 < np.ptp(bounded.relevance(far))  # nothing else counted any more


def make_bounded(bound: float | None) -> RelevanceModel:
    model = RelevanceModel(3, 16, torch.Generator().manual_seed(0), state_bound=bound)
    model.set_standardisation(np.zeros(3), np.array([1.0, 1e-6, 1.0]))
    return model


@pytest.mark.parametrize("length", [1.0, 1.45, 22.6])
def test_the_direction_starts_at_the_length_asked_for(length):
    model = RelevanceModel(3, 512, torch.Generator().manual_seed(0), direction_length=length)
    assert model.direction.norm().item() == pytest.approx(length, rel=1e-5)
