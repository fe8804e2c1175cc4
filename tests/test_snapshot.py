from __future__ import annotations

import subprocess
import sys
from typing import Any

import numpy as np
import pytest
import torch

from mvr_wrappers.errors import ConfigError, NonFiniteError
from mvr_wrappers.relevance_net import relevance
from mvr_wrappers.settings import RewardSettings
from mvr_wrappers.snapshot import CHUNK, KNOTS, RewardSnapshot, reward_table, vlm_reward
from tests.support.snapshots import RULES, identity_net, make_net, make_snapshot

LOG_2 = 0.69314718


def exact_reward(f: np.ndarray, references: np.ndarray, tau: float) -> np.ndarray:
    """r_vlm of the paper in float64: mean over s' of log sigma((f(s) - f(s')) / tau)."""
    return np.log(1 / (1 + np.exp(-(f[:, None] - references.ravel()) / tau))).mean(axis=1)


def test_relevance_by_hand():
    f = relevance(identity_net(), np.array([[1, 0], [0, 2], [3, 4], [1, 1], [-5, 1]], np.float32))
    np.testing.assert_allclose(f, [1, 0, 0.6, 0.70710678, 0], atol=1e-6)


def test_reward_by_hand(rng):
    # f(s) = 0.6 against references of 0.5 and 0.8, tau = 0.1:
    # log sigma(1) = -0.3132617, log sigma(-2) = -2.1269280; mean -1.2200949
    options = {"net": identity_net(), "references": [0.5, 0.8], "weight": 0.1}
    state = np.array([[3, 4]])
    paper = make_snapshot(rng, RewardSettings(baseline="none"), **options)
    assert paper.vlm_reward(state)[0] == pytest.approx(-1.2200949, abs=2e-5)
    assert paper.shape(state)[0] == pytest.approx(-0.12200949, abs=2e-6)
    parity = make_snapshot(rng, RewardSettings(baseline="parity"), **options)
    assert parity.vlm_reward(state)[0] == pytest.approx(-1.2200949 + LOG_2, abs=2e-5)


@pytest.mark.parametrize(("baseline", "expected"), [("none", -LOG_2), ("parity", 0.0), ("reference", 0.0)])
def test_parity_with_a_single_reference(rng, baseline, expected):
    """At the reference state itself the paper's reward is log sigma(0); the parity baseline makes it 0."""
    net = make_net(rng)
    state = rng.normal(size=(1, 3)).astype(np.float32)
    snapshot = make_snapshot(rng, RewardSettings(baseline=baseline), net=net, references=relevance(net, state))
    assert snapshot.vlm_reward(state)[0] == pytest.approx(expected, abs=2e-5)


@pytest.mark.parametrize("spread", [0.0, 0.05, 0.3, 1.0])
def test_reference_behaviour_earns_nothing_on_average(rng, spread):
    """However wide the references spread: the paper's term, and parity with it, is negative there, by Jensen."""
    net = make_net(rng)
    states = (rng.normal(size=(20, 3)) * spread).astype(np.float32)
    references = relevance(net, states)
    means = {
        baseline: make_snapshot(rng, RewardSettings(baseline=baseline), net=net, references=references)
        .vlm_reward(states)
        .mean()
        for baseline in ("reference", "parity", "none")
    }
    assert abs(means["reference"]) < 1e-6
    assert means["none"] == pytest.approx(means["parity"] - LOG_2, abs=1e-5)
    if spread >= 0.3:
        assert means["parity"] < -0.1


def test_baselines_differ_by_a_constant(rng):
    references = rng.uniform(-1, 1, 50)
    tables = [reward_table(references, 0.1, baseline=baseline) for baseline in ("reference", "parity", "none")]
    for table in tables[1:]:
        np.testing.assert_allclose(np.diff(tables[0]), np.diff(table), atol=1e-6)


@pytest.mark.parametrize("baseline", ["reference", "parity", "none"])
def test_without_reference_the_reward_is_the_relevance(rng, baseline):
    snapshot = make_snapshot(rng, RewardSettings(reference="none", baseline=baseline), weight=0.5)
    states = rng.normal(size=(50, 3)).astype(np.float32)
    np.testing.assert_allclose(snapshot.vlm_reward(states), snapshot.relevance(states), atol=1e-6)
    np.testing.assert_allclose(snapshot.shape(states), 0.5 * snapshot.relevance(states), atol=1e-6)


@pytest.mark.parametrize(("tau", "most"), [(0.1, 1.3e-5), (0.05, 5.1e-5), (1.0, 1e-6)])
def test_interpolation_keeps_to_the_exact_sum(rng, tau, most):
    references = rng.uniform(-1, 1, (10, 64))
    table = reward_table(references, tau, baseline="none")
    assert table.shape == (KNOTS,) and table.dtype == np.float32
    f = rng.uniform(-1, 1, 5000)
    found = np.interp(f, np.linspace(-1, 1, KNOTS), table)
    assert np.abs(found - exact_reward(f, references, tau)).max() < most


def test_index_arithmetic_equals_numpy_interp(rng):
    net, table = identity_net(), reward_table([0.3], 0.1, baseline="none")
    angles = np.concatenate([np.linspace(0, np.pi / 2, 997), [0, np.pi / 2]])
    states = np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)
    expected = np.interp(relevance(net, states), np.linspace(-1, 1, KNOTS), table)
    np.testing.assert_allclose(vlm_reward(net, table, states), expected, atol=3e-5)


@pytest.mark.parametrize("sign", [-1, 1])
def test_ends_of_the_table(sign):
    net = identity_net()._replace(direction=np.array([sign, 0], np.float32))
    table = reward_table([0.3], 0.1, baseline="none")
    found = vlm_reward(net, table, np.array([[1, 0]], np.float32))
    assert found[0] == pytest.approx(table[-1 if sign > 0 else 0], abs=1e-4)
    assert found[0] == pytest.approx(exact_reward(np.array([sign]), np.array([0.3]), 0.1)[0], abs=1e-4)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("scale", [0.0, 1e-3, 1.0, 1e4])
def test_bounds(seed, scale):
    """f lies in [-1, 1]; the paper's reward is never positive, the parity reward at most log 2."""
    rng = np.random.default_rng(seed)
    states = rng.normal(size=(500, 3)) * scale
    paper = make_snapshot(rng, RewardSettings(baseline="none"))
    f = paper.relevance(states)
    assert np.isfinite(f).all() and (np.abs(f) <= 1).all()
    assert np.isfinite(paper.vlm_reward(states)).all() and (paper.vlm_reward(states) <= 0).all()
    parity = make_snapshot(rng, RewardSettings(baseline="parity"))
    assert (parity.vlm_reward(states) <= LOG_2).all()


def test_reward_rises_with_relevance(rng):
    snapshot = make_snapshot(rng)
    states = rng.normal(size=(200, 3))
    order = np.argsort(snapshot.relevance(states))
    assert (np.diff(snapshot.vlm_reward(states)[order]) >= -1e-6).all()


def test_additive_rule_is_weighted_and_clipped(rng):
    states = rng.normal(size=(100, 3))
    free = make_snapshot(rng, RewardSettings(bound=None), weight=2.0, references=[0.9])
    clipped = RewardSnapshot(free.net, free.table, 2.0, "additive", 0.99, bound=3.0, version=1)
    np.testing.assert_allclose(free.shape(states), 2 * free.vlm_reward(states), rtol=1e-6)
    assert free.shape(states).min() < -3
    np.testing.assert_allclose(clipped.shape(states), np.clip(free.shape(states), -3, 3), rtol=1e-6)


def test_additive_rule_looks_at_the_state_before_the_action(rng):
    snapshot = make_snapshot(rng)
    states, after = rng.normal(size=(2, 10, 3))
    np.testing.assert_array_equal(snapshot.shape(states, after, np.ones(10, bool)), snapshot.shape(states))


def test_potential_rule_by_hand(rng):
    # Potentials against one reference of 0.6: Phi([3, 4]) = 0, Phi([0, 1]) = log sigma(-6) + log 2 = -5.3093285
    reward = RewardSettings(rule="potential", gamma=0.9, bound=None)
    snapshot = make_snapshot(rng, reward, net=identity_net(), references=[0.6], weight=0.5)
    states = np.array([[0, 1], [0, 1], [3, 4]])
    after = np.array([[3, 4], [3, 4], [0, 1]])
    low = -5.3093285
    expected = [0.5 * (0.9 * 0 - low), 0.5 * (0 - low), 0.5 * (0.9 * low - 0)]
    found = snapshot.shape(states, after, np.array([False, True, False]))
    np.testing.assert_allclose(found, expected, atol=2e-5)


@pytest.mark.parametrize("terminal", [True, False])
def test_potential_shaping_telescopes(rng, terminal):
    """Discounted, an episode's shaping is w (gamma^T Phi(s_T) - Phi(s_0)), Phi(s_T) = 0 where it ends there."""
    snapshot = make_snapshot(rng, RewardSettings(rule="potential", gamma=0.97, bound=0.001), weight=0.3)
    path = rng.normal(size=(41, 3))
    terminated = np.zeros(40, bool)
    terminated[-1] = terminal
    shaping = snapshot.shape(path[:-1], path[1:], terminated)
    phi = snapshot.vlm_reward(path[[0, -1]])
    expected = 0.3 * ((0 if terminal else 0.97**40 * phi[1]) - phi[0])
    assert (0.97 ** np.arange(40) * shaping).sum() == pytest.approx(expected, abs=1e-4)


def test_termination_flags_may_be_floats_and_default_to_none_terminated(rng):
    snapshot = make_snapshot(rng, RewardSettings(rule="potential"))
    states, after = rng.normal(size=(2, 6, 3))
    flags = np.array([0, 1, 0, 1, 1, 0])
    np.testing.assert_array_equal(
        snapshot.shape(states, after, flags.astype(np.float32)), snapshot.shape(states, after, flags.astype(bool))
    )
    np.testing.assert_array_equal(snapshot.shape(states, after), snapshot.shape(states, after, np.zeros(6, bool)))


@pytest.mark.parametrize("reward", RULES)
def test_evaluate_returns_shaping_and_reward_together(rng, reward):
    snapshot = make_snapshot(rng, reward)
    states, after = rng.normal(size=(2, 6, 3))
    terminated = np.array([0, 1, 0, 1, 1, 0], bool)
    shaping, vlm = snapshot.evaluate(states, after, terminated)
    np.testing.assert_array_equal(shaping, snapshot.shape(states, after, terminated))
    np.testing.assert_allclose(vlm, snapshot.vlm_reward(states), atol=1e-6)


def test_potential_rule_needs_the_next_states(rng):
    with pytest.raises(ConfigError, match="next states"):
        make_snapshot(rng, RewardSettings(rule="potential")).shape(rng.normal(size=(2, 3)))


@pytest.mark.parametrize("shape", [(5, 4), (4,), ()])
def test_states_of_another_size_are_refused(rng, shape):
    with pytest.raises(ConfigError, match="states of 3 numbers"):
        make_snapshot(rng).shape(np.zeros(shape))


@pytest.mark.parametrize("reward", RULES)
def test_zero_snapshot_shapes_to_zeros(rng, reward):
    snapshot = RewardSnapshot.zero(0.5, reward)
    states = rng.normal(size=(7, 11))
    assert snapshot.version == 0
    for found in (snapshot.shape(states, states), snapshot.vlm_reward(states), snapshot.relevance(states)):
        assert found.dtype == np.float32 and found.shape == (7,) and (found == 0).all()


def test_no_state_at_all(rng):
    assert make_snapshot(rng).shape(np.zeros((0, 3))).shape == (0,)
    assert RewardSnapshot.zero().shape(np.zeros((0, 3))).shape == (0,)


@pytest.mark.parametrize("reward", RULES)
def test_float32_whatever_the_states_are(rng, reward):
    snapshot = make_snapshot(rng, reward)
    for dtype in (np.float16, np.float32, np.float64, np.int64):
        states = np.ones((4, 3), dtype)
        assert snapshot.shape(states, states, np.zeros(4, bool)).dtype == np.float32
    assert snapshot.shape([[0, 0, 1]], [[0, 1, 0]]).shape == (1,)


def test_chunks_join_seamlessly(rng):
    snapshot = make_snapshot(rng)
    states = rng.normal(size=(2 * CHUNK + 17, 3)).astype(np.float32)
    whole = snapshot.shape(states)
    np.testing.assert_allclose(whole[CHUNK - 5 : CHUNK + 5], snapshot.shape(states[CHUNK - 5 : CHUNK + 5]), atol=1e-5)
    np.testing.assert_allclose(whole[-3:], snapshot.shape(states[-3:]), atol=1e-5)


def test_leading_axes_are_kept(rng):
    snapshot = make_snapshot(rng)
    states = rng.normal(size=(2, 5, 3))
    np.testing.assert_allclose(snapshot.shape(states), snapshot.shape(states.reshape(10, 3)).reshape(2, 5), atol=1e-6)


def test_the_net_is_copied(rng):
    net = make_net(rng)
    snapshot = make_snapshot(rng, net=net)
    states = rng.normal(size=(5, 3))
    before = snapshot.shape(states)
    for part in net:
        part[...] = 0
    np.testing.assert_array_equal(snapshot.shape(states), before)


def test_no_reference_state_is_an_error(rng):
    with pytest.raises(ConfigError, match="reference states"):
        reward_table(np.zeros((0, 8)), 0.1)


@pytest.mark.parametrize("reward", RULES)
@pytest.mark.parametrize("first", [True, False])
def test_save_and_restore(rng, tmp_path, reward, first):
    snapshot = RewardSnapshot.zero(0.25, reward) if first else make_snapshot(rng, reward, weight=0.25, version=3)
    saved: dict[str, Any] = snapshot.state_dict()
    np.savez(tmp_path / "snapshot.npz", **saved)
    with np.load(tmp_path / "snapshot.npz", allow_pickle=False) as arrays:
        restored = RewardSnapshot.from_state_dict(arrays)
    states, after = rng.normal(size=(2, 9, 3))
    np.testing.assert_array_equal(restored.shape(states, after), snapshot.shape(states, after))
    for name in ("weight", "rule", "gamma", "bound", "version"):
        assert getattr(restored, name) == getattr(snapshot, name)


@pytest.mark.parametrize("reward", RULES)
def test_torch_computes_the_same(rng, reward):
    snapshot = make_snapshot(rng, reward)
    states, after = rng.normal(size=(2, 50, 3)).astype(np.float32)
    terminated = rng.random(50) < 0.3
    of_torch: Any = [torch.from_numpy(array) for array in (states, after, terminated)]
    found: Any = snapshot.shape(of_torch[0], of_torch[1], of_torch[2], xp=torch)
    assert isinstance(found, torch.Tensor) and found.dtype == torch.float32
    np.testing.assert_allclose(found, snapshot.shape(states, after, terminated), atol=1e-5)
    assert RewardSnapshot.zero().shape(torch.from_numpy(states), xp=torch).shape == (50,)


def test_snapshot_needs_no_torch():
    code = "import sys, mvr_wrappers.snapshot; assert not {'torch', 'jax', 'mujoco'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


@pytest.mark.parametrize("tau", [1e-40, 1e-60, 1e-300])
def test_a_table_that_is_not_finite_is_refused(rng, tau):
    with pytest.raises(NonFiniteError, match=r"infinite values in table: relevance\.tau is too small"):
        make_snapshot(rng, tau=tau)
    assert np.isfinite(make_snapshot(rng, tau=1e-30).shape(rng.normal(size=(50, 3)))).all()


@pytest.mark.parametrize("reward", RULES)
def test_a_term_that_is_not_finite_is_refused(rng, reward):
    with pytest.raises(NonFiniteError, match=r"weight 1e\+38 reaches .* past float32; lower the weight"):
        make_snapshot(rng, reward, weight=1e38)


@pytest.mark.parametrize("name", ["table", "net/direction", "net/weight_1"])
def test_a_file_with_nan_is_refused(rng, name):
    arrays = make_snapshot(rng).state_dict()
    arrays[name] = np.full_like(arrays[name], np.nan)
    with pytest.raises(NonFiniteError, match=f"infinite values in {name.removeprefix('net/')}"):
        RewardSnapshot.from_state_dict(arrays)
