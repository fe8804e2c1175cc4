"""JAX simulators: the reward is shaped inside jit, a few of many worlds are recorded, and the host films them."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

from mvr_wrappers.errors import MissingExtraError

try:
    import jax as _jax  # noqa: F401 - what follows needs it
except ModuleNotFoundError as error:
    raise MissingExtraError("jax", "playground", "mvr_wrappers.mjx") from error

if TYPE_CHECKING:
    from mvr_wrappers.mjx.records import Record
    from mvr_wrappers.mjx.worlds import ShapedWorlds

_HOMES = {"Record": "records", "ShapedWorlds": "worlds"}

__all__ = ["Record", "ShapedWorlds"]


def __getattr__(name: str) -> object:
    """Imports a public name from its module at first use: MuJoCo with those alone."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
