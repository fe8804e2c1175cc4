"""Reinforcement learning guided by what behaviour looks like: multi-view video rewards for MuJoCo environments.

Importing this package registers the `MVR/...` ids with Gymnasium and loads neither torch nor mujoco; every public name
below is imported at its first use.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

from mvr_wrappers.registry import register_all

if TYPE_CHECKING:
    from mvr_wrappers.clips import Clip, ScoredClip
    from mvr_wrappers.engine import RewardEngine
    from mvr_wrappers.engine_group import EngineGroup
    from mvr_wrappers.errors import MVRError
    from mvr_wrappers.filming import Camera, CameraRig, FilmedEnv
    from mvr_wrappers.multitask import make_multitask_vec
    from mvr_wrappers.registry import TaskSpec, get_task, load_registry, register_tasks
    from mvr_wrappers.scorers import load_scorer, register_scorer
    from mvr_wrappers.snapshot import RewardSnapshot
    from mvr_wrappers.vector import MultiViewVLMRewardVectorWrapper
    from mvr_wrappers.wrapper import MultiViewVLMRewardWrapper

__version__ = "0.1.0"

_HOMES = {
    "Camera": "filming",
    "CameraRig": "filming",
    "Clip": "clips",
    "EngineGroup": "engine_group",
    "FilmedEnv": "filming",
    "MVRError": "errors",
    "MultiViewVLMRewardVectorWrapper": "vector",
    "MultiViewVLMRewardWrapper": "wrapper",
    "RewardEngine": "engine",
    "RewardSnapshot": "snapshot",
    "ScoredClip": "clips",
    "TaskSpec": "registry",
    "get_task": "registry",
    "load_registry": "registry",
    "load_scorer": "scorers",
    "make_multitask_vec": "multitask",
    "register_scorer": "scorers",
    "register_tasks": "registry",
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
