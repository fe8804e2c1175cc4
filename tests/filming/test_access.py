from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
import pytest

from mvr_wrappers.errors import ConfigError, EnvError, UnknownNameError
from mvr_wrappers.filming import CameraRig
from mvr_wrappers.filming.access import as_rig, as_state_fn, state_size
from mvr_wrappers.filming.cameras import default_rig
from tests.support.tiny_env import TinyEnv

VECTOR = gym.spaces.Box(-np.inf, np.inf, (4,), np.float64)


def test_vectors_become_new_float32_vectors() -> None:
    observation = np.arange(4.0)
    for state in (as_state_fn(VECTOR, None)(observation), as_state_fn(VECTOR, lambda seen: seen[1:])(observation)):
        assert state.dtype == np.float32 and state.base is None
        assert not np.shares_memory(state, observation)
    assert state_size(VECTOR, as_state_fn(VECTOR, None)) == 4
    assert state_size(VECTOR, as_state_fn(VECTOR, lambda seen: seen[1:])) == 3


@pytest.mark.parametrize(
    "space", [gym.spaces.Box(0, 255, (8, 8, 3), np.uint8), gym.spaces.Discrete(3), gym.spaces.Dict(ball=VECTOR)]
)
def test_other_observations_need_a_state_function(space: gym.Space[Any]) -> None:
    with pytest.raises(EnvError, match="state_fn="):
        as_state_fn(space, None)
    to_state = as_state_fn(space, lambda seen: [1, 2])  # type: ignore[arg-type, return-value]
    assert state_size(space, to_state) == 2


def test_a_state_function_must_return_a_vector() -> None:
    with pytest.raises(EnvError, match=r"vector \(D,\).*\(2, 2\)"):
        as_state_fn(VECTOR, lambda seen: seen.reshape(2, 2))(np.zeros(4))


def test_measuring_a_state_leaves_the_spaces_generator_alone() -> None:
    space, other = (gym.spaces.Box(-1, 1, (4,), np.float64, seed=3) for _ in range(2))
    state_size(space, as_state_fn(space, None))
    np.testing.assert_array_equal(space.sample(), other.sample())


def test_a_rig_is_given_whole_as_plain_values_or_not_at_all() -> None:
    model, rig = TinyEnv().model, CameraRig.named("track")
    assert as_rig(rig, model) is rig
    assert as_rig(rig.to_config(), model) == rig
    assert as_rig(None, model) == default_rig(model)
    with pytest.raises(UnknownNameError, match="track"):
        as_rig(CameraRig.named("corner"), model)
    with pytest.raises(ConfigError, match="rig"):
        as_rig("track", model)  # type: ignore[arg-type]
