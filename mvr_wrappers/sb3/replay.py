"""RelabelReplayBuffer: a replay buffer of Stable-Baselines3 whose shaping follows the reward as it is learned."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from gymnasium import spaces
from numpy.typing import NDArray
from stable_baselines3.common.buffers import ReplayBuffer
from stable_baselines3.common.type_aliases import ReplayBufferSamples
from stable_baselines3.common.vec_env import VecNormalize

from mvr_wrappers.engine.engine import RewardEngine
from mvr_wrappers.engine.group import EngineGroup
from mvr_wrappers.errors import ConfigError, EnvError
from mvr_wrappers.filming import StateFn
from mvr_wrappers.sb3.n_step import n_step_returns
from mvr_wrappers.snapshot import RewardSnapshot
from mvr_wrappers.wrappers.relabelling import FollowsEngine
from mvr_wrappers.wrappers.states import StateReader

TRANSITIONS_AT_ONCE = 65_536  # relabelled in one pass; bounds memory


class RelabelReplayBuffer(FollowsEngine, ReplayBuffer):
    """Stores task reward and shaping apart, as they were paid (see `FollowsEngine`), and adds them when sampled.

    Returns of several steps never cross a reset: a trajectory ends where an env does not go on from where its last
    transition led, as at another `learn`, after `set_env`, or with a loaded buffer.

    Whenever the engine has published a new snapshot, the shaping of every stored transition is computed anew before the
    next sample. It serves every off-policy algorithm of SB3 and sb3-contrib for continuous actions::

        SAC("MlpPolicy", venv, replay_buffer_class=RelabelReplayBuffer, replay_buffer_kwargs={"engine": venv.engine})

    For n-step returns give `n_steps` and `gamma` here and not to the algorithm, which sets up its own buffer alone::

        replay_buffer_kwargs={"engine": venv.engine, "n_steps": 3, "gamma": 0.99}

    SB3 pickles `replay_buffer_kwargs` when it saves a model, and an engine is not pickled: either train with
    `RewardLogger`, which takes the engine out of there (and hands it to a buffer that has none), or call
    `model.replay_buffer.set_engine(engine)` instead. A saved buffer comes back without its engine; set it anew.

    Args:
        buffer_size: transitions kept.
        observation_space: of one env.
        action_space: of one env.
        device: where samples go.
        n_envs: sub-envs that add at a time.
        optimize_memory_usage: must stay False: next observations are needed whole.
        handle_timeout_termination: as in SB3.
        engine: gives the shaping; may be set later. Where there are several prompts give an EngineGroup, such as
            `venv.engines`: each transition is relabelled by the engine of its episode's prompt.
        state_fn: observation -> state vector (D,); needed unless observations are vectors.
        n_steps: steps whose rewards are summed, fewer where an episode ends or the newest transition is met.
        gamma: discount of a step; plays no part where `n_steps` is 1.

    Raises:
        ConfigError: `optimize_memory_usage` is True, or `n_steps` do not fit.
        EnvError: the observations are no vectors and `state_fn` is missing.
    """

    def __init__(
        self,
        buffer_size: int,
        observation_space: spaces.Space[Any],
        action_space: spaces.Space[Any],
        device: torch.device | str = "auto",
        n_envs: int = 1,
        optimize_memory_usage: bool = False,
        handle_timeout_termination: bool = True,
        engine: RewardEngine | EngineGroup | None = None,
        state_fn: StateFn | None = None,
        n_steps: int = 1,
        gamma: float = 0.99,
    ) -> None:
        if optimize_memory_usage:
            raise ConfigError(
                "RelabelReplayBuffer stores next observations whole, final ones too; leave optimize_memory_usage False"
            )
        super().__init__(
            *(buffer_size, observation_space, action_space, device, n_envs),
            handle_timeout_termination=handle_timeout_termination,
        )
        if not 1 <= n_steps <= self.buffer_size:
            raise ConfigError(f"n_steps={n_steps} does not fit a replay buffer of {self.buffer_size} steps an env")
        self._follow(engine, self.buffer_size, self.n_envs)
        self.n_steps, self.gamma = n_steps, gamma
        self.shaping = np.zeros_like(self.rewards)
        self._terminated = np.zeros(self.rewards.shape, np.bool_)
        self._ended = np.zeros(self.rewards.shape, np.bool_)  # a trajectory: `dones`, and where an env was reset
        self._state_fn = state_fn
        self._read = StateReader(observation_space, state_fn)

    def add(
        self,
        obs: NDArray[Any],
        next_obs: NDArray[Any],
        action: NDArray[Any],
        reward: NDArray[Any],
        done: NDArray[Any],
        infos: list[dict[str, Any]],
    ) -> None:
        """Stores one transition of each env: task reward and shaping as `infos` tell them, see `FollowsEngine`.

        Raises:
            EnvError: the env does not tell them apart.
            EngineError: the buffer has one engine, and the transitions are of other prompts.
        """
        paid = self._paid(reward, infos)
        if paid is None:
            raise EnvError(
                "RelabelReplayBuffer needs `task_reward` and `shaping` in infos: train on a VecEnv of "
                "mvr_wrappers.sb3.make_vec_env, or wrap yours in MultiViewVLMRewardVecEnv"
            )
        self._note_prompts(self.pos, infos)
        task_rewards, self.shaping[self.pos] = paid
        self._terminated[self.pos] = done.astype(np.bool_) & ~np.array(
            [info.get("TimeLimit.truncated", False) for info in infos]
        )
        row, before = self.pos, (self.pos - 1) % self.buffer_size
        super().add(obs, next_obs, action, task_rewards, done, infos)
        self._ended[row] = done
        goes_on = self.next_observations[before] == self.observations[row]
        self._ended[before] |= ~goes_on.reshape(self.n_envs, -1).all(axis=1)

    def cut(self) -> None:
        """Ends the trajectories that the newest row belongs to: returns of several steps do not go on from there."""
        if self.size():
            self._ended[(self.pos - 1) % self.buffer_size] = True

    def sample(self, batch_size: int, env: VecNormalize | None = None) -> ReplayBufferSamples:
        """Samples transitions, rewarded with task reward plus shaping under the engine's latest snapshot.

        Raises:
            EngineError: the buffer has no engine.
        """
        self.relabel()
        return super().sample(batch_size, env)

    def _overwrite_shaping(self, snapshot: RewardSnapshot, chosen: NDArray[np.bool_] | None) -> None:
        rows = max(1, TRANSITIONS_AT_ONCE // self.n_envs)
        for start in range(0, self.size(), rows):
            part = slice(start, min(start + rows, self.size()))
            which = ... if chosen is None else chosen[part]  # all of them are read in place, not copied
            states = self._states(self.observations[part][which])
            next_states = self._states(self.next_observations[part][which]) if snapshot.rule == "potential" else None
            terminated = self._terminated[part][which]
            shaping = snapshot.shape(states, next_states, terminated.ravel())
            self.shaping[part][which] = shaping.reshape(terminated.shape)

    def _states(self, observations: NDArray[Any]) -> NDArray[np.float32]:
        """Returns the states of observations (B, ...): float32 (B, D)."""
        flat = observations.reshape(-1, *self.obs_shape)
        return self._read.batch(flat, len(flat))

    def _get_samples(self, batch_inds: NDArray[np.int64], env: VecNormalize | None = None) -> ReplayBufferSamples:
        """Gathers what starts at rows `batch_inds`, in a random env each, as SB3 does."""
        envs = np.random.randint(0, self.n_envs, size=len(batch_inds))  # noqa: NPY002 - SB3 seeds this one

        def rewards_at(rows: NDArray[np.int64], envs: NDArray[np.int64]) -> NDArray[np.float32]:
            return self._normalize_reward(self.rewards[rows, envs] + self.shaping[rows, envs], env)

        newest = (self.pos - 1) % self.buffer_size
        returns = n_step_returns(rewards_at, self._ended, newest, batch_inds, envs, self.n_steps, self.gamma)
        last = returns.last, envs
        data = (
            self._normalize_obs(self.observations[batch_inds, envs], env),
            self.actions[batch_inds, envs],
            self._normalize_obs(self.next_observations[last], env),
            (self.dones[last] * (1 - self.timeouts[last])).reshape(-1, 1),  # a time-out is not the end of the task
            returns.rewards.reshape(-1, 1),
        )
        samples = ReplayBufferSamples(*map(self.to_torch, data))
        if self.n_steps == 1:
            return samples  # without discounts: the algorithm's own gamma counts
        return samples._replace(discounts=self.to_torch(returns.discounts.reshape(-1, 1)))

    def __getstate__(self) -> dict[str, Any]:
        return {**self._without_engine(), "_read": None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._read = StateReader(self.observation_space, self._state_fn)
