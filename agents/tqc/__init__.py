"""TQC in JAX. Every public name is imported at its first use."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mvr_agents.tqc.algorithm import TQC

__all__ = ["TQC"]


def __getattr__(name: str) -> object:
    """Imports TQC, and JAX with it, at its first use."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from mvr_agents.tqc.algorithm import TQC

    return TQC
