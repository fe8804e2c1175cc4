"""TQCPolicy of the JAX TQC: predicting, saving, gSDE."""

from __future__ import annotations

import math

import numpy as np
import pytest

pytest.importorskip("jax")
pytest.importorskip("stable_baselines3")

import torch as th
from gymnasium import spaces

from mvr_agents.tqc.policy import TQCPolicy, log_ent_coef
from mvr_wrappers.errors import ConfigError

OBSERVATIONS = spaces.Box(-np.inf, np.inf, (3,), np.float64)
ACTIONS = spaces.Box(np.array([-2.0, 0.0], np.float32), np.array([2.0, 1.0], np.float32))


def policy(seed: int = 0, **options) -> TQCPolicy:
    return TQCPolicy(OBSERVATIONS, ACTIONS, lambda _: 1e-3, seed=seed, net_arch=[8], **options)


def test_predict_one_and_many(rng):
    target, observations = policy(), rng.normal(size=(5, 3))
    many, state = target.predict(observations, deterministic=True)
    one, _ = target.predict(observations[2], deterministic=True)
    assert many.shape == (5, 2) and many.dtype == np.float32 and one.shape == (2,) and state is None
    np.testing.assert_allclose(one, many[2], atol=1e-6)
    assert ACTIONS.contains(one)


def test_predicting_samples_anew_each_time():
    target, observation = policy(), np.zeros(3)
    first, second = (target.predict(observation)[0] for _ in range(2))
    assert not np.array_equal(first, second)
    again = policy()
    np.testing.assert_array_equal(again.predict(observation)[0], first)  # the same seed


def test_torch_sees_the_same_actions(rng):
    target, observations = policy(), rng.normal(size=(5, 3))
    scaled = target(th.tensor(observations), deterministic=True)
    np.testing.assert_allclose(
        target.unscale_action(scaled.numpy()), target.predict(observations, deterministic=True)[0]
    )


@pytest.mark.parametrize("observation", [(np.zeros(3), {}), {"a": np.zeros(3)}])
def test_what_is_no_observation_is_refused(observation):
    with pytest.raises(ConfigError, match="predict takes an array"):
        policy().predict(observation)


def test_observations_of_another_shape_are_refused():
    with pytest.raises(ValueError, match="shape"):
        policy().predict(np.zeros(4))


def test_state_dict_round_trip():
    source, target = policy(0, normalize_observations=True), policy(1, normalize_observations=True)
    saved = source.state_dict()
    assert all(isinstance(part, th.Tensor) for part in saved.values())
    assert {"train_state.log_ent_coef", "train_state.key", "rollout.key", "rollout.statistics.mean"} < set(saved)
    target.load_state_dict(saved)
    for name, part in target.state_dict().items():
        assert th.equal(part, saved[name]), name
    observation = np.ones(3)
    np.testing.assert_array_equal(source.predict(observation)[0], target.predict(observation)[0])


def test_what_is_loaded_is_a_copy():
    source = policy()
    saved = source.state_dict()
    saved["train_state.actor.params.Linear_0.bias"] += 1
    target = policy()
    target.load_state_dict(saved)
    before = target.predict(np.ones(3), deterministic=True)[0]
    saved["train_state.actor.params.Linear_0.bias"] += 1
    np.testing.assert_array_equal(target.predict(np.ones(3), deterministic=True)[0], before)
    assert not np.array_equal(source.predict(np.ones(3), deterministic=True)[0], before)


def test_parts_may_be_loaded_unless_strict():
    target, part = policy(), {"train_state.log_ent_coef": th.tensor(-1.5)}
    target.load_state_dict(part, strict=False)
    assert float(target.train_state.log_ent_coef) == -1.5
    with pytest.raises(ConfigError, match="missing"):
        target.load_state_dict(part)


def test_other_networks_are_not_loaded():
    with pytest.raises(ConfigError, match=r"unknown .*LayerNorm_0"):
        policy().load_state_dict(policy(layer_norm=True).state_dict())
    with pytest.raises(ConfigError, match="shape of train_state"):
        policy().load_state_dict(policy(n_quantiles=7).state_dict())


def test_a_policy_may_be_saved_alone(tmp_path):
    source = policy(activation_fn="tanh", ent_coef="auto_0.2")
    source.save(str(tmp_path / "policy.pth"))
    loaded = TQCPolicy.load(str(tmp_path / "policy.pth"))
    np.testing.assert_array_equal(loaded.predict(np.ones(3))[0], source.predict(np.ones(3))[0])
    assert loaded.spec == source.spec


def test_gsde_keeps_its_matrix_until_it_is_reset():
    target, observations = policy(use_sde=True, log_std_init=0.0), np.ones((2, 3))
    target.reset_noise(2)
    first, second = (target.predict(observations)[0] for _ in range(2))
    np.testing.assert_array_equal(first, second)
    assert not np.allclose(first[0], first[1])  # a matrix of its own for each env
    target.reset_noise(2)
    assert not np.allclose(target.predict(observations)[0], first)
    assert target.get_std().shape == (8, 2)
    np.testing.assert_allclose(target.get_std(), 1.0)


def test_loading_leaves_the_random_key_of_gsde():
    target = policy(use_sde=True)
    key = np.array(target.rollout.key)
    target.reset_noise()
    np.testing.assert_array_equal(target.rollout.key, key)
    target.reset_noise(1)
    assert not np.array_equal(target.rollout.key, key)


def test_log_ent_coef():
    assert log_ent_coef("auto") == (True, 0.0)
    assert log_ent_coef("auto_0.1") == pytest.approx((True, math.log(0.1)))
    assert log_ent_coef(0.2) == pytest.approx((False, math.log(0.2)))
    assert log_ent_coef(0) == (False, -math.inf)


@pytest.mark.parametrize("bad", ["automatic", "auto_", "auto_0", -1.0, "auto_-1"])
def test_bad_ent_coefs_are_refused(bad):
    with pytest.raises(ConfigError, match="ent_coef"):
        log_ent_coef(bad)


@pytest.mark.parametrize("drop", [-1, 25])
def test_some_quantiles_must_remain(drop):
    with pytest.raises(ConfigError, match="at least one must remain"):
        policy(top_quantiles_to_drop_per_net=drop)
