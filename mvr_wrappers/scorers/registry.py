"""The table of scorers by name, and the one door to them. Loads no torch before a scorer is asked for."""

from __future__ import annotations

import functools
import inspect
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mvr_wrappers.errors import ConfigError, UnknownNameError, nearest
from mvr_wrappers.scorers.base import Scorer

if TYPE_CHECKING:
    import torch

    from mvr_wrappers.scorers.transformers import Pooling

Factory = Callable[..., Scorer]


def _pocket(*, device: torch.device, dtype: torch.dtype, weights: Path | None) -> Scorer:
    from mvr_wrappers.scorers.pocket.scorer import PocketScorer

    return PocketScorer(device=device, dtype=dtype, weights=weights)


def _viclip(
    name: str, *, device: torch.device, dtype: torch.dtype, weights: Path | None, compile: bool = False
) -> Scorer:
    from mvr_wrappers.scorers.viclip.scorer import load_viclip

    return load_viclip(name, device, dtype, weights, compile=compile)


def _transformers(
    name: str,
    *,
    device: torch.device,
    dtype: torch.dtype,
    weights: Path | None,
    pooling: Pooling = "mean",
    compile: bool = False,
) -> Scorer:
    from mvr_wrappers.scorers.transformers import load_transformers

    return load_transformers(name, device, dtype, weights, pooling=pooling, compile=compile)


_FACTORIES: dict[str, Factory] = {"pocket": _pocket}
_FACTORIES |= {name: functools.partial(_viclip, name) for name in ("viclip-l", "viclip-b", "viclip-tiny")}
_FACTORIES |= {name: functools.partial(_transformers, name) for name in ("clip-l", "xclip-l", "siglip2")}
_CPU_BFLOAT16 = frozenset({"viclip-l", "viclip-b"})  # faster so where the CPU has it: benchmarks/results/scorer.md
_LOCK = threading.RLock()  # a factory may itself load the scorer it wraps


def scorer_names() -> tuple[str, ...]:
    """Returns the names `load_scorer` knows, sorted."""
    return tuple(sorted(_FACTORIES))


def register_scorer(name: str, factory: Factory) -> None:
    """Makes an encoder of your own available by name.

    A name that exists is replaced for later calls of `load_scorer`.

    Args:
        name: what users will pass as `scorer=`.
        factory: called as `factory(device=torch.device, dtype=torch.dtype, weights=Path | None)`, with the further
            keywords given to `load_scorer`, if any; returns a `Scorer`.

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
    **options: Any,
) -> Scorer:
    """Returns the scorer called `name`, made once per process and set of arguments.

    Scorers are frozen and hold no state of an episode, so sharing one instance is safe.

    Args:
        name: one of `scorer_names()`: "pocket", "viclip-l", "viclip-b", "clip-l", "xclip-l", "siglip2", or a name given
            to `register_scorer`.
        device: "auto" (CUDA where there is one), "cpu", "cuda", "cuda:N", or a torch.device.
        dtype: "float32", "bfloat16", a torch.dtype, or "auto": bfloat16 on CUDA devices that have it, and for ViCLIP on
            CPUs that have it; else float32.
        weights: local file of weights, for scorers of transformers a folder; None takes the scorer's own, from the
            package or the model hub.
        options: of single scorers. `compile=True` fuses the video tower with `torch.compile` (ViCLIP and transformers);
            `pooling="mean"` or `"frames"` (clip-l and siglip2) is told by `load_transformers`.

    Raises:
        UnknownNameError: no scorer has that name; the nearest names are listed.
        ConfigError: device or dtype are no valid words, or an option that the scorer does not have.
        ScorerError: CUDA was asked for and is absent, or the weights cannot be had or do not fit.
        MissingExtraError: the package that the scorer needs is not installed.
    """
    from mvr_wrappers.scorers.devices import resolve_device, resolve_dtype

    if name not in _FACTORIES:
        raise UnknownNameError(f"no scorer is called {name!r}. Nearest: {nearest(name, _FACTORIES)}")
    where = resolve_device(device)
    precision = resolve_dtype(dtype, where, cpu_bfloat16=name in _CPU_BFLOAT16)
    # Links are kept: the vocabulary lies beside the link, not beside the file it points to in a hub's cache.
    path = None if weights is None else Path(weights).expanduser().absolute()
    try:
        inspect.signature(_FACTORIES[name]).bind(device=where, dtype=precision, weights=path, **options)
    except TypeError as error:
        raise ConfigError(f"the scorer {name} cannot be made with these options: {error}") from error
    # Held while loading: two threads that ask for one scorer must not put its weights in memory twice.
    with _LOCK:
        return _load(name, where, precision, path, **options)


@functools.cache
def _load(name: str, device: torch.device, dtype: torch.dtype, weights: Path | None, **options: Any) -> Scorer:
    return _FACTORIES[name](device=device, dtype=dtype, weights=weights, **options)
