"""Evaluation on the task's own reward: whole episodes, always from the same initial states."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

from mvr_wrappers.errors import ConfigError

if TYPE_CHECKING:
    from stable_baselines3.common.base_class import BaseAlgorithm

Policy = Callable[[NDArray[Any]], NDArray[Any]]
"""One observation to one action."""


class Envs(Protocol):
    """Several envs of one task: a list of them, or `EvalEnvs`."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int, /) -> gym.Env[Any, Any]: ...


def agent_policy(agent: BaseAlgorithm) -> Policy:
    """Returns the deterministic policy of an agent, as it is whenever it acts."""

    def act(observation: NDArray[Any]) -> NDArray[Any]:
        return agent.predict(observation, deterministic=True)[0]

    return act


@dataclass(frozen=True, slots=True, eq=False)
class Evaluation:
    """What N episodes came to.

    Attributes:
        returns: float64 (N,), undiscounted sums of the task's reward.
        lengths: int64 (N,), steps.
        successes: bool (N,), whether the env reported success at any step; None if it never says.
        last_successes: bool (N,), whether it did at the last step; None if it never says.
    """

    returns: NDArray[np.float64]
    lengths: NDArray[np.int64]
    successes: NDArray[np.bool_] | None
    last_successes: NDArray[np.bool_] | None

    @property
    def mean_return(self) -> float:
        """Mean over the episodes."""
        return float(self.returns.mean())

    @property
    def success_rate(self) -> float:
        """Share of the episodes with success at any step; NaN if the env never says."""
        return float("nan") if self.successes is None else float(self.successes.mean())

    @property
    def last_success_rate(self) -> float:
        """Share of the episodes with success at their last step; NaN if the env never says."""
        return float("nan") if self.last_successes is None else float(self.last_successes.mean())


def evaluate(
    env: gym.Env[Any, Any] | Envs,
    policy: Policy,
    episodes: int,
    seed: int = 0,
    tick: Callable[[], object] = lambda: None,
) -> Evaluation:
    """Plays whole episodes.

    Args:
        env: an env whose reward is the task's own, such as `gym.make("MVR/hammer-v3", shaping=False)`; or M of them,
            which play in turn: episode i takes place in env i modulo M.
        policy: what acts.
        episodes: N, greater than 0.
        seed: episode i starts from seed + i, so that two policies meet the same initial states.
        tick: called at the end of each episode, for a progress bar.

    Raises:
        ConfigError: no episodes asked for.
    """
    if episodes <= 0:
        raise ConfigError(f"an evaluation of {episodes} episodes; give at least 1")
    envs: Envs = [env] if isinstance(env, gym.Env) else env
    returns, lengths = np.zeros(episodes), np.zeros(episodes, np.int64)
    successes, last_successes = np.zeros((2, episodes), np.bool_)
    says_success = False
    for i in range(episodes):
        returns[i], solved = _play(envs[i % len(envs)], policy, seed + i)
        lengths[i], successes[i], last_successes[i] = len(solved), True in solved, solved[-1] is True
        says_success |= solved.count(None) < len(solved)
        tick()
    if not says_success:
        return Evaluation(returns, lengths, None, None)
    return Evaluation(returns, lengths, successes, last_successes)


def _play(env: gym.Env[Any, Any], policy: Policy, seed: int) -> tuple[float, list[bool | None]]:
    """Plays an episode; returns its return, and whether it was solved at each step, None where the env does not say."""
    observation, _ = env.reset(seed=seed)
    total, solved, done = 0.0, [], False
    while not done:
        observation, reward, terminated, truncated, info = env.step(policy(observation))
        total += float(reward)
        solved.append(bool(info["is_success"]) if "is_success" in info else None)
        done = terminated or truncated
    return total, solved
