"""DeviceReplayBuffer: replay in the memory of the device that learns from it, behind the interface of SB3."""

from __future__ import annotations

import logging
import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import torch as th
from gymnasium import spaces
from numpy.typing import ArrayLike, NDArray
from stable_baselines3.common.buffers import BaseBuffer, ReplayBuffer
from stable_baselines3.common.type_aliases import ReplayBufferSamples
from stable_baselines3.common.vec_env import VecNormalize

from mvr_agents.tqc.devices import describe_bytes, find_device, free_memory
from mvr_agents.tqc.normalise import Normaliser
from mvr_agents.tqc.programs import store
from mvr_agents.tqc.relabel import STATES_AT_ONCE, StateFn, relabel
from mvr_agents.tqc.storage import Filled, Staged, Storage, sample, storage_shapes
from mvr_wrappers.engine.engine import RewardEngine
from mvr_wrappers.engine.group import EngineGroup
from mvr_wrappers.errors import ConfigError
from mvr_wrappers.snapshot import RewardSnapshot
from mvr_wrappers.wrappers.relabelling import FollowsEngine

_log = logging.getLogger(__name__)


class DeviceReplayBuffer(FollowsEngine, ReplayBuffer):
    """Transitions on the device. Task reward and shaping are stored apart, as they were paid, and added when sampled.

    Whenever the engine, if there is one, has published a new snapshot, the shaping of every stored transition is
    computed anew, on the device, before the next sample.

    The memory is stated in the log and checked before it is taken, which happens when the first transition comes. The
    transition added last waits on the host until the next device call takes it along (`staged`) or `flush` is called.

    Args:
        buffer_size: transitions, of all envs together.
        observation_space: a Box; observations are stored flat, as float32.
        action_space: a Box.
        device: a JAX device, or a word for `find_device`.
        n_envs: E.
        optimize_memory_usage: must be False.
        handle_timeout_termination: do not treat episodes cut by a time limit as terminated.
        n_steps: steps whose rewards are summed.
        gamma: discount of a step, of what `sample` returns with n_steps > 1.
        engine: gives the shaping, or several engines, each that of its prompt; None keeps what was stored.
        state_fn: observation -> state vector (S,) in operations of jax.numpy; needed where the env was given one.

    Raises:
        ConfigError: `optimize_memory_usage`, or too few rows for `n_steps`.
    """

    def __init__(
        self,
        buffer_size: int,
        observation_space: spaces.Box,
        action_space: spaces.Box,
        device: jax.Device | str = "auto",
        n_envs: int = 1,
        optimize_memory_usage: bool = False,
        handle_timeout_termination: bool = True,
        n_steps: int = 1,
        gamma: float = 0.99,
        engine: RewardEngine | EngineGroup | None = None,
        state_fn: StateFn | None = None,
    ) -> None:
        # Past ReplayBuffer, whose constructor allocates arrays on the host.
        BaseBuffer.__init__(self, max(buffer_size // n_envs, 1), observation_space, action_space, "cpu", n_envs)
        if optimize_memory_usage:
            raise ConfigError("optimize_memory_usage=True is not supported: final observations would be lost")
        if not 1 <= n_steps <= self.buffer_size:
            raise ConfigError(f"n_steps={n_steps} does not fit a replay buffer of {self.buffer_size} steps an env")
        self.optimize_memory_usage = False
        self.handle_timeout_termination = handle_timeout_termination
        self.n_steps = n_steps
        self.gamma = gamma
        self.jax_device = find_device(device) if isinstance(device, str) else device
        self._follow(engine, self.buffer_size, self.n_envs)
        self._state_fn = state_fn
        self.staged: Staged | None = None
        self._storage: Storage | None = None
        self._loaded: Storage | None = None

    @property
    def shapes(self) -> Storage:
        """Shapes and dtypes of the arrays on the device."""
        return storage_shapes(self.buffer_size, self.n_envs, math.prod(self.obs_shape), self.action_dim)

    @property
    def nbytes(self) -> int:
        """Bytes on the device when allocated."""
        return sum(math.prod(part.shape) * part.dtype.itemsize for part in self.shapes)

    @property
    def filled(self) -> Filled:
        """The rows that hold transitions, the staged one included."""
        return Filled(self.size(), (self.pos - 1) % self.buffer_size)

    @property
    def storage(self) -> Storage:
        """The arrays on the device, without the staged row. Allocated at first use."""
        if self._storage is None:
            self.check_memory()
            self._storage = Storage(*(jnp.zeros(p.shape, p.dtype, device=self.jax_device) for p in self.shapes))
            if self._loaded is not None:
                put = jax.jit(lambda old, new: old.at[: len(new)].set(new), donate_argnums=0)
                self._storage = Storage(*map(put, self._storage, self._loaded))
                self._loaded = None
        return self._storage

    @storage.setter
    def storage(self, storage: Storage) -> None:
        self._storage = storage

    def check_memory(self) -> None:
        """States the memory the buffer takes, in the log.

        Raises:
            ConfigError: the device has not so much left.
        """
        free = free_memory(self.jax_device)
        rest = "an unknown amount is free" if free is None else f"{describe_bytes(free)} are free"
        statement = (
            f"the replay buffer of {self.buffer_size * self.n_envs:,} transitions takes {describe_bytes(self.nbytes)} "
            f"on {self.jax_device}, where {rest}"
        )
        if free is not None and self.nbytes > free:
            fitting = int(self.buffer_size * self.n_envs * free / self.nbytes)
            raise ConfigError(f"{statement}. A buffer_size below {fitting:,} fits")
        _log.info("%s", statement)

    def put(self, rows: ArrayLike) -> jax.Array:
        """Copies one row of each env to the device: float32 (E, ...) flat."""
        # A copy: JAX may read the host's array later, or share its memory.
        copy: jax.Array = jax.device_put(np.array(rows, np.float32).reshape(self.n_envs, -1), self.jax_device)
        return copy

    def add(
        self,
        obs: NDArray[Any],
        next_obs: NDArray[Any],
        action: NDArray[Any],
        reward: NDArray[Any],
        done: NDArray[Any],
        infos: list[dict[str, Any]],
    ) -> None:
        """Adds one transition of each env, see `ReplayBuffer.add`.

        Where `infos` hold `task_reward` and `shaping` these are stored, see `FollowsEngine`; else `reward`, unshaped.
        """
        self.stage(self.put(obs), self.put(next_obs), self.put(action), reward, done, infos)

    def stage(
        self,
        observations: jax.Array,
        next_observations: jax.Array,
        actions: jax.Array,
        reward: NDArray[Any],
        done: NDArray[Any],
        infos: list[dict[str, Any]],
    ) -> None:
        """Adds one transition of each env whose arrays (E, ...) are on the device already.

        Raises:
            EngineError: the buffer has one engine, and a transition is of another prompt.
        """
        self._note_prompts(self.pos, infos)
        self.flush()
        task_rewards, shaping = self._paid(reward, infos) or (reward, np.zeros_like(reward))
        timeouts = np.array([info.get("TimeLimit.truncated", False) for info in infos])
        terminated = done.astype(np.bool_) & ~timeouts if self.handle_timeout_termination else done
        outcomes = np.stack([task_rewards, shaping, terminated, done]).astype(np.float32)
        self.staged = Staged(np.int32(self.pos), observations, next_observations, actions, outcomes)
        self.pos += 1
        if self.pos == self.buffer_size:
            self.full, self.pos = True, 0

    def flush(self) -> None:
        """Writes the row that waits."""
        if self.staged is not None:
            self.storage = store(self.storage, self.staged)
            self.staged = None

    def cut(self) -> None:
        """Ends the trajectories that the newest row belongs to: returns of several steps do not go on from there."""
        self.flush()
        if self.size():
            self.storage = self.storage._replace(ended=self.storage.ended.at[self.filled.newest].set(True))

    def read_rows(self, rows: NDArray[np.int64], only: str | None = None) -> dict[str, NDArray[Any]]:
        """Returns copies of some rows on the host: name of a column -> (len(rows), E, ...).

        Args:
            rows: numbers of rows.
            only: one column; None: all.
        """
        self.flush()
        columns = {name: column for name, column in self.storage._asdict().items() if only in (None, name)}
        if self.jax_device.platform == "cpu":  # where the host sees the device's memory
            return {name: np.from_dlpack(column)[rows] for name, column in columns.items()}
        return {name: np.asarray(jnp.take(column, rows, axis=0)) for name, column in columns.items()}

    def fill(self, columns: dict[str, NDArray[Any]]) -> None:
        """Takes columns (R, E, ...) as the first rows, in place of all there was; `pos` and `full` are set apart."""
        self._storage, self.staged = None, None
        self._loaded = Storage(**columns) if columns else None

    def reset(self) -> None:
        """Forgets all transitions."""
        super().reset()
        self.staged = self._loaded = None

    def sample(self, batch_size: int, env: VecNormalize | None = None) -> ReplayBufferSamples:
        """Draws a batch for the host, see `ReplayBuffer.sample`; TQC itself samples on the device."""
        self.relabel()
        self.flush()
        key = jax.random.PRNGKey(np.random.randint(2**31))  # noqa: NPY002 - SB3's buffers draw from it, too
        scales = Normaliser() if env is None else Normaliser.from_vec_normalize(env)
        batch = sample(self.storage, self.filled, key, batch_size, self.n_steps, self.gamma, scales)
        observations, actions, rewards, following, discounts = (th.from_numpy(np.array(part)) for part in batch)
        dones = (discounts == 0.0).float()
        return ReplayBufferSamples(
            observations, actions, following, dones[:, None], rewards[:, None], discounts[:, None]
        )

    def relabel(self) -> None:
        """Brings the shaping of all stored transitions up to date; returns at once if it is, or without an engine."""
        if self.engine is not None:
            super().relabel()

    def _overwrite_shaping(self, snapshot: RewardSnapshot, chosen: NDArray[np.bool_] | None) -> None:
        self.flush()
        storage = self.storage._replace(shaping=None)
        at_once = STATES_AT_ONCE["cpu" if self.jax_device.platform == "cpu" else "gpu"]
        mask = None if chosen is None else jax.device_put(chosen, self.jax_device)
        try:
            shaping = relabel(
                snapshot,
                storage,
                self.storage.shaping,
                rows=self.size(),
                chosen=mask,
                state_fn=self._state_fn,
                observation_shape=self.obs_shape,
                states_at_once=at_once,
            )
        except jax.errors.JAXTypeError as error:
            raise ConfigError("state_fn runs on the device here: write it in operations of jax.numpy") from error
        self.storage = storage._replace(shaping=shaping)

    def __getstate__(self) -> dict[str, Any]:
        """Returns what is pickled: the rows that hold transitions, as NumPy arrays, and no device."""
        self.flush()
        filled = Storage(*(np.asarray(part[: self.size()]) for part in self.storage)) if self.size() else None
        return {**self._without_engine(), "_storage": None, "jax_device": None, "_loaded": filled}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Takes what was pickled; the arrays go to JAX's default device, or where `to` says, at first use."""
        self.__dict__.update(state)
        self.jax_device = find_device("auto")

    def to(self, device: jax.Device) -> None:
        """Chooses the device of a buffer that is not allocated yet, such as one just loaded."""
        self.jax_device = device
