"""What is on the device does not cross to it again, and n-step returns never cross a reset."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("jax")
pytest.importorskip("stable_baselines3")

import jax.numpy as jnp
from gymnasium import spaces

from mvr_agents import TQC
from mvr_agents.tqc.collector import Mirror
from mvr_agents.tqc.replay import DeviceReplayBuffer
from tests.support.endless_env import LEAVING, EndlessEnv, returns_by_start


def test_mirror_copies_once() -> None:
    box = spaces.Box(-1, 1, (3,), np.float32)
    target, mirror = DeviceReplayBuffer(8, box, box, "cpu", 2), Mirror()
    host = np.ones((2, 3))
    first = mirror.on_device(host, target)
    assert mirror.on_device(host, target) is first
    assert mirror.on_device(host.copy(), target) is not first
    known = jnp.zeros((2, 3))
    mirror.remember(host, known)
    assert mirror.on_device(host, target) is known


def agent(buffer_size: int) -> TQC:
    return TQC(
        "MlpPolicy",
        EndlessEnv(),
        policy_kwargs={"net_arch": [4], "n_quantiles": 4},
        buffer_size=buffer_size,
        batch_size=8,
        learning_starts=1_000,
        n_steps=3,
        gamma=0.5,
        device="cpu",
    )


@pytest.mark.parametrize("how", ["learn again", "set_env", "save and load", "load into a run"])
def test_returns_never_cross_a_reset(how: str, tmp_path: Path) -> None:
    model = agent(40).learn(10)
    if how == "set_env":
        model.set_env(EndlessEnv(first=2))
    elif how != "learn again":
        model.save(tmp_path / "model")
        model.save_replay_buffer(tmp_path / "buffer")
        model = TQC.load(tmp_path / "model", env=EndlessEnv(first=2))
        if how == "load into a run":  # whose env goes on
            model.learn(0)
        model.load_replay_buffer(tmp_path / "buffer")
    model.learn(10, reset_num_timesteps=how == "learn again")
    found = returns_by_start(model.replay_buffer)
    assert len(found) == 20 and found.items() >= LEAVING.items()
    assert found[2, 0] == (0 + 0.5 * 1 + 0.25 * 2, (2, 3), 0.125)


def test_returns_go_on_where_the_env_does(tmp_path: Path) -> None:
    model = agent(15).learn(10)
    model.save_replay_buffer(tmp_path / "buffer")
    model.load_replay_buffer(tmp_path / "buffer", truncate_last_traj=False)
    model.learn(15, reset_num_timesteps=False)
    found = returns_by_start(model.replay_buffer)
    assert set(found) == {(1, t) for t in range(10, 25)}
    for t in range(10, 23):
        assert found[1, t] == (t + 0.5 * (t + 1) + 0.25 * (t + 2), (1, t + 3), 0.125)
