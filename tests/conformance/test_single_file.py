"""The single-file script in the manner of CleanRL trains on our ids, and learns where learning is quick."""

from __future__ import annotations

import os
import re
import runpy
import subprocess
import sys
from pathlib import Path

import gymnasium as gym
import numpy as np
import pytest
import torch

from tests.support.paths import ROOT

SCRIPT = ROOT / "examples" / "single_file_sac.py"


@pytest.mark.slow
def test_it_trains_on_a_shaped_id(tmp_path: Path) -> None:
    words = "--env-id MVR/Hopper-v5 --num-envs 2 --total-steps 300 --learning-starts 200 --batch-size 16"
    done = subprocess.run(
        [sys.executable, "-W", "error", "-W", "ignore:an episode ended after", str(SCRIPT), *words.split()],
        cwd=tmp_path,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    episodes = re.findall(r"step=(\d+) return=(\S+) length=(\d+) task_return=(\S+) steps/s=", done.stdout)
    assert len(episodes) >= 5
    assert 200 < int(episodes[-1][0]) <= 300
    # Before the first update of the reward the agent is paid what the task pays.
    assert all(shaped == task for _, shaped, _, task in episodes)
    assert list(tmp_path.iterdir()) == []


def test_an_update_raises_the_value_of_what_is_rewarded() -> None:
    parts = runpy.run_path(str(SCRIPT))
    torch.manual_seed(0)
    rng = np.random.default_rng(0)
    agent = parts["SAC"](parts["Args"](learning_rate=3e-3), 3, gym.spaces.Box(-2, 1, (2,), np.float32))
    buffer = parts["Buffer"](200, 3, 2)
    for _ in range(3):
        obs, actions = rng.normal(size=(100, 3)), rng.uniform([-2, -2], [1, 1], (100, 2))
        buffer.add(obs, actions, obs, -np.square(actions - [0.5, -1.5]).sum(1), np.ones(100, bool))
    assert buffer.added == 300 and len(buffer.arrays[0]) == 200
    for _ in range(150):
        agent.update(*buffer.sample(rng, 64, "cpu"))
    with torch.no_grad():
        actions, log_probs = agent.actor(torch.zeros(500, 3))
    assert ((actions >= -2) & (actions <= 1)).all() and log_probs.shape == (500,)
    np.testing.assert_allclose(actions.mean(0), [0.5, -1.5], atol=0.35)


def test_log_probabilities_are_those_of_the_density() -> None:
    parts = runpy.run_path(str(SCRIPT))
    torch.manual_seed(0)
    actor = parts["Actor"](1, gym.spaces.Box(-1, 3, (1,), np.float32))
    with torch.no_grad():
        actions, log_probs = actor(torch.zeros(200_000, 1))
    counts, edges = np.histogram(actions.numpy(), bins=40, range=(-0.5, 2.5))
    density = counts / (len(actions) * np.diff(edges))
    order = np.argsort(actions[:, 0].numpy())
    centres = (edges[1:] + edges[:-1]) / 2
    said = np.interp(centres, actions[order, 0].numpy(), log_probs[order].exp().numpy())
    np.testing.assert_allclose(said, density, rtol=0.1)
