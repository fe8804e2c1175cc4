"""Policies to evaluate and to film: random, Meta-World's scripted ones, and trained agents."""

from __future__ import annotations

import copy
import warnings
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

from mvr_agents.extras import require
from mvr_agents.runs.evaluate import Policy
from mvr_agents.runs.saved_run import SavedRun
from mvr_wrappers.errors import ConfigError, nearest
from mvr_wrappers.tasks.registry import TaskSpec

_GOAL_OBSERVABLE = "-goal-observable"


def random_policy(space: gym.Space[Any], seed: int) -> Policy:
    """Returns a policy that draws uniformly from `space`, with its own generator."""
    own = copy.deepcopy(space)
    own.seed(seed)
    return lambda observation: own.sample()


def has_scripted_policy(spec: TaskSpec) -> bool:
    """Returns whether Meta-World brings a scripted policy for the task."""
    return spec.make.adapter == "metaworld"


def scripted_policy(spec: TaskSpec) -> Policy:
    """Returns Meta-World's scripted policy for the task.

    Raises:
        ConfigError: the task is not one of Meta-World's.
        MissingExtraError: metaworld is not installed.
    """
    if not has_scripted_policy(spec):
        raise ConfigError(f"{spec.name} has no scripted policy, only Meta-World's tasks do; use another")
    require(f"the scripted policy of {spec.name}", "metaworld")
    from metaworld.policies import ENV_POLICY_MAP

    name = spec.make.kwargs["env_name"].removesuffix(_GOAL_OBSERVABLE)
    if name not in ENV_POLICY_MAP:
        raise ConfigError(f"Meta-World has no scripted policy for {name}. Nearest: {nearest(name, ENV_POLICY_MAP)}")
    policy = ENV_POLICY_MAP[name]()

    def act(observation: NDArray[Any]) -> NDArray[Any]:
        with warnings.catch_warnings():  # it says at some steps that its actions exceed [-1, 1], where they are cut
            warnings.simplefilter("ignore")
            action = policy.get_action(observation)
        return np.asarray(np.clip(action, -1.0, 1.0), np.float32)

    return act


def make_policy(
    name: str, spec: TaskSpec, env: gym.Env[Any, Any], seed: int, device: str = "auto", *, trust: bool = False
) -> Policy:
    """Returns the policy that a user names.

    Args:
        name: "random", "scripted", or the directory of a run.
        spec: the task it will act in.
        env: an env of that task.
        seed: of the random policy.
        device: of a trained agent.
        trust: take an agent whose loading can execute code, see `LearnerModule.load`.

    Raises:
        ConfigError: no such policy for this task, or the directory holds no run, or one of a task of other spaces.
    """
    if name == "random":
        return random_policy(env.action_space, seed)
    if name == "scripted":
        return scripted_policy(spec)
    if not Path(name).exists():
        raise ConfigError(f"there is no policy {name!r}; give random, scripted, or a directory that `mvr train` wrote")
    run = SavedRun.open(name, device, trust=trust)
    run.check_spaces(env)
    return run.policy
