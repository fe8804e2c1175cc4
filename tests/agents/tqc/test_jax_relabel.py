"""The device buffer's shaping follows the engine: in one pass, under both rules, compiled once."""

from __future__ import annotations

import pickle
from typing import Any

import gymnasium as gym
import numpy as np
import pytest

pytest.importorskip("jax")
pytest.importorskip("stable_baselines3")

import jax
import jax.numpy as jnp
from stable_baselines3.common.vec_env import DummyVecEnv, VecNormalize

from mvr_agents import TQC
from mvr_agents.tqc import relabel
from mvr_agents.tqc.relabel import engine_of
from mvr_agents.tqc.replay import DeviceReplayBuffer
from mvr_wrappers.engine.engine import RewardEngine
from mvr_wrappers.engine.group import EngineGroup
from mvr_wrappers.errors import ConfigError, EngineError
from mvr_wrappers.sb3 import RelabelReplayBuffer, RewardLogger, make_vec_env
from tests.support.known import present
from tests.support.tiny_task import NEVER, learned_engine, publish
from tests.support.vec_drives import LASTS, drive, fill, shaped

SMALL: dict[str, Any] = {"learning_starts": 20, "batch_size": 8, "buffer_size": 400, "seed": 3, "device": "cpu"}
Spaces = tuple[int, Any, Any, str, int]  # what a buffer is made for
NETWORKS: dict[str, Any] = {"policy_kwargs": {"net_arch": [8], "n_quantiles": 4}}


def filled(
    rule: str = "additive", steps: int = 20, rows: int = 30, lasts: Any = LASTS, truncates: bool = False, **options: Any
) -> tuple[DeviceReplayBuffer, RelabelReplayBuffer, RewardEngine]:
    """Returns buffers of both kinds with the same transitions, and their engine."""
    engine = learned_engine(rule)
    venv = shaped(engine, truncates, lasts)
    spaces: Spaces = (rows * len(lasts), venv.observation_space, venv.action_space, "cpu", len(lasts))
    ours, theirs = DeviceReplayBuffer(*spaces, engine=engine, **options), RelabelReplayBuffer(*spaces, engine=engine)
    fill([ours, theirs], venv, steps)
    return ours, theirs, engine


@pytest.mark.parametrize("truncates", [False, True])
@pytest.mark.parametrize("rule", ["additive", "potential"])
@pytest.mark.parametrize("lasts", [(9,), LASTS])
@pytest.mark.parametrize(("steps", "at_once"), [(20, 1_024), (20, 13), (40, 13)])  # chunks, and rows written over
def test_it_is_what_the_host_buffer_computes(
    lasts: Any, rule: str, truncates: bool, steps: int, at_once: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(relabel.STATES_AT_ONCE, "cpu", at_once)
    ours, theirs, engine = filled(rule, steps, lasts=lasts, truncates=truncates)
    stale = theirs.shaping.copy()
    publish(engine, rule)
    ours.relabel()
    theirs.relabel()
    assert np.abs(theirs.shaping - stale).max() > 0.1
    np.testing.assert_allclose(ours.storage.shaping, theirs.shaping, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(ours.storage.task_rewards, theirs.rewards, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("rule", ["additive", "potential"])
def test_twice_is_once(rule: str) -> None:
    buffer, _, engine = filled(rule)
    publish(engine, rule)
    buffer.relabel()
    once = np.array(buffer.storage.shaping)
    buffer.set_engine(engine)  # has it computed anew
    buffer.relabel()
    np.testing.assert_array_equal(buffer.storage.shaping, once)


def test_it_is_done_once_a_snapshot_and_compiled_once() -> None:
    program: Any = relabel.relabel  # the type that JAX declares knows no caches
    program.clear_cache()
    buffer, _, engine = filled()
    before = buffer.sample(4) and buffer.storage
    buffer.sample(4)
    assert buffer.storage is before
    for _ in range(3):
        publish(engine, weight=float(np.random.default_rng().uniform(0.1, 0.9)))
        buffer.relabel()
        assert buffer.storage is not before
        before = buffer.storage
    assert program._cache_size() == 1


def test_before_the_first_update_nothing_is_added() -> None:
    buffer, _, _ = filled()
    buffer.set_engine(RewardEngine("anything", schedule=NEVER))
    buffer.relabel()
    assert not np.asarray(buffer.storage.shaping).any()


def test_without_an_engine_labels_stay() -> None:
    buffer, theirs, _ = filled()
    buffer.engine = None
    buffer.sample(4)
    np.testing.assert_allclose(buffer.storage.shaping, theirs.shaping, rtol=1e-6)


def test_an_engine_may_leave_labels_as_they_are() -> None:
    buffer, theirs, _ = filled()
    engine = learned_engine(relabel=False)
    buffer.set_engine(engine)
    publish(engine)
    buffer.sample(4)
    np.testing.assert_allclose(buffer.storage.shaping, theirs.shaping, rtol=1e-6)


def test_samples_carry_the_new_rewards() -> None:
    buffer, theirs, engine = filled(n_steps=3, gamma=0.9)
    buffer.sample(4)
    publish(engine)
    theirs.relabel()
    rewards = {row.tobytes(): sum_ for row, sum_ in zip(*flat(theirs), strict=True)}
    batch = buffer.sample(64)
    alone = present(batch.discounts).numpy()[:, 0] == pytest.approx(0.9)
    short = batch.observations.numpy()[alone | (batch.dones.numpy()[:, 0] > 0)]
    assert len(short)
    spaces: Spaces = (90, buffer.observation_space, buffer.action_space, "cpu", 3)
    single = DeviceReplayBuffer(*spaces, engine=engine)
    single.storage, single.pos = buffer.storage, buffer.pos
    batch = single.sample(64)
    expected = [rewards[row.tobytes()] for row in batch.observations.numpy()]
    np.testing.assert_allclose(batch.rewards.numpy()[:, 0], expected, rtol=1e-4, atol=1e-5)


def flat(buffer: RelabelReplayBuffer) -> tuple[np.ndarray, np.ndarray]:
    """Returns the stored observations as float32 and the sums they earn."""
    rows = slice(buffer.size())
    sums = (buffer.rewards + buffer.shaping)[rows].ravel()
    return buffer.observations[rows].reshape(-1, 4).astype(np.float32), sums


def test_a_state_function_of_jax_is_applied() -> None:
    buffer, theirs, engine = filled(state_fn=lambda observation: -observation)
    theirs._state_fn = None
    theirs._read = type(theirs._read)(theirs.observation_space, lambda observation: -observation)
    theirs.set_engine(engine)
    buffer.relabel()
    theirs.relabel()
    np.testing.assert_allclose(buffer.storage.shaping, theirs.shaping, rtol=1e-4, atol=1e-5)


def test_a_state_function_of_numpy_is_refused() -> None:
    buffer, _, _ = filled(state_fn=lambda observation: np.array(observation)[:2])
    with pytest.raises(ConfigError, match=r"state_fn runs on the device.*jax\.numpy"):
        buffer.relabel()


def test_a_saved_buffer_has_no_engine_and_gets_the_old_ones() -> None:
    buffer, theirs, engine = filled()
    loaded = pickle.loads(pickle.dumps(buffer))
    assert loaded.engine is None
    publish(engine)
    loaded.set_engine(engine)
    loaded.relabel()
    theirs.relabel()
    np.testing.assert_allclose(loaded.storage.shaping[:20], theirs.shaping[:20], rtol=1e-4, atol=1e-5)


def labels(model: TQC) -> tuple[np.ndarray, np.ndarray]:
    """Returns the shaping of all transitions that were there at the last training, and their observations."""
    buffer = present(model.replay_buffer)
    buffer.flush()
    storage, rows = buffer.storage, buffer.size()
    return np.asarray(storage.shaping[:rows]).ravel(), np.asarray(storage.observations[:rows]).reshape(-1, 4)


@pytest.mark.parametrize(("n_envs", "normalised"), [(1, False), (2, True)])
def test_tqc_follows_the_engine_of_its_env(n_envs: int, normalised: bool) -> None:
    engine = learned_engine()
    venv = make_vec_env("MVR/tiny", n_envs=n_envs, engine=engine, seed=0)
    model = TQC("MlpPolicy", VecNormalize(venv) if normalised else venv, **SMALL, **NETWORKS).learn(60)
    publish(engine)
    model.learn(2 * n_envs, reset_num_timesteps=False)
    shaping, states = labels(model)
    np.testing.assert_allclose(shaping, engine.shape(states), rtol=1e-4, atol=1e-5)


def test_tqc_follows_a_learning_engine() -> None:
    venv = make_vec_env("MVR/tiny", n_envs=2, seed=0)
    model = TQC("MlpPolicy", venv, **SMALL, **NETWORKS).learn(200, callback=RewardLogger())
    assert venv.engine.version == 2
    present(model.replay_buffer).relabel()
    shaping, states = labels(model)
    np.testing.assert_allclose(shaping, venv.engine.shape(states), rtol=1e-4, atol=1e-5)


def test_an_engine_may_be_named_or_refused(tmp_path: Any) -> None:
    venv = make_vec_env("MVR/tiny", n_envs=2, engine=learned_engine(), seed=0)
    other = learned_engine(weight=0.3)
    kwargs = {"engine": other}
    model = TQC("MlpPolicy", venv, replay_buffer_kwargs=kwargs, **SMALL, **NETWORKS).learn(60, RewardLogger())
    assert present(model.replay_buffer).engine is other and kwargs == {"engine": other}
    model.save(tmp_path / "model")
    model.save_replay_buffer(tmp_path / "buffer")
    again = TQC.load(tmp_path / "model", env=venv)
    again.learn(4, RewardLogger(), reset_num_timesteps=False)
    assert present(again.replay_buffer).engine is venv.engine
    again.load_replay_buffer(tmp_path / "buffer")
    assert present(again.replay_buffer).engine is venv.engine and present(again.replay_buffer).size() == 30
    never = TQC("MlpPolicy", venv, replay_buffer_kwargs={"engine": None}, **SMALL, **NETWORKS).learn(60, RewardLogger())
    assert present(never.replay_buffer).engine is None
    before = labels(never)[0]
    publish(venv.engine)
    never.train(1, 8)
    np.testing.assert_array_equal(labels(never)[0], before)


def test_another_env_brings_its_engine() -> None:
    first, second = (make_vec_env("MVR/tiny", n_envs=2, engine=learned_engine(weight=w)) for w in (0.5, 0.2))
    model = TQC("MlpPolicy", first, **SMALL, **NETWORKS).learn(10)
    assert present(model.replay_buffer).engine is first.engine
    model.set_env(second)
    assert present(model.replay_buffer).engine is second.engine


def test_single_envs_have_an_engine_too() -> None:
    engine = learned_engine()
    alone = DummyVecEnv([lambda: gym.make("MVR/tiny", engine=engine)])
    assert engine_of(alone) is engine_of(VecNormalize(alone)) is engine
    both = DummyVecEnv([lambda: gym.make("MVR/tiny", engine=engine), lambda: gym.make("MVR/tiny", engine=engine)])
    assert engine_of(both) is engine
    apart = DummyVecEnv([lambda: gym.make("MVR/tiny", engine=learned_engine())] * 2)
    assert engine_of(apart) is None
    venv = make_vec_env("MVR/tiny", engine=engine)
    assert engine_of(venv) is engine_of(VecNormalize(venv)) is venv.engines
    assert engine_of(make_vec_env("MVR/tiny", shaping=False)) is None
    assert engine_of(None) is None


def test_each_prompt_is_relabelled_by_its_engine() -> None:
    engines = [learned_engine(), learned_engine()]
    engines[0].prompt, engines[1].prompt = "one", "two"
    group = EngineGroup(engines)
    venv = shaped(learned_engine(), lasts=(9, 12))
    spaces: Spaces = (60, venv.observation_space, venv.action_space, "cpu", 2)
    ours, theirs = DeviceReplayBuffer(*spaces, engine=group), RelabelReplayBuffer(*spaces, engine=group)
    before, taken = drive(venv, 20)
    for observations, (after, rewards, dones, infos) in zip(before, taken, strict=True):
        for info, prompt in zip(infos, group, strict=True):
            info["prompt"] = prompt
        for buffer in (ours, theirs):
            buffer.add(observations, after, np.zeros((2, 2)), rewards, dones, infos)
    publish(group["two"])
    ours.relabel()
    theirs.relabel()
    new, old = group["two"].shape(before[-1]), group["one"].shape(before[-1])
    assert np.abs(new - old).max() > 0.01
    np.testing.assert_allclose(ours.storage.shaping[19], [old[0], new[1]], rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(ours.storage.shaping[:20], theirs.shaping[:20], rtol=1e-4, atol=1e-5)
    alone = DeviceReplayBuffer(*spaces, engine=group["one"])
    with pytest.raises(EngineError, match=r"give it all engines.*venv\.engines"):
        alone.add(before[-1], taken[-1][0], np.zeros((2, 2)), *taken[-1][1:])


def test_a_snapshot_is_a_tree_of_arrays() -> None:
    snapshot = learned_engine("potential").snapshot
    states = np.random.default_rng(0).normal(size=(2, 50, 4)).astype(np.float32)
    found = jax.jit(lambda it, now, then: it.shape(now, then, xp=jnp))(snapshot, *states)
    np.testing.assert_allclose(found, snapshot.shape(*states), atol=1e-5)
