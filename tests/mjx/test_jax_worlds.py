"""Many worlds of one engine: shaped inside jit, a few filmed on the host."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import jax
import jax.numpy as jnp
import mujoco
import numpy as np
import pytest

from mvr_wrappers.engine.engine import RewardEngine
from mvr_wrappers.errors import ConfigError, EnvError
from mvr_wrappers.filming.cameras import place
from mvr_wrappers.mjx import Record, ShapedWorlds
from mvr_wrappers.rigs import CameraRig
from tests.support.red_engine import make_engine
from tests.support.sliding_worlds import SlidingWorlds
from tests.support.snapshots import make_net, make_snapshot

N, T = 6, 30
CLIP = {"length": 8, "stride": 4, "frames": 4, "film_every": 1, "image_size": 32, "views": "all"}
RIG = CameraRig.ring(azimuths=(0, 90), distance=3.0, elevation=-20)
KEYS = jax.random.split(jax.random.key(0), N)


@pytest.fixture
def engine() -> Iterator[RewardEngine]:
    with make_engine(schedule={"score_every": N * T, "update_every": N * T}) as engine:
        yield engine


def make_worlds(engine: RewardEngine, **options: Any) -> ShapedWorlds:
    return ShapedWorlds(SlidingWorlds(), engine, **{"film": 2, "rig": RIG, "clip": CLIP, **options})


def rollout(worlds: Any, record: Any) -> Any:
    """Returns a compiled chunk of steps with seeded actions, which counts how often it is traced."""
    traces = []

    @jax.jit
    def chunk(state: Any) -> Any:
        traces.append(1)

        def step(state: Any, key: Any) -> Any:
            state = worlds.step(state, jax.random.uniform(key, (N, 2), minval=-1.0))
            return state, record(state)

        return jax.lax.scan(step, state, jax.random.split(jax.random.key(1), T))

    return chunk, traces


def test_the_engine_learns_from_films_and_a_new_snapshot_compiles_nothing(engine: RewardEngine) -> None:
    worlds = make_worlds(engine)
    state = jax.jit(worlds.reset)(KEYS)
    chunk, traces = rollout(worlds, lambda state: (worlds.record(state), state.reward, state.info["task_reward"]))
    state, (records, rewards, task_rewards) = chunk(state)
    np.testing.assert_array_equal(rewards, task_rewards)  # nothing is learned yet
    state = worlds.advance(state, records)
    assert engine.version >= 1 and engine.metrics()["clips_scored"] == 8  # 2 worlds x 2 episodes x 2 clips
    assert engine.metrics()["env_steps"] == N * T
    before = state
    state, (_, rewards, task_rewards) = chunk(state)
    assert np.abs(rewards - task_rewards).max() > 1e-4 and len(traces) == 1
    expected = engine.shape(before.obs)
    first = jax.jit(worlds.step)(before, jnp.zeros((N, 2)))
    np.testing.assert_allclose(first.info["shaping"], expected, atol=1e-5)
    np.testing.assert_array_equal(first.reward, first.info["task_reward"] + first.info["shaping"])
    worlds.close()


def test_a_compiled_reset_has_the_latest_snapshot(engine: RewardEngine) -> None:
    worlds = make_worlds(engine)
    reset = jax.jit(worlds.reset)
    assert float(reset(KEYS).info["mvr"].version) == 0
    engine.publish(make_snapshot(np.random.default_rng(0), net=make_net(np.random.default_rng(0), dim=4)))
    assert float(reset(KEYS).info["mvr"].version) == 1


def test_weight_0_leaves_states_and_rewards_as_they_are() -> None:
    bare = SlidingWorlds()
    with make_engine(weight=0.0, schedule={"score_every": N * T, "update_every": N * T}) as engine:
        worlds = make_worlds(engine)
        shaped = jax.jit(worlds.reset)(KEYS)
        plain = jax.jit(bare.reset)(KEYS)
        shaped_chunk, _ = rollout(worlds, lambda state: (worlds.record(state), (state.data, state.obs, state.reward)))
        plain_chunk, _ = rollout(bare, lambda state: (state.data, state.obs, state.reward))
        for _ in range(2):  # without a reward, and with a learned one
            shaped, (records, seen) = shaped_chunk(shaped)
            plain, expected = plain_chunk(plain)
            jax.tree.map(np.testing.assert_array_equal, seen, expected)
            shaped = worlds.advance(shaped, records)
        assert engine.version >= 1


def test_films_are_those_of_mujocos_renderer(engine: RewardEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    taken: list[Any] = []
    monkeypatch.setattr(engine, "submit", taken.extend)
    worlds = make_worlds(engine, clip=CLIP | {"quality": "full", "stride": 8}, film=[4])
    state = jax.jit(worlds.reset)(KEYS)
    chunk, _ = rollout(worlds, worlds.record)
    state, records = chunk(state)
    worlds.advance(state, records)
    clip, model = taken[0], worlds.env.mj_model
    np.testing.assert_array_equal(clip.states, records.states[:8, 0])
    data = mujoco.MjData(model)
    with mujoco.Renderer(model, 32, 32) as renderer:
        for frame, time in zip(clip.frames[1], (1, 3, 5, 7), strict=True):
            data.qpos[:], data.qvel[:] = records.qpos[time, 0], records.qvel[time, 0]
            mujoco.mj_forward(model, data)
            renderer.update_scene(data, place(RIG.views[1], model, data))
            np.testing.assert_array_equal(frame, renderer.render())


def test_episodes_are_cut_where_worlds_reset_and_go_on_over_chunks(engine: RewardEngine, monkeypatch: Any) -> None:
    taken: list[Any] = []
    monkeypatch.setattr(engine, "submit", taken.extend)
    worlds = make_worlds(engine, film=1)
    zeros = np.zeros((20, 1, 2), np.float32)
    states = np.arange(80, dtype=np.float32).reshape(20, 1, 4)
    first = np.zeros((20, 1), bool)
    first[10] = True
    empty, pay = np.zeros((20, 1, 0, 3)), np.zeros((20, 1))
    records = Record(zeros, zeros, empty, np.zeros((20, 1, 0, 4)), states, first, pay, pay)
    state = jax.jit(worlds.reset)(KEYS)
    for part in (slice(0, 5), slice(5, 20)):
        state = worlds.advance(state, Record(*(array[part] for array in records)))
    assert [(clip.episode, clip.start) for clip in taken] == [(0, 0), (0, 2)]
    np.testing.assert_array_equal(taken[1].states, states[2:10, 0])


@pytest.mark.parametrize("film", [0, 7, [6], [1, 1]])
def test_more_filmed_worlds_than_worlds(engine: RewardEngine, film: Any) -> None:
    with pytest.raises(ConfigError, match="film"):
        make_worlds(engine, film=film).reset(KEYS)


def test_states_of_another_size(engine: RewardEngine) -> None:
    engine.publish(make_snapshot(np.random.default_rng(0)))
    with pytest.raises(ConfigError, match="states of 3 numbers, and those of the env have 4"):
        make_worlds(engine).reset(KEYS)


def test_observations_that_are_no_vectors_need_a_state_fn(engine: RewardEngine) -> None:
    class Named(SlidingWorlds):
        def reset(self, rng: Any) -> Any:
            state: Any = super().reset(rng)
            return state.replace(obs={"state": state.obs})

    options: dict[str, Any] = {"film": 2, "rig": RIG, "clip": CLIP}
    with pytest.raises(EnvError, match="state_fn"):
        ShapedWorlds(Named(), engine, **options).reset(KEYS)
    ShapedWorlds(Named(), engine, state_fn=lambda seen: seen["state"], **options).reset(KEYS)


def test_an_env_without_mjx_data_or_model(engine: RewardEngine) -> None:
    class NoData(SlidingWorlds):
        def reset(self, rng: Any) -> Any:
            state: Any = super().reset(rng)
            return state.replace(data=None)

    with pytest.raises(EnvError, match="no MJX data"):
        ShapedWorlds(NoData(), engine).reset(KEYS)
    with pytest.raises(EnvError, match="no MuJoCo model"):
        ShapedWorlds(object(), engine)


def test_what_mjx_refuses_is_said_in_a_sentence(engine: RewardEngine) -> None:
    class Refused(SlidingWorlds):
        def reset(self, rng: Any) -> Any:
            raise NotImplementedError("mjSOL_PGS")

    with pytest.raises(EnvError, match="MJX refuses the model of this env: mjSOL_PGS"):
        ShapedWorlds(Refused(), engine).reset(KEYS)


def test_the_potential_rule_is_refused() -> None:
    with make_engine(reward={"rule": "potential"}) as engine, pytest.raises(ConfigError, match="additive"):
        make_worlds(engine)
