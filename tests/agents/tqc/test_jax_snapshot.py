"""RewardSnapshot computes with jax.numpy what it computes with NumPy."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

pytest.importorskip("jax", reason="the extra jax is not installed")

import jax
import jax.numpy as jnp

from mvr_wrappers.snapshot import vlm_reward
from tests.support.snapshots import RULES, make_snapshot


@pytest.mark.parametrize("reward", RULES)
def test_jax_computes_the_same_and_compiles_once(rng, reward):
    first, second = make_snapshot(rng, reward), make_snapshot(rng, reward)
    states, after = rng.normal(size=(2, 50, 3)).astype(np.float32)
    terminated = rng.random(50) < 0.3
    found: Any = first.shape(jnp.asarray(states), jnp.asarray(after), jnp.asarray(terminated), xp=jnp)
    assert isinstance(found, jax.Array) and found.dtype == np.float32
    np.testing.assert_allclose(found, first.shape(states, after, terminated), atol=1e-5)
    traces: list[int] = []

    @jax.jit
    def reward_of(net, table, states):
        traces.append(1)
        return vlm_reward(net, table, states, xp=jnp)

    for snapshot in (first, second):
        found = reward_of(snapshot.net, snapshot.table, states)
        np.testing.assert_allclose(found, snapshot.vlm_reward(states), atol=1e-5)
    assert len(traces) == 1
