"""RelabelReplayBuffer under every algorithm, with returns of one and of several steps."""

from __future__ import annotations

import pickle
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("stable_baselines3")

from sb3_contrib import TQC
from stable_baselines3 import DDPG, SAC, TD3
from stable_baselines3.common.buffers import NStepReplayBuffer, ReplayBuffer
from stable_baselines3.common.vec_env import VecNormalize

from mvr_wrappers.engine.engine import RewardEngine
from mvr_wrappers.errors import ConfigError, EngineError
from mvr_wrappers.sb3 import RelabelReplayBuffer, RewardLogger, make_vec_env
from tests.support.endless_env import LEAVING, EndlessEnv, returns_by_start
from tests.support.fake_scorer import FakeScorer
from tests.support.known import of_type
from tests.support.tiny_task import NEVER, learned_engine, publish
from tests.support.vec_drives import LASTS, fill, shaped, small_agent

GAMMA = 0.9


def sampled(buffer: ReplayBuffer, env: VecNormalize | None = None) -> list[np.ndarray]:
    np.random.seed(3)  # noqa: NPY002 - SB3's buffers draw from it
    return [part.numpy() for part in buffer.sample(200, env) if part is not None]


@pytest.mark.parametrize("lasts", [(9,), LASTS])
@pytest.mark.parametrize("truncates", [False, True])
@pytest.mark.parametrize(("rows", "steps"), [(40, 30), (40, 55)])  # with room left, and written over
def test_n_step_returns_are_those_of_sb3_on_the_relabelled_sums(
    lasts: Any, truncates: bool, rows: int, steps: int
) -> None:
    engine = learned_engine()
    venv = shaped(engine, truncates, lasts)
    arguments = (rows * len(lasts), venv.observation_space, venv.action_space, "cpu", len(lasts))
    ours = RelabelReplayBuffer(*arguments, engine=engine, n_steps=4, gamma=GAMMA)
    theirs = NStepReplayBuffer(*arguments, n_steps=4, gamma=GAMMA)
    fill([ours, theirs], venv, steps)
    stale = theirs.rewards.copy()
    publish(engine)
    ours.relabel()
    theirs.rewards = ours.rewards + ours.shaping
    assert np.abs(theirs.rewards - stale).max() > 0.1
    for normalised in (None, VecNormalize(venv, norm_obs=False, clip_reward=0.5)):
        for our_part, their_part in zip(sampled(ours, normalised), sampled(theirs, normalised), strict=True):
            np.testing.assert_allclose(our_part, their_part, rtol=1e-5, atol=1e-6)


def test_one_step_leaves_the_discount_to_the_algorithm() -> None:
    venv = shaped(learned_engine())
    buffer = RelabelReplayBuffer(90, venv.observation_space, venv.action_space, "cpu", 3, engine=venv.engine)
    fill([buffer], venv, 10)
    assert buffer.sample(4).discounts is None


@pytest.mark.parametrize("rule", ["additive", "potential"])
@pytest.mark.parametrize("lasts", [(9,), LASTS])
def test_twice_is_once(rule: str, lasts: Any) -> None:
    engine = learned_engine(rule)
    venv = shaped(engine, lasts=lasts)
    arguments = (90, venv.observation_space, venv.action_space, "cpu", len(lasts))
    buffer = RelabelReplayBuffer(*arguments, engine=engine)
    fill([buffer], venv, 20)
    publish(engine, rule)
    buffer.relabel()
    once = buffer.shaping.copy()
    for _ in range(2):
        buffer.set_engine(engine)  # has it computed anew
        buffer.relabel()
        np.testing.assert_array_equal(buffer.shaping, once)


def test_without_relabelling_the_shaping_stays_as_it_was_paid() -> None:
    engine = learned_engine(relabel=False)
    venv = shaped(engine)
    buffer = RelabelReplayBuffer(90, venv.observation_space, venv.action_space, "cpu", 3, engine=engine)
    paid = [[info["shaping"] for info in infos] for *_, infos in fill([buffer], venv, 20)]
    publish(engine)
    buffer.relabel()
    np.testing.assert_array_equal(buffer.shaping[:20], np.array(paid, np.float32))


@pytest.mark.parametrize("n_envs", [1, 2])
@pytest.mark.parametrize("n_steps", [1, 3])
@pytest.mark.parametrize("algorithm", [SAC, TD3, DDPG, partial(TQC, top_quantiles_to_drop_per_net=2)])
def test_every_algorithm_learns_from_fresh_rewards(algorithm: Any, n_steps: int, n_envs: int) -> None:
    venv = make_vec_env("MVR/tiny", n_envs=n_envs, engine=learned_engine())
    kwargs = {"engine": venv.engine, "n_steps": n_steps, "gamma": GAMMA}
    arguments = {"replay_buffer_class": RelabelReplayBuffer, "replay_buffer_kwargs": kwargs}
    model = algorithm("MlpPolicy", venv, gamma=GAMMA, **small_agent(), **arguments)
    model.learn(40, callback=RewardLogger())
    publish(venv.engine)
    model.learn(10, callback=RewardLogger(), reset_num_timesteps=False)
    buffer = model.replay_buffer
    newest = buffer.size() - 1  # came with the new snapshot, after the last sample
    states = buffer.observations[:newest].reshape(-1, 4)
    np.testing.assert_allclose(buffer.shaping[:newest].ravel(), venv.engine.shape(states), rtol=1e-4, atol=1e-5)
    assert model._n_updates > 0 and buffer.n_steps == n_steps


def endless_sac(engine: RewardEngine, buffer_size: int) -> SAC:
    return SAC(
        "MlpPolicy",
        EndlessEnv(),
        policy_kwargs={"net_arch": [4]},
        buffer_size=buffer_size,
        learning_starts=1_000,
        replay_buffer_class=RelabelReplayBuffer,
        replay_buffer_kwargs={"engine": engine, "n_steps": 3, "gamma": 0.5},
    )


@pytest.mark.parametrize("how", ["learn again", "set_env", "save and load"])
def test_returns_never_cross_a_reset(how: str, tmp_path: Path) -> None:
    engine = RewardEngine("anything", scorer=FakeScorer(), schedule=NEVER)
    model = endless_sac(engine, 40).learn(10)
    if how == "set_env":
        model.set_env(EndlessEnv(first=2))
    elif how == "save and load":
        model.replay_buffer_kwargs = {}
        model.save(tmp_path / "model")
        model.save_replay_buffer(tmp_path / "buffer")
        model = SAC.load(tmp_path / "model", env=EndlessEnv(first=2))
        model.load_replay_buffer(tmp_path / "buffer")
        of_type(RelabelReplayBuffer, model.replay_buffer).set_engine(engine)
    model.learn(10, reset_num_timesteps=how == "learn again")
    found = returns_by_start(model.replay_buffer)
    assert len(found) == 20 and found.items() >= LEAVING.items()
    assert found[2, 0] == (0 + 0.5 * 1 + 0.25 * 2, (2, 3), 0.125)
    assert not of_type(RelabelReplayBuffer, model.replay_buffer).dones.any()


def test_returns_go_on_where_the_env_does() -> None:
    model = endless_sac(RewardEngine("anything", scorer=FakeScorer(), schedule=NEVER), 15).learn(10)
    model.learn(20, reset_num_timesteps=False)  # written over twice
    found = returns_by_start(model.replay_buffer)
    assert set(found) == {(1, t) for t in range(15, 30)}
    for t in range(15, 28):
        assert found[1, t] == (t + 0.5 * (t + 1) + 0.25 * (t + 2), (1, t + 3), 0.125)


def test_a_saved_buffer_keeps_its_steps_and_wants_an_engine() -> None:
    venv = shaped(learned_engine())
    arguments = (90, venv.observation_space, venv.action_space, "cpu", 3)
    buffer = RelabelReplayBuffer(*arguments, engine=venv.engine, n_steps=3, gamma=GAMMA)
    fill([buffer], venv, 10)
    loaded = pickle.loads(pickle.dumps(buffer))
    with pytest.raises(EngineError, match=r"RelabelReplayBuffer has no engine.*set_engine"):
        loaded.sample(4)
    loaded.set_engine(venv.engine)
    for ours, theirs in zip(sampled(loaded), sampled(buffer), strict=True):
        np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize("n_steps", [0, 31])
def test_steps_that_do_not_fit_are_refused(n_steps: int) -> None:
    venv = shaped(learned_engine())
    with pytest.raises(ConfigError, match=f"n_steps={n_steps} does not fit a replay buffer of 30 steps"):
        RelabelReplayBuffer(90, venv.observation_space, venv.action_space, "cpu", 3, n_steps=n_steps)
