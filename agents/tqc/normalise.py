"""Normalisation of observations and rewards on the device: our own running statistics, or those of a VecNormalize."""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from stable_baselines3.common.vec_env import VecNormalize

Array = jax.Array
Values = jax.Array | np.ndarray[Any, Any] | float

CLIP = 10.0  # of normalised observations, as VecNormalize's
_EPSILON = 1e-8
_LARGEST = np.iinfo(np.int32).max


class Statistics(NamedTuple):
    """Running moments of observations.

    Attributes:
        count: int32 scalar, observations seen; stays at the largest int32.
        mean: float32 (D,).
        variance: float32 (D,).
    """

    count: Array  # type: ignore[assignment]  # over the method of tuples
    mean: Array
    variance: Array

    @classmethod
    def empty(cls, dim: int) -> Statistics:
        """Returns the statistics before the first observation, which normalise nothing."""
        return cls(jnp.zeros((), jnp.int32), jnp.zeros(dim), jnp.ones(dim))

    def add(self, observations: Array) -> Statistics:
        """Returns the statistics with (N, D) more observations (Chan et al. 1983)."""
        n = len(observations)
        before = jnp.minimum(self.count, _LARGEST - n)  # whole numbers: float32 stands still at 2^24
        share = n / (before + n)
        delta = observations.mean(axis=0) - self.mean
        spread = observations.var(axis=0) + jnp.square(delta) * (1.0 - share)
        variance = jnp.where(before == 0, spread, self.variance + share * (spread - self.variance))
        return Statistics(before + n, self.mean + share * delta, variance)


class Normaliser(NamedTuple):
    """Maps stored observations and rewards to what the networks see. None leaves that part as it is.

    Attributes:
        mean, deviation: (D,), of observations.
        clip: bound of normalised observations.
        reward_deviation, reward_clip: of rewards.
    """

    mean: Values | None = None
    deviation: Values | None = None
    clip: Values | None = None
    reward_deviation: Values | None = None
    reward_clip: Values | None = None

    @classmethod
    def from_statistics(cls, statistics: Statistics | None) -> Normaliser:
        """Returns the normaliser of observations that running statistics define; None: of nothing."""
        if statistics is None:
            return cls()
        return cls(statistics.mean, jnp.sqrt(statistics.variance + _EPSILON), CLIP)

    @classmethod
    def from_vec_normalize(cls, env: VecNormalize) -> Normaliser:
        """Returns what `env` does to observations and rewards with its present statistics."""
        normaliser = cls()
        if env.norm_obs:
            moments: Any = env.obs_rms  # one RunningMeanStd, for the observations are a Box
            normaliser = normaliser._replace(
                mean=np.asarray(moments.mean, np.float32).ravel(),
                deviation=np.sqrt(moments.var + env.epsilon).astype(np.float32).ravel(),
                clip=np.asarray(env.clip_obs, np.float32),
            )
        if env.norm_reward:
            normaliser = normaliser._replace(
                reward_deviation=np.sqrt(env.ret_rms.var + env.epsilon).astype(np.float32),
                reward_clip=np.asarray(env.clip_reward, np.float32),
            )
        return normaliser

    def observations(self, observations: Array) -> Array:
        """Normalises observations (..., D)."""
        if self.mean is None or self.deviation is None or self.clip is None:
            return observations
        return jnp.clip((observations - self.mean) / self.deviation, -self.clip, self.clip)

    def rewards(self, rewards: Array) -> Array:
        """Normalises the rewards of single steps."""
        if self.reward_deviation is None or self.reward_clip is None:
            return rewards
        return jnp.clip(rewards / self.reward_deviation, -self.reward_clip, self.reward_clip)
