"""The table of scorers by name, and the one door to them. Loads no torch before a scorer is asked for."""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mvr_wrappers.errors import ConfigError, UnknownNameError, nearest
from mvr_wrappers.scorers.base import Scorer

if TYPE_CHECKING:
    import torch

Factory = Callable[..., Scorer]


def _pocket(**arguments: Any) -> Scorer:
    from mvr_wrappers.scorers.pocket import PocketScorer

    return PocketScorer(**arguments)


def _viclip(name: str, **arguments: Any) -> Scorer:
    from mvr_wrappers.scorers.viclip import load_viclip

    return load_viclip(name, **arguments)


_FACTORIES: dict[str, Factory] = {"pocket": _pocket}
_FACTORIES |= {name: functools.partial(_viclip, name) for name in ("viclip-l", "viclip-b", "viclip-tiny")}
_LOCK = threading.RLock()  # a factory may itself load the scorer it wraps


def scorer_names() -> tuple[str, ...]:
    """Returns the names `load_scorer` knows, sorted."""
    return tuple(sorted(_FACTORIES))


def register_scorer(name: str, factory: Factory) -> None:
    """Makes an encoder of your own available by name.

    A name that exists is replaced for later calls of `load_scorer`.

    Args:
        name: what users will pass as `scorer=`.
        factory: called as `factory(device=torch.device, dtype=torch.dtype, weights=Path | None)`, returns a `Scorer`.

    Raises:
        ConfigError: the name is empty, or the factory cannot be called.
    """
    if not name or not callable(factory):
        raise ConfigError(f"register_scorer needs a name and a callable, got {name!r} and {factory!r}")
    with _LOCK:
        _FACTORIES[name] = factory
        _load.cache_clear()


def load_scorer(
    name: str,
    device: str | torch.device = "auto",
    dtype: str | torch.dtype = "auto",
    weights: str | Path | None = None,
) -> Scorer:
    """Returns the scorer called `name`, made once per process and set of arguments.

    Scorers are frozen and hold no state of an episode, so sharing one instance is safe.

    Args:
        name: "pocket", "viclip-l", "viclip-b", or a name given to `register_scorer`.
        device: "auto" (CUDA where there is one), "cpu", "cuda", "cuda:N", or a torch.device.
        dtype: "auto" (bfloat16 on CUDA, float32 on the CPU), "float32", "bfloat16", or a torch.dtype.
        weights: local file of weights; None takes the scorer's own, from the package or the model hub.

    Raises:
        UnknownNameError: no scorer has that name; the nearest names are listed.
        ConfigError: device or dtype are no valid words.
        ScorerError: CUDA was asked for and is absent, or the weights cannot be had or do not fit.
    """
    from mvr_wrappers.scorers.devices import resolve_device, resolve_dtype

    if name not in _FACTORIES:
        raise UnknownNameError(f"no scorer is called {name!r}. Nearest: {nearest(name, _FACTORIES)}")
    where = resolve_device(device)
    # Links are kept: the vocabulary lies beside the link, not beside the file it points to in a hub's cache.
    path = None if weights is None else Path(weights).expanduser().absolute()
    # Held while loading: two threads that ask for one scorer must not put its weights in memory twice.
    with _LOCK:
        return _load(name, where, resolve_dtype(dtype, where), path)


@functools.cache
def _load(name: str, device: torch.device, dtype: torch.dtype, weights: Path | None) -> Scorer:
    return _FACTORIES[name](device=device, dtype=dtype, weights=weights)
