"""DeviceReplayBuffer: SB3's interface, memory, shaping apart, pickling."""

from __future__ import annotations

import logging
import pickle
from typing import Any

import numpy as np
import pytest

pytest.importorskip("jax")
pytest.importorskip("stable_baselines3")

import jax
from gymnasium import spaces

from mvr_agents.tqc import replay
from mvr_agents.tqc.devices import describe_bytes, find_device, free_memory
from mvr_agents.tqc.replay import DeviceReplayBuffer
from mvr_wrappers.errors import ConfigError
from tests.support.known import present

BOX = spaces.Box(-np.inf, np.inf, (3,), np.float64)
ACTIONS = spaces.Box(-2, 2, (1,), np.float32)


def buffer(size: int = 8, n_envs: int = 2, **arguments) -> DeviceReplayBuffer:
    return DeviceReplayBuffer(size, BOX, ACTIONS, "cpu", n_envs, **arguments)


def fill(target: DeviceReplayBuffer, steps: int, info: dict[str, Any] | None = None, done: bool = False) -> None:
    for step in range(steps):
        observations = np.full((target.n_envs, 3), step, np.float64)
        rewards, dones = np.full(target.n_envs, float(step)), np.full(target.n_envs, done)
        said = {"task_reward": step - info["shaping"]} if info and "shaping" in info else {}
        infos = [said | (info or {})] * target.n_envs
        target.add(observations, observations + 0.5, np.zeros((target.n_envs, 1)), rewards, dones, infos)


def test_rows_wrap_around():
    target = buffer()  # 4 rows of 2 envs
    assert target.size() == 0
    fill(target, 6)
    assert target.full and target.pos == 2 and target.size() == 4
    assert target.filled == (4, 1)
    target.flush()
    np.testing.assert_array_equal(target.storage.task_rewards[:, 0], [4, 5, 2, 3])


def test_the_last_row_waits_for_the_next_call():
    target = buffer()
    fill(target, 2)
    assert target.size() == 2
    np.testing.assert_array_equal(target.storage.task_rewards[:, 0], [0, 0, 0, 0])
    assert present(target.staged).row == 1
    target.flush()
    np.testing.assert_array_equal(target.storage.task_rewards[:, 0], [0, 1, 0, 0])
    assert target.staged is None


def test_shaping_is_kept_apart():
    target = buffer()
    fill(target, 3, {"shaping": -0.25})
    target.flush()
    np.testing.assert_allclose(target.storage.shaping[:3], -0.25)
    np.testing.assert_allclose(target.storage.task_rewards[:3, 0], [0.25, 1.25, 2.25])
    sampled = target.sample(100)
    np.testing.assert_allclose(sampled.rewards[:, 0], sampled.observations[:, 0])


def test_an_env_that_calls_something_else_shaping_is_not_shaped():
    target = buffer()
    space = np.zeros((2, 3))
    target.add(space, space, np.zeros((2, 1)), np.ones(2), np.zeros(2, bool), [{"shaping": 7.0}] * 2)
    target.flush()
    np.testing.assert_array_equal(target.storage.task_rewards[0], [1, 1])
    np.testing.assert_array_equal(target.storage.shaping[0], [0, 0])


@pytest.mark.parametrize("handled", [True, False])
def test_time_limits_do_not_terminate(handled):
    target = buffer(handle_timeout_termination=handled)
    fill(target, 1, {"TimeLimit.truncated": True}, done=True)
    target.flush()
    assert bool(target.storage.ended[0, 0])
    assert bool(target.storage.terminated[0, 0]) != handled
    assert float(target.sample(4).dones.max()) == float(not handled)


def test_memory_is_stated_before_it_is_taken(caplog):
    target = buffer(80_000)
    assert target.nbytes == 80_000 * (3 * 4 + 3 * 4 + 4 + 4 + 4 + 1 + 1)
    with caplog.at_level(logging.INFO, "mvr_agents.tqc.replay"):
        target.check_memory()
    assert "80,000 transitions takes 3.0 MB" in caplog.text and target._storage is None
    fill(target, 1)
    target.flush()
    assert sum(part.nbytes for part in target.storage) == target.nbytes


def test_memory_that_cannot_fit_is_refused_with_the_number(monkeypatch):
    monkeypatch.setattr(replay, "free_memory", lambda device: 19_000_000)
    target = buffer(1_000_000)
    with pytest.raises(ConfigError, match=r"38\.0 MB on .*19\.0 MB are free\. A buffer_size below 500,000 fits"):
        target.check_memory()
    with pytest.raises(ConfigError, match="fits"):
        _ = target.storage


def test_memory_may_be_unknown(monkeypatch, caplog):
    monkeypatch.setattr(replay, "free_memory", lambda device: None)
    with caplog.at_level(logging.INFO, "mvr_agents.tqc.replay"):
        buffer().check_memory()
    assert "unknown" in caplog.text


def test_pickling_keeps_the_rows_and_no_more():
    target = buffer(20_000)
    fill(target, 3, {"shaping": 0.5})
    data = pickle.dumps(target)
    assert len(data) < 10_000
    loaded = pickle.loads(data)
    loaded.to(jax.devices("cpu")[0])
    assert loaded.size() == 3 and loaded.staged is None
    for ours, theirs in zip(loaded.storage, target.storage, strict=True):
        np.testing.assert_array_equal(ours, theirs)
    fill(loaded, 1)
    assert loaded.pos == 4


def test_a_cut_ends_the_newest_row_alone():
    target = buffer()
    target.cut()
    assert target._storage is None  # nothing to end, nothing allocated
    fill(target, 3)
    target.cut()
    np.testing.assert_array_equal(target.storage.ended, [[0, 0], [0, 0], [1, 1], [0, 0]])
    assert not np.asarray(target.storage.terminated).any()
    fill(target, 3)
    target.cut()
    np.testing.assert_array_equal(target.storage.ended[:, 0], [0, 1, 1, 0])


def test_dones_may_be_numbers():
    target = buffer()
    zeros = np.zeros((2, 3))
    outcomes: list[list[dict[str, Any]]] = [[{}, {}], [{"TimeLimit.truncated": True}, {}]]
    for infos in outcomes:
        target.add(zeros, zeros, np.zeros((2, 1)), np.zeros(2), np.array([1, 0]), infos)
    target.flush()
    np.testing.assert_array_equal(target.storage.terminated[:2], [[1, 0], [0, 0]])


def test_an_empty_buffer_may_be_pickled():
    assert pickle.loads(pickle.dumps(buffer())).size() == 0


def test_reset_forgets():
    target = buffer()
    fill(target, 5)
    target.reset()
    assert target.size() == 0 and target.staged is None


@pytest.mark.parametrize("arguments", [{"optimize_memory_usage": True}, {"n_steps": 5}, {"n_steps": 0}])
def test_what_cannot_work_is_refused(arguments):
    with pytest.raises(ConfigError, match=next(iter(arguments))):
        buffer(**arguments)


def test_what_is_put_is_a_copy():
    host = np.zeros((2, 3), np.float32)
    device = buffer().put(host)
    host += 1
    assert not np.asarray(device).any()


def test_find_device():
    assert find_device("cpu") == find_device("cpu:0") == jax.devices("cpu")[0]
    assert find_device("auto") == jax.devices()[0]
    with pytest.raises(ConfigError, match="unknown device 'tpu'"):
        find_device("tpu")
    with pytest.raises(ConfigError, match="there is no 'cpu:99'"):
        find_device("cpu:99")


@pytest.mark.skipif(jax.default_backend() != "cpu", reason="JAX sees a GPU")
def test_a_missing_gpu_is_named():
    with pytest.raises(ConfigError, match="JAX sees no GPU for device 'cuda'"):
        find_device("cuda")


def test_free_memory_of_the_host():
    free = free_memory(jax.devices("cpu")[0])
    assert free is None or 1e7 < free < 1e15
    assert describe_bytes(1_254_000_000) == "1.25 GB" and describe_bytes(3_800_000) == "3.8 MB"
