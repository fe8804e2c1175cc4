"""Checks of what TQC is given: spaces, arguments, transitions and replay buffers."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable
from dataclasses import dataclass, fields
from numbers import Real
from typing import Annotated, Any

import gymnasium as gym
import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray
from pydantic import Field
from stable_baselines3.common.off_policy_algorithm import OffPolicyAlgorithm
from stable_baselines3.common.preprocessing import is_image_space

from mvr_agents.tqc.policy import AUTO, TQCPolicy
from mvr_agents.tqc.replay import DeviceReplayBuffer
from mvr_wrappers.errors import ConfigError, EnvError, NonFiniteError, nearest
from mvr_wrappers.parsing import Count, Float, Int, Natural, StrictFields, parse


def check_spaces(observation_space: gym.Space[Any], action_space: gym.Space[Any]) -> None:
    """Refuses spaces the JAX learner has no networks for.

    Raises:
        EnvError: saying what it found, and what to do.
    """
    if not isinstance(observation_space, spaces.Box):
        raise EnvError(
            f"observations must be a Box, not {type(observation_space).__name__}; flatten them with "
            "gymnasium.wrappers.FlattenObservation"
        )
    if is_image_space(observation_space):
        raise EnvError(f"observations are images {observation_space.shape}; the JAX learner has no convolutions")
    if not isinstance(action_space, spaces.Box):
        raise EnvError(f"actions must be a Box, not {type(action_space).__name__}: TQC needs continuous actions")
    if not np.isfinite([action_space.low, action_space.high]).all():
        raise EnvError("the action space must be bounded; use gymnasium.wrappers.RescaleAction or a bounded Box")


Share = Annotated[Float, Field(ge=0.0, le=1.0)]
NotNegative = Annotated[Float, Field(ge=0.0)]
AtLeastMinusOne = Annotated[Int, Field(ge=-1)]


@dataclass(frozen=True)
class Numbers(StrictFields):
    """The arguments of TQC that are plain numbers, and the range of each."""

    buffer_size: Count
    learning_starts: Natural
    batch_size: Count
    tau: Share
    gamma: Share
    gradient_steps: AtLeastMinusOne
    n_steps: Count
    target_update_interval: Count
    top_quantiles_to_drop_per_net: Natural
    sde_sample_freq: AtLeastMinusOne
    noise_repeat: Count
    ent_coef_lr: NotNegative | None


def check_names(unknown: Iterable[str], constructor: Callable[..., object]) -> None:
    """Refuses arguments by names that `constructor` does not list.

    Raises:
        ConfigError: naming the nearest valid ones.
    """
    for name in unknown:
        listed = inspect.signature(constructor).parameters.values()
        valid = [p.name for p in listed if p.kind is not p.VAR_KEYWORD and not p.name.startswith("_")]
        raise ConfigError(f"TQC has no argument {name}. Nearest: {nearest(name, valid)}")


def check_arguments(agent: OffPolicyAlgorithm) -> None:
    """Refuses arguments of TQC that cannot work.

    Args:
        agent: a TQC that has not made its networks yet.

    Raises:
        ConfigError: saying which, and why.
    """
    if not issubclass(agent.policy_class, TQCPolicy):
        raise ConfigError(f"{agent.policy_class.__name__} is the policy of another algorithm; TQC takes a TQCPolicy")
    _check_numbers(agent)
    if agent.use_sde and vars(agent)["noise_repeat"] > 1:
        raise ConfigError("noise_repeat is for independent noise; with use_sde=True set sde_sample_freq instead")
    if agent.optimize_memory_usage:
        raise ConfigError("optimize_memory_usage=True is not supported: final observations would be lost")
    if agent.buffer_size < agent.batch_size:
        raise ConfigError(f"buffer_size={agent.buffer_size} is smaller than batch_size={agent.batch_size}")
    kind = agent.replay_buffer_class
    if kind is not None and not issubclass(kind, DeviceReplayBuffer):
        raise ConfigError(
            f"replay_buffer_class={kind.__name__} keeps its transitions on the host; leave it out, or give a subclass "
            "of mvr_agents.tqc.replay.DeviceReplayBuffer"
        )
    vec_normalize = agent.get_vec_normalize_env()
    if vec_normalize is not None and vec_normalize.norm_obs and agent.policy_kwargs.get("normalize_observations"):
        raise ConfigError("observations are normalised twice: by VecNormalize and by normalize_observations=True")


def _check_numbers(agent: OffPolicyAlgorithm) -> None:
    given = {item.name: getattr(agent, item.name) for item in fields(Numbers)}
    parse(Numbers, {name: n.item() if isinstance(n, np.generic) else n for name, n in given.items()}, "")
    rate: Any = agent.learning_rate
    if not callable(rate) and not (isinstance(rate, Real) and 0.0 <= float(rate) < np.inf):
        raise ConfigError(f"learning_rate: give a number from 0 on, or a function of what remains to do, not {rate!r}")
    entropy: Any = vars(agent)["target_entropy"]
    if entropy != AUTO and not (isinstance(entropy, Real) and np.isfinite(float(entropy))):
        raise ConfigError(f"target_entropy: give auto or a number, not {entropy!r}")
    train_freq: Any = agent.train_freq  # SB3 has read it, and checked its unit
    if train_freq.frequency < 1:
        raise ConfigError(f"train_freq: give at least 1 {train_freq.unit.value}, not {train_freq.frequency}")


def check_finite(step: int, **values: NDArray[Any]) -> None:
    """Refuses transitions of NaN or infinity.

    Args:
        step: env steps so far, for the message.
        values: what it is called -> one row an env, (E, ...).

    Raises:
        NonFiniteError: naming the env.
    """
    for what, rows in values.items():
        finite = np.isfinite(rows).reshape(len(rows), -1).all(axis=1)
        if not finite.all():
            raise NonFiniteError(
                f"env {int(finite.argmin())} gave a NaN or infinite {what} at step {step}; the transition was not "
                "stored"
            )


def check_loaded(new: Any, old: DeviceReplayBuffer | None, path: str) -> DeviceReplayBuffer:
    """Returns a loaded replay buffer unless it does not fit the agent, whose own is `old`.

    Raises:
        ConfigError: it is of another kind of agent, or of other envs.
    """
    if not isinstance(new, DeviceReplayBuffer):
        raise ConfigError(f"{path} holds a {type(new).__name__} of another agent, not a DeviceReplayBuffer")
    if old is not None and [part.shape[1:] for part in new.shapes] != [part.shape[1:] for part in old.shapes]:
        raise ConfigError(
            f"{path} holds transitions of {new.n_envs} envs, {new.observation_space} and {new.action_space}; this "
            f"agent has {old.n_envs} envs, {old.observation_space} and {old.action_space}"
        )
    return new
