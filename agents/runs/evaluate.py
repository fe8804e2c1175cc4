"""Evaluation on the task's own reward: whole episodes, always from the same initial states."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

from mvr_wrappers.errors import ConfigError

if TYPE_CHECKING:
    from stable_baselines3.common.base_class import BaseAlgorithm

Policy = Callable[[NDArray[Any]], NDArray[Any]]
"""One observation to one action."""


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
    """

    returns: NDArray[np.float64]
    lengths: NDArray[np.int64]
    successes: NDArray[np.bool_] | None

    @property
    def mean_return(self) -> float:
        """Mean over the episodes."""
        return float(self.returns.mean())

    @property
    def success_rate(self) -> float:
        """Share of the episodes with success; NaN if the env never says."""
        return float("nan") if self.successes is None else float(self.successes.mean())


def evaluate(
    env: gym.Env[Any, Any], policy: Policy, episodes: int, seed: int = 0, tick: Callable[[], object] = lambda: None
) -> Evaluation:
    """Plays whole episodes.

    Args:
        env: an env whose reward is the task's own, such as `gym.make("MVR/hammer-v3", shaping=False)`.
        policy: what acts.
        episodes: N, greater than 0.
        seed: episode i starts from seed + i, so that two policies meet the same initial states.
        tick: called at the end of each episode, for a progress bar.

    Raises:
        ConfigError: no episodes asked for.
    """
    if episodes <= 0:
        raise ConfigError(f"an evaluation of {episodes} episodes; give at least 1")
    returns, lengths, successes = np.zeros(episodes), np.zeros(episodes, np.int64), np.zeros(episodes, np.bool_)
    says_success = False
    for i in range(episodes):
        observation, _ = env.reset(seed=seed + i)
        done = False
        while not done:
            observation, reward, terminated, truncated, info = env.step(policy(observation))
            returns[i] += float(reward)
            lengths[i] += 1
            if "is_success" in info:
                says_success = True
                successes[i] |= bool(info["is_success"])
            done = terminated or truncated
        tick()
    return Evaluation(returns, lengths, successes if says_success else None)
