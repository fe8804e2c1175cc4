"""Base envs of the task families: the bare env a task is played in, before anything is filmed or rewarded."""

from __future__ import annotations

import functools
import importlib
from collections.abc import Callable
from typing import Any

import gymnasium as gym
from gymnasium.envs.registration import load_env_creator

from mvr_wrappers.errors import ConfigError, MissingExtraError
from mvr_wrappers.tasks import humanoid_bench, humanoid_bench_patches, metaworld, metaworld_patches
from mvr_wrappers.tasks.spec import TaskSpec

__all__ = ["import_module", "make_base_env", "renders"]

_ADAPTERS: dict[str | None, Callable[..., gym.Env[Any, Any]]] = {
    None: gym.make,
    "metaworld": metaworld.make,
    "humanoid_bench": humanoid_bench.make,
}
_LOADERS: dict[str, Callable[[], object]] = {
    "humanoid_bench": humanoid_bench_patches.load,
    "metaworld": metaworld_patches.load,
}
# Package -> the extra of this distribution that installs it, and the commands that come before.
_EXTRAS = {
    "metaworld": ("metaworld", ""),
    "humanoid_bench": ("humanoid-bench", humanoid_bench.INSTALL),
    "dm_control": ("humanoid-bench", ""),
}


def make_base_env(spec: TaskSpec, **kwargs: Any) -> gym.Env[Any, Any]:
    """Makes the env of a task as its authors wrote it, time limit included; no filming, no shaping.

    Args:
        spec: the task.
        kwargs: further arguments of the env, such as `render_mode` or `max_episode_steps`, over those of the task.

    Returns:
        The env. Gymnasium's checker is left out: `gymnasium.make` puts it around the whole stack.

    Raises:
        MissingExtraError: the package that holds the env is not installed.
        AssetError: the env's package lacks a file of its scene.
        ConfigError: there is no such env, or it does not take these arguments.
    """
    import_module(spec)
    arguments = {"max_episode_steps": spec.make.max_episode_steps, **spec.make.kwargs, **kwargs}
    try:
        return _ADAPTERS[spec.make.adapter](spec.make.id, disable_env_checker=True, **arguments)
    except (gym.error.Error, TypeError) as error:
        raise ConfigError(f"the env {spec.make.id} of task {spec.name} cannot be made so: {error}") from error


def import_module(spec: TaskSpec) -> None:
    """Imports the package that registers a task's env, and perhaps the scorer it names.

    Raises:
        MissingExtraError: it is not installed.
        ConfigError: it is not installed, and no extra of this distribution installs it.
    """
    if spec.make.module is not None:
        _import(spec.make.module, spec.name)


def renders(spec: TaskSpec, mode: str) -> bool:
    """Whether the base env of a task has a render mode, as far as its class says; its module must be imported."""
    try:
        creator = gym.spec(spec.make.id).entry_point
    except gym.error.Error:
        return True  # to make it will say more
    metadata = getattr(load_env_creator(creator) if isinstance(creator, str) else creator, "metadata", None)
    return metadata is None or mode in metadata.get("render_modes", ())


def _import(module: str, task: str) -> None:
    load = _LOADERS.get(module, functools.partial(importlib.import_module, module))
    try:
        load()
    except ModuleNotFoundError as error:
        if error.name in _EXTRAS:
            extra, first = _EXTRAS[error.name]
            raise MissingExtraError(error.name, extra, f"the task {task}", first) from error
        if error.name != module.partition(".")[0]:
            raise  # the package is there, and something it needs is not: its own message says what
        raise ConfigError(f"the task {task} needs the package {module}; install it, or correct make.module") from error
