"""Collector: chooses the actions of vector steps and stores what they led to; no array crosses to the device twice."""

from __future__ import annotations

from typing import Any

import jax
import numpy as np
from numpy.typing import NDArray

from mvr_agents.tqc import programs
from mvr_agents.tqc.policy import TQCPolicy, shape_of
from mvr_agents.tqc.replay import DeviceReplayBuffer


class Mirror:
    """Remembers the host array that was copied to the device last, so that it is copied once."""

    def __init__(self) -> None:
        self._host: NDArray[Any] | None = None
        self._device: jax.Array | None = None

    def remember(self, host: NDArray[Any], device: jax.Array) -> None:
        """Takes an array that is on both sides already."""
        self._host, self._device = host, device

    def on_device(self, host: NDArray[Any], buffer: DeviceReplayBuffer) -> jax.Array:
        """Returns the copy (E, ...) of `host` on the device."""
        if host is self._host and self._device is not None:
            return self._device
        device = buffer.put(host)
        self.remember(host, device)
        return device


class Collector:
    """Acts in E envs and stages their transitions, which the next device call writes."""

    def __init__(self) -> None:
        self._observations, self._actions = Mirror(), Mirror()

    def act(
        self, policy: TQCPolicy, buffer: DeviceReplayBuffer, observations: NDArray[Any], warm_up: bool
    ) -> NDArray[np.float32]:
        """Chooses exploring actions in one device call, which also writes the row that waits.

        Args:
            policy: what acts; its exploration moves on.
            buffer: where the row waits.
            observations: (E, ...), as the envs gave them.
            warm_up: draw actions uniformly instead.

        Returns:
            Actions in [-1, 1], (E, ...).
        """
        storage = None if buffer.staged is None else buffer.storage
        actions, policy.rollout, written = programs.act(
            policy.spec.actor,
            policy.train_state.actor,
            policy.rollout,
            self._observations.on_device(observations, buffer),
            warm_up,
            storage,
            buffer.staged,
            policy.noise_repeat,
        )
        if written is not None:
            buffer.storage, buffer.staged = written, None
        scaled = np.asarray(actions).reshape(-1, *shape_of(policy.action_space))
        self._actions.remember(scaled, actions)
        return scaled

    def store(
        self,
        buffer: DeviceReplayBuffer,
        observations: NDArray[Any],
        actions: NDArray[np.float32],
        new_observations: NDArray[Any],
        rewards: NDArray[Any],
        dones: NDArray[np.bool_],
        infos: list[dict[str, Any]],
    ) -> None:
        """Stages one transition of each env.

        Args:
            buffer: where it is staged.
            observations: (E, ...).
            actions: (E, ...), in [-1, 1].
            new_observations: (E, ...), those of the next episode where one ended, as VecEnvs give them.
            rewards: (E,).
            dones: (E,).
            infos: of each env; `terminal_observation` is the last observation of an episode that ended.
        """
        observed = self._observations.on_device(observations, buffer)
        following = self._observations.on_device(new_observations, buffer)
        ended = [i for i in np.flatnonzero(dones) if "terminal_observation" in infos[i]]
        if ended:
            last = np.array(new_observations)
            for i in ended:
                last[i] = infos[i]["terminal_observation"]
            following = buffer.put(last)
        buffer.stage(observed, following, self._actions.on_device(actions, buffer), rewards, dones, infos)
