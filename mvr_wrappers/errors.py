"""Errors of the package. Each message names the cause and what to do about it."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

from mvr_wrappers.extras import install_command


class MVRError(Exception):
    """Base of every error this package raises on purpose."""


class ConfigError(MVRError, ValueError):
    """A setting, a task file or an argument has a value that cannot work."""


class UnknownOptionError(ConfigError, TypeError):
    """A keyword nobody takes. A TypeError too, as of any call: TorchRL tries `frameskip=` and goes on without it."""


class UnknownNameError(MVRError, LookupError):
    """A task, scorer, preset or camera name that does not exist."""


class AssetError(MVRError, FileNotFoundError):
    """A file that the simulation of a task needs, such as a scene, a mesh or a texture, is missing."""


class EnvError(MVRError, TypeError):
    """The environment is of a kind that cannot be filmed or shaped."""


class WorkerError(MVRError, RuntimeError):
    """The sub-process of a sub-env died."""


class FilmingError(MVRError, RuntimeError):
    """A frame could not be rendered, most often because no OpenGL back end starts."""


class ScorerError(MVRError, RuntimeError):
    """A scorer could not be loaded, or its weights do not fit."""


class NonFiniteError(MVRError, ArithmeticError):
    """An observation or a reward is NaN or infinite."""


class EngineError(MVRError, RuntimeError):
    """The reward engine failed, was closed, or is used from a place it cannot serve."""


class MissingExtraError(MVRError, ImportError):
    """An optional dependency is not installed."""

    def __init__(self, package: str, extra: str, purpose: str, first: str = "") -> None:
        """Names the command that installs `extra` of this distribution, for `package`, after the commands `first`."""
        super().__init__(f"{purpose} needs {package}. Install it with: {first}{install_command(extra)}")


FEW = 30  # names that may all be listed in one message


def nearest(name: str, valid: Iterable[str], count: int = 3) -> str:
    """Returns "a, b, c": the valid names nearest to `name`, or all of them if none is near and they are few."""
    names = sorted(valid)
    near = difflib.get_close_matches(name, names, n=count, cutoff=0.5)
    if not near and len(names) <= FEW:
        near = names
    return ", ".join(near or difflib.get_close_matches(name, names, n=count, cutoff=0.0))
