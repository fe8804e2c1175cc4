"""ShapedWorlds: many worlds simulated by JAX, rewarded by one engine, a few of them filmed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import mujoco
import numpy as np
from jax.experimental import io_callback

from mvr_wrappers.engine.engine import RewardEngine
from mvr_wrappers.errors import ConfigError, EnvError
from mvr_wrappers.filming import CameraRig, FilmedEnv
from mvr_wrappers.mjx.recorded import RecordedWorld
from mvr_wrappers.mjx.records import Array, Record, simulation_data, take
from mvr_wrappers.mjx.snapshots import as_arrays
from mvr_wrappers.settings import ClipSettings, merge

_OWN = ("mvr", "task_reward", "shaping")  # what is added to `state.info`


class ShapedWorlds:
    """Wraps a batched env of MuJoCo Playground or brax: `reset(keys)` and `step(state, action)` of N worlds at once.

    `reset`, `step` and `record` are pure, to be compiled and scanned; `advance` works on the host, between chunks of
    steps. The snapshot travels in `state.info["mvr"]`, once for all worlds, and a new one compiles nothing anew.
    `state.reward` is the task's reward plus the shaping; both stand apart in `state.info["task_reward"]` and
    `state.info["shaping"]`, (N,).

    Args:
        env: of N worlds, its auto-reset inside: what `playground.wrapper.wrap_for_brax_training` or
            `brax.envs.training.wrap` return, or any env whose state has `obs`, `reward`, `done`, `info` and MJX data.
        engine: learns the reward; closed by who made it. Its rule must be "additive": where worlds reset themselves,
            the state that the potential rule needs is gone.
        film: how many worlds are recorded, spread evenly, or which.
        rig: the cameras, as of `FilmedEnv`.
        clip: what is filmed, as of `FilmedEnv`; `image_size` None is what the scorer wants.
        state_fn: observations of N worlds -> states (N, D), in operations of jax.numpy; needed where observations are
            no vectors.
        model: the MuJoCo model for rendering; None takes the env's `mj_model` or `sys.mj_model`.

    Raises:
        EnvError: the env has no MuJoCo model.
        ConfigError: a rule or a number of worlds that cannot work.

    Example::

        worlds = ShapedWorlds(env, engine, film=4)
        state = jax.jit(worlds.reset)(jax.random.split(key, 1024))  # key: jax.random.PRNGKey(0)
        for _ in range(chunks):
            state, records = rollout(state)  # jitted: scans worlds.step, returns worlds.record(state) of each step
            state = worlds.advance(state, records)
    """

    def __init__(
        self,
        env: Any,
        engine: RewardEngine,
        *,
        film: int | Sequence[int] = 1,
        rig: CameraRig | Mapping[str, Any] | None = None,
        clip: ClipSettings | Mapping[str, Any] | None = None,
        state_fn: Callable[[Any], Array] | None = None,
        model: mujoco.MjModel | None = None,
    ) -> None:
        if engine.reward.rule != "additive":
            raise ConfigError(
                'worlds that reset themselves replace the last state of an episode, which the "potential" rule needs; '
                'use reward={"rule": "additive"}'
            )
        self.env, self.engine, self._film, self._state_fn = env, engine, film, state_fn
        if (count := film if isinstance(film, int) else len(film)) < 1:
            raise ConfigError(f"at least one world must be filmed, got film={film}")
        self._model = model or _model_of(env)
        self._clip = merge(ClipSettings(), clip, "clip")
        self._rig = rig
        self._numbers = engine.number_envs(count)
        self._filmed: list[FilmedEnv] = []

    def __getattr__(self, name: str) -> Any:
        """Passes on whatever else the env has, such as `observation_size`."""
        if name.startswith("_"):
            raise AttributeError(name)
        return getattr(self.env, name)

    def reset(self, rng: Array) -> Any:
        """Resets all worlds: keys (N, ...) -> state, with the engine's latest snapshot.

        Raises:
            ConfigError: more worlds are to be filmed than there are, or states of another size than the engine's.
            EnvError: the state has no MJX data, or MJX refuses the model.
        """
        state = _explained(self.env.reset, rng)
        simulation_data(state)
        worlds, dim = self._states(state).shape
        self._chosen(worlds)
        nothing = jnp.zeros_like(state.reward)
        # A compiled reset asks the host each time it runs: what the engine has learned since it was compiled.
        latest = io_callback(lambda: self._snapshot(dim), jax.eval_shape(lambda: self._snapshot(dim)))
        return _with(state, mvr=latest, task_reward=state.reward, shaping=nothing)

    def step(self, state: Any, action: Array) -> Any:
        """Steps all worlds and adds the shaping of the states that the actions were taken in."""
        snapshot = state.info["mvr"]
        inner = state.replace(info={key: value for key, value in state.info.items() if key not in _OWN})
        # Behind the barrier the simulation is compiled as it would be without us: to the same bits.
        after = jax.lax.optimization_barrier(_explained(self.env.step, inner, action))  # type: ignore[no-untyped-call]
        with jax.default_matmul_precision("float32"):
            shaping = snapshot.shape(self._states(state), xp=jnp).astype(after.reward.dtype)
        shaped = after.replace(reward=after.reward + shaping)
        return _with(shaped, mvr=snapshot, task_reward=after.reward, shaping=shaping)

    def record(self, state: Any) -> Record:
        """Returns what is kept of a state, of the k filmed worlds alone."""
        data, states = simulation_data(state), self._states(state)
        info, done = state.info, state.done.astype(bool)
        parts = (
            data.qpos,
            data.qvel,
            data.mocap_pos,
            data.mocap_quat,
            states,
            done,
            info["task_reward"],
            info["shaping"],
        )
        return Record(*take(self._chosen(len(states)), *parts))

    def advance(self, state: Any, records: Record) -> Any:
        """Films what was recorded, has the engine score and learn what is due, and returns `state` with its snapshot.

        Args:
            state: after the chunk.
            records: of the T steps of a chunk, arrays (T, k, ...), in order: that of each state that `step` returned.

        Raises:
            NonFiniteError: a state is NaN or infinite.
            EngineError: as of `RewardEngine.advance`.
        """
        records = Record(*map(np.asarray, records))
        steps, _, dim = records.states.shape
        for number, filmed in enumerate(self._films(dim)):
            self._replay(filmed, records, number)
            self.engine.submit(filmed.pop_clips())
        self.engine.note_paid(records.shaping.ravel(), records.task_reward.ravel())
        self.engine.advance(steps * len(state.reward))
        return _with(state, mvr=jax.device_put(self._snapshot(dim)))

    def close(self) -> None:
        """Drops unfinished films; the engine stays open."""
        for filmed in self._filmed:
            filmed.close()
        self._filmed = []

    def _states(self, state: Any) -> Array:
        states = state.obs if self._state_fn is None else self._state_fn(state.obs)
        if getattr(states, "ndim", None) != 2:
            raise EnvError(
                "relevance is learned on state vectors, (N, D) for N worlds, and the observations of this env are "
                f"{jax.tree.map(jnp.shape, states)}: give state_fn=, a function from them to such vectors, and an env "
                "of several worlds"
            )
        return states

    def _chosen(self, worlds: int) -> tuple[int, ...]:
        """Returns which of N worlds are filmed."""
        film = self._film
        asked = tuple(film) if not isinstance(film, int) else tuple(i * worlds // film for i in range(film))
        if len(set(asked)) < len(asked) or not all(0 <= world < worlds for world in asked):
            raise ConfigError(f"film={film} asks for more worlds than there are, or for others: there are {worlds}")
        return asked

    def _snapshot(self, dim: int) -> Any:
        return as_arrays(self.engine.snapshot, dim, self.engine.relevance.hidden)

    def _films(self, dim: int) -> list[FilmedEnv]:
        """Returns the recorded worlds as envs that are filmed, made at their first use."""
        if not self._filmed:
            size = self._clip.image_size or self.engine.image_size
            clip = merge(self._clip, {"image_size": size}, "clip")
            options: dict[str, Any] = {"rig": self._rig, "clip": clip, "seed": self.engine.seed}
            for number in self._numbers:
                world = RecordedWorld(self._model, dim)
                self._filmed.append(FilmedEnv(world, film_number=number, **options))
        return self._filmed

    def _replay(self, filmed: FilmedEnv, records: Record, number: int) -> None:
        world = filmed.unwrapped
        assert isinstance(world, RecordedWorld)
        for step in range(len(records.first)):
            world.record = Record(*(part[step, number] for part in records))
            if world.record.first or not len(filmed.last_state):
                filmed.reset()
            else:
                filmed.step(0)


def _with(state: Any, **entries: Any) -> Any:
    return state.replace(info={**state.info, **entries})


def _model_of(env: Any) -> mujoco.MjModel:
    model = getattr(env, "mj_model", None) or getattr(getattr(env, "sys", None), "mj_model", None)
    if model is None:
        raise EnvError(f"{env} has no MuJoCo model, neither in `mj_model` nor in `sys.mj_model`; give model=")
    return model


def _explained(function: Callable[..., Any], *args: Any) -> Any:
    """Calls a function of the env; says it in a sentence where MJX lacks what the model needs."""
    try:
        return function(*args)
    except NotImplementedError as error:
        raise EnvError(
            f"MJX refuses the model of this env: {error}. Choose in the model what MJX has (a solver CG or Newton, "
            "contacts between pairs of shapes it knows, or contype='0' conaffinity='0' where a shape need not touch)."
        ) from error
