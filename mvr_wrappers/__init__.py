"""Reinforcement learning guided by what behaviour looks like: multi-view video rewards for MuJoCo environments.

Importing this package registers the `MVR/...` ids with Gymnasium and loads neither torch nor mujoco; every public name
below is imported at its first use.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

from mvr_wrappers.tasks.registry import register_all

if TYPE_CHECKING:
    from mvr_wrappers.clips import Clip, ScoredClip
    from mvr_wrappers.engine.engine import RewardEngine
    from mvr_wrappers.engine.group import EngineGroup
    from mvr_wrappers.envs.make import make_multitask_vec
    from mvr_wrappers.errors import MVRError
    from mvr_wrappers.filming import FilmedEnv
    from mvr_wrappers.rigs import Camera, CameraRig
    from mvr_wrappers.scorers import load_scorer, register_scorer
    from mvr_wrappers.scorers.pool import ScorerPool
    from mvr_wrappers.snapshot import RewardSnapshot
    from mvr_wrappers.tasks.registry import TaskSpec, get_task, load_registry, register_tasks
    from mvr_wrappers.wrappers.single import MultiViewVLMRewardWrapper
    from mvr_wrappers.wrappers.vector import MultiViewVLMRewardVectorWrapper

__version__ = "0.1.0"

_HOMES = {
    "Camera": "rigs",
    "CameraRig": "rigs",
    "Clip": "clips",
    "EngineGroup": "engine",
    "FilmedEnv": "filming",
    "MVRError": "errors",
    "MultiViewVLMRewardVectorWrapper": "wrappers.vector",
    "MultiViewVLMRewardWrapper": "wrappers.single",
    "RewardEngine": "engine",
    "RewardSnapshot": "snapshot",
    "ScoredClip": "clips",
    "ScorerPool": "scorers.pool",
    "TaskSpec": "tasks.registry",
    "get_task": "tasks.registry",
    "load_registry": "tasks.registry",
    "load_scorer": "scorers",
    "make_multitask_vec": "envs.make",
    "register_scorer": "scorers",
    "register_tasks": "tasks.registry",
}

__all__ = [
    "Camera",
    "CameraRig",
    "Clip",
    "EngineGroup",
    "FilmedEnv",
    "MVRError",
    "MultiViewVLMRewardVectorWrapper",
    "MultiViewVLMRewardWrapper",
    "RewardEngine",
    "RewardSnapshot",
    "ScoredClip",
    "ScorerPool",
    "TaskSpec",
    "get_task",
    "load_registry",
    "load_scorer",
    "make_multitask_vec",
    "register_scorer",
    "register_tasks",
]


def __getattr__(name: str) -> object:
    """Imports a public name from its module at first use."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    """Lists the public names."""
    return sorted([*__all__, "__version__"])


register_all()
