"""The table of scorers by name, and the one door to them. Loads no torch before a scorer is asked for."""

from __future__ import annotations

import functools
import inspect
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mvr_wrappers.errors import ConfigError, UnknownNameError, nearest
from mvr_wrappers.scorers.base import Scorer

if TYPE_CHECKING:
    import torch

    from mvr_wrappers.scorers.transformers import Pooling

Factory = Callable[..., Scorer]


@dataclass(frozen=True, slots=True)
class _Entry:
    """A scorer that can be had by name.

    Attributes:
        factory: makes it.
        image_size: pixels it works at with its own weights; None if only the loaded scorer tells.
        bring: brings the files it reads without `weights=` to this machine; takes its options.
        cpu_bfloat16: whether it is faster in bfloat16 on CPUs with such instructions: benchmarks/results/scorer.md.
    """

    factory: Factory
    image_size: int | None = None
    bring: Callable[..., object] = lambda **_: None
    cpu_bfloat16: bool = False


def _pocket(*, device: torch.device, dtype: torch.dtype, weights: Path | None) -> Scorer:
    from mvr_wrappers.scorers.pocket.scorer import load_pocket

    return load_pocket(device, dtype, weights)


def _viclip(
    name: str,
    *,
    device: torch.device,
    dtype: torch.dtype,
    weights: Path | None,
    vocabulary: str | Path | None = None,
    compile: bool = False,
) -> Scorer:
    from mvr_wrappers.scorers.viclip.scorer import load_viclip

    return load_viclip(name, device, dtype, weights, vocabulary=vocabulary, compile=compile)


def _bring_viclip(name: str, *, vocabulary: str | Path | None = None, **_: Any) -> None:
    from mvr_wrappers.scorers.viclip.files import locate_vocabulary, locate_weights

    locate_weights(name)
    locate_vocabulary(name, vocabulary=None if vocabulary is None else Path(vocabulary).expanduser())


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


def _bring_transformers(name: str, **_: Any) -> None:
    from mvr_wrappers.scorers.hub import fetch_folder

    fetch_folder(name)


_TABLE: dict[str, _Entry] = {"pocket": _Entry(_pocket, 96)}
_TABLE |= {
    name: _Entry(functools.partial(_viclip, name), 224, functools.partial(_bring_viclip, name), cpu_bfloat16=True)
    for name in ("viclip-l", "viclip-b")
}
_TABLE |= {
    name: _Entry(functools.partial(_transformers, name), size, functools.partial(_bring_transformers, name))
    for name, size in (("clip-l", 224), ("xclip-l", 224), ("siglip2", 256))
}
_LOCK = threading.RLock()  # a factory may itself load the scorer it wraps
_OF_ALL = ("device", "dtype", "weights")  # what every factory takes


def scorer_names() -> tuple[str, ...]:
    """Returns the names `load_scorer` knows, sorted."""
    return tuple(sorted(_TABLE))


def scorer_options(name: str) -> tuple[str, ...]:
    """Returns the options that a scorer takes besides device, dtype and weights, such as "pooling".

    Raises:
        UnknownNameError: no scorer has that name; the nearest names are listed.
    """
    parameters = inspect.signature(_entry(name).factory).parameters.values()
    named = (inspect.Parameter.KEYWORD_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return tuple(each.name for each in parameters if each.kind in named and each.name not in _OF_ALL)


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
        _TABLE[name] = _Entry(factory)
        _load.cache_clear()


def check_options(name: str, options: Mapping[str, Any]) -> None:
    """Refuses options that a scorer does not have, loading nothing.

    Raises:
        UnknownNameError: no scorer has that name; the nearest names are listed.
        ConfigError: the scorer does not have an option; those that it has are named.
    """
    factory = _entry(name).factory
    try:
        inspect.signature(factory).bind(**dict.fromkeys(_OF_ALL), **options)
    except TypeError as error:
        own = scorer_options(name)
        unknown = next((option for option in options if option not in own), None)
        if unknown is None:
            raise ConfigError(f"the scorer {name} cannot be made with these options: {error}") from error
        its = f"Its own: {', '.join(own)}; nearest: {nearest(unknown, own)}" if own else "It has none of its own"
        raise ConfigError(
            f"{unknown} is not an option of the scorer {name}. {its}. Every scorer takes {', '.join(_OF_ALL)}"
        ) from error


def prepared_image_size(name: str, **options: Any) -> int | None:
    """Brings the files of a scorer's own weights to this machine, and says for which frames they are, loading nothing.

    Returns:
        Height and width of a frame in pixels; None if only the loaded scorer tells.

    Raises:
        ScorerError: a file cannot be had.
    """
    entry = _entry(name)
    entry.bring(**options)
    return entry.image_size


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
        dtype: "float32", "bfloat16", or "auto": bfloat16 on CUDA devices that have it, and for ViCLIP on CPUs that have
            it; else float32.
        weights: local file of weights, or the folder that holds them; None takes the scorer's own, from the package or
            the model hub, for ViCLIP from the folder that the environment variable MVR_VICLIP_DIR names.
        options: of single scorers, see `scorer_options`. `compile=True` fuses the video tower with `torch.compile`
            (ViCLIP and transformers); `pooling="mean"` or `"frames"` (clip-l and siglip2), see `load_transformers`;
            `vocabulary=` (ViCLIP) is the file bpe_simple_vocab_16e6.txt.gz or its folder.

    Raises:
        UnknownNameError: no scorer has that name; the nearest names are listed.
        ConfigError: device or dtype are no valid words, or an option that the scorer does not have.
        ScorerError: CUDA was asked for and is absent, or the weights cannot be had or do not fit.
        MissingExtraError: the package that the scorer needs is not installed.
    """
    check_options(name, options)
    from mvr_wrappers.scorers.devices import resolve_device, resolve_dtype

    where = resolve_device(device)
    precision = resolve_dtype(dtype, where, cpu_bfloat16=_TABLE[name].cpu_bfloat16)
    # Links are kept: the vocabulary lies beside the link, not beside the file it points to in a hub's cache.
    path = None if weights is None else Path(weights).expanduser().absolute()
    # Held while loading: two threads that ask for one scorer must not put its weights in memory twice.
    with _LOCK:
        return _load(name, where, precision, path, **options)


def _entry(name: str) -> _Entry:
    if name not in _TABLE:
        raise UnknownNameError(f"no scorer is called {name!r}. Nearest: {nearest(str(name), _TABLE)}")
    return _TABLE[name]


@functools.cache
def _load(name: str, device: torch.device, dtype: torch.dtype, weights: Path | None, **options: Any) -> Scorer:
    return _TABLE[name].factory(device=device, dtype=dtype, weights=weights, **options)
