from __future__ import annotations

import numpy as np
import pytest

from mvr_wrappers.relevance.moments import RunningMoments


def moments_of(states: np.ndarray) -> RunningMoments:
    moments = RunningMoments()
    moments.update(states.astype(np.float32))
    return moments


def test_a_feature_that_hardly_varies_beside_the_others_is_not_scaled(rng):
    """The place of an object that was never touched moves by rounding and settling, a hand by centimetres."""
    states = rng.normal(size=(5000, 4)) * [0.1, 0.2, 2e-5, 0.05]
    moments = moments_of(states)
    np.testing.assert_allclose(moments.std(0.01), [0.1, 0.2, 1.0, 0.05], rtol=0.05)
    np.testing.assert_allclose(moments.std(), [0.1, 0.2, 2e-5, 0.05], rtol=0.05)
    np.testing.assert_allclose(moments.std(1e-6), moments.std())


def test_states_in_small_units_are_scaled_all_the_same(rng):
    moments = moments_of(rng.normal(size=(5000, 4)) * [1e-3, 2e-3, 2e-5, 5e-3])
    np.testing.assert_allclose(moments.std(0.01), [1e-3, 2e-3, 1.0, 5e-3], rtol=0.05)


@pytest.mark.parametrize("value", [0.0, 3.0, -1e6])
def test_features_that_never_varied_have_deviation_one(value):
    assert moments_of(np.full((20, 3), value)).std(0.01).tolist() == [1.0] * 3


def test_the_limit_grows_with_the_mean(rng):
    moments = moments_of(rng.normal(size=(5000, 4)) * [0.5, 0.5, 3.0, 3.0] + [0.0, 100.0, 0.0, 100.0])
    np.testing.assert_allclose(moments.std(0.01), [0.5, 1.0, 3.0, 3.0], rtol=0.05)
