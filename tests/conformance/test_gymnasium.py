"""Gymnasium's own tools on our ids: the checker, specs, and every kind of vector in every autoreset mode."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.envs.registration import EnvSpec
from gymnasium.utils.env_checker import check_env
from gymnasium.vector import AsyncVectorEnv, AutoresetMode, SyncVectorEnv

import mvr_wrappers  # noqa: F401 - registers the ids
from tests.support.conformance import FAST, IDS, METAWORLD_ACTIONS, SEPARATE_ENGINES, actions_of, need_packages
from tests.support.known import present

MODES = list(AutoresetMode)
N_ENVS = 2


def play(env: gym.Env[Any, Any], steps: int) -> list[tuple[Any, ...]]:
    env.reset(seed=3)
    taken = []
    for action in actions_of(steps, *present(env.action_space.shape)):
        taken.append(env.step(action))
        if taken[-1][2] or taken[-1][3]:
            env.reset()
    return taken


@pytest.mark.parametrize("shaping", [True, False])
@pytest.mark.parametrize("env_id", IDS)
# Of the base envs: their spaces are unbounded or not in [-1, 1], and they are wrapped in what gymnasium.make adds.
@pytest.mark.filterwarnings("ignore:.*(different from the unwrapped|infinity|normalized):UserWarning")
@pytest.mark.filterwarnings(METAWORLD_ACTIONS)
def test_check_env(env_id: str, shaping: bool) -> None:
    need_packages(env_id)
    env = gym.make(env_id, shaping=shaping, **FAST)
    check_env(env, skip_render_check=True)
    env.close()


@pytest.mark.parametrize("env_id", IDS)
@pytest.mark.filterwarnings(METAWORLD_ACTIONS)
def test_make_and_spec_round_trip(env_id: str) -> None:
    need_packages(env_id)
    env = gym.make(env_id, seed=4, **FAST)
    expected = play(env, 75)
    assert any(info["shaping"] for *_, info in expected)
    spec = present(env.spec)
    assert gym.make(spec).spec == spec
    again = gym.make(EnvSpec.from_json(spec.to_json()))
    assert again.spec == env.spec
    for (ours, *told, _), (theirs, *heard, _) in zip(play(again, 75), expected, strict=True):
        np.testing.assert_array_equal(ours, theirs)
        assert told == heard
    again.close()
    env.close()


def test_the_module_stands_before_the_id() -> None:
    env = gym.make("mvr_wrappers:MVR/Hopper-v5", shaping=False)
    assert present(env.spec).id == "MVR/Hopper-v5"


def make_vec(kind: str, mode: AutoresetMode, **options: Any) -> Any:
    """Makes a vector of Hoppers as Gymnasium wants it said: an entry point takes keywords, the others vector_kwargs."""
    said: dict[str, Any] = {"autoreset_mode": mode}
    if kind.startswith("vector_entry_point"):
        said["vectorization"] = "async" if kind.endswith("async") else "sync"
        return gym.make_vec(
            "MVR/Hopper-v5", num_envs=N_ENVS, vectorization_mode=kind.split(maxsplit=1)[0], **said, **options
        )
    return gym.make_vec("MVR/Hopper-v5", num_envs=N_ENVS, vectorization_mode=kind, vector_kwargs=said, **options)


def drive(env: Any, steps: int) -> list[tuple[Any, ...]]:
    env.reset(seed=3)
    taken = []
    for actions in actions_of(steps, N_ENVS, 3):
        taken.append(env.step(actions))
        over = taken[-1][2] | taken[-1][3]
        if env.metadata["autoreset_mode"] is AutoresetMode.DISABLED and over.any():
            env.reset(options={"reset_mask": over.copy()})
    return taken


def told(infos: dict[str, Any], name: str, i: int) -> float:
    """Returns what sub-env i told about the step; 0 where it told nothing, as in the step that resets it."""
    for source in (infos, infos.get("final_info", {})):  # SAME_STEP: sub-envs' infos of a last step are in the latter
        if name in source and source[f"_{name}"][i]:
            return float(source[name][i])
    return 0.0


@pytest.mark.parametrize("mode", MODES, ids=lambda mode: mode.name)
@pytest.mark.parametrize("kind", ["sync", "async", "vector_entry_point", "vector_entry_point async"])
@pytest.mark.filterwarnings(SEPARATE_ENGINES)
def test_make_vec(kind: str, mode: AutoresetMode) -> None:
    env = make_vec(kind, mode, **FAST)
    assert isinstance(env.unwrapped, AsyncVectorEnv if kind.endswith("async") else SyncVectorEnv)
    assert env.metadata["autoreset_mode"] is mode
    plain = gym.make_vec("Hopper-v5", N_ENVS, "sync", {"autoreset_mode": mode}, **FAST["env_kwargs"])
    shaping, n_ends = [], 0
    for ours, theirs in zip(drive(env, 75), drive(plain, 75), strict=True):
        for i in (0, 2, 3):
            np.testing.assert_array_equal(ours[i], theirs[i])
        for i in range(N_ENVS):
            assert told(ours[4], "task_reward", i) == pytest.approx(theirs[1][i])
            assert ours[1][i] == pytest.approx(theirs[1][i] + told(ours[4], "shaping", i))
            shaping.append(told(ours[4], "shaping", i))
        n_ends += (ours[2] | ours[3]).sum()
    assert n_ends >= 4 and np.ptp(shaping) > 0.01
    env.close()


@pytest.mark.parametrize("kind", ["sync", "async", "vector_entry_point"])
def test_make_vec_without_shaping(kind: str) -> None:
    env = make_vec(kind, AutoresetMode.NEXT_STEP, shaping=False)
    plain = gym.make_vec("Hopper-v5", N_ENVS, "sync")
    for ours, theirs in zip(drive(env, 40), drive(plain, 40), strict=True):
        np.testing.assert_array_equal(ours[1], theirs[1])
    env.close()
