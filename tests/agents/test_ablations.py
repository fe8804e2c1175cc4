"""Each preset of the paper trains, and what it leaves loads and relabels as the default does."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from mvr_agents.runs.saved_run import SavedRun
from mvr_agents.training import train
from mvr_wrappers.engine.engine import RewardEngine
from tests.support.known import of_type
from tests.support.tiny_run import HYPERPARAMETERS, tiny_config

PRESETS = (
    *("paper", "paper-config", "paper-no-reg", "paper-no-reference", "paper-direct", "paper-clip"),
    *("paper-1-view", "paper-2-views"),
)


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.filterwarnings("ignore:sb3-contrib's TQC:UserWarning")  # keeps no noise over several steps
def test_it_trains_saves_and_loads(tmp_path: Path, preset: str) -> None:
    run = train(tiny_config(tmp_path, preset=preset), progress=False)
    engine = RewardEngine.load(run.engine)
    assert engine.metrics()["updates"] >= 2
    states = np.random.default_rng(0).normal(size=(50, 4)).astype(np.float32)
    reward, f = engine.vlm_reward(states), engine.snapshot.relevance(states)
    if preset in ("paper-no-reference", "paper-direct"):
        np.testing.assert_allclose(reward, f, atol=1e-6)
    else:
        assert (reward < 0).all()  # the paper's baseline
    assert SavedRun.open(run.path, trust=True).evaluate(1).returns.shape == (1,)
    engine.close()


@pytest.mark.parametrize("preset", ["paper-no-reference", "paper-direct"])
def test_a_buffer_is_relabelled(preset: str) -> None:
    from stable_baselines3 import SAC

    from mvr_wrappers.sb3 import RelabelReplayBuffer, RewardLogger, make_vec_env

    venv = make_vec_env("tiny", n_envs=2, seed=0, preset=preset, weight=0.5)
    agent = SAC(
        *("MlpPolicy", venv),
        replay_buffer_class=RelabelReplayBuffer,
        device="cpu",
        buffer_size=HYPERPARAMETERS["buffer_size"],
        learning_starts=1000,
    )
    agent.learn(200, callback=RewardLogger())
    buffer = of_type(RelabelReplayBuffer, agent.replay_buffer)
    buffer.relabel()
    states = buffer.observations[: buffer.size()].astype(np.float32)
    expected = 0.5 * venv.engine.snapshot.relevance(states)
    np.testing.assert_allclose(buffer.shaping[: buffer.size()], expected, rtol=1e-4, atol=1e-6)
    assert np.ptp(expected) > 1e-3
    venv.close()
