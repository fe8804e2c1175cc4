"""The file of a RewardEngine, read as a stranger's: whole, finite, of this version, or refused."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mvr_wrappers.engine.arrays_file import read_arrays
from mvr_wrappers.errors import EngineError, MVRError

FORMAT = 3
"""Of the files that `RewardEngine.save` writes."""


def prompt_of(path: str | Path) -> str:
    """Returns the prompt of the engine that was saved at `path`.

    Raises:
        EngineError: not a file that `RewardEngine.save` wrote, or one of another version of its format.
    """
    return str(read_engine(path)[0]["options"].get("prompt"))


def read_engine(path: str | Path) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    """Returns the header and the arrays of a file that `RewardEngine.save` wrote.

    Raises:
        EngineError: it is none, or of another version of its format, or what was learned is NaN or infinite.
    """
    header, arrays = read_arrays(path)
    _check_format(path, header.get("format"))
    missing = [name for name in ("options", "clock", "envs", "fade") if name not in header]
    if missing or not (isinstance(header["options"], dict) and isinstance(header["envs"], int)):
        raise EngineError(f"{path} is damaged: its header has no {', '.join(missing) or 'options or envs'}")
    for name, array in arrays.items():
        # What was measured may be unknown, and a bound may be none; all else is finite since it was learned.
        if name.startswith("reward_model/metrics/") or name.endswith("/bound") or array.dtype.kind != "f":
            continue
        if not np.isfinite(array).all():
            raise EngineError(f"{path} is damaged: {name} holds NaN or infinite values")
    return header, arrays


@contextlib.contextmanager
def damage_told(path: str | Path) -> Iterator[None]:
    """Turns what goes wrong in taking over a file's content into an EngineError."""
    try:
        yield
    except EngineError:
        raise
    except (MVRError, KeyError, TypeError, ValueError, AttributeError, IndexError, RuntimeError) as error:
        raise EngineError(f"{path} is damaged, or not of this version: {type(error).__name__}: {error}") from error


def _check_format(path: str | Path, found: Any) -> None:
    """Refuses a file of another format than this version writes."""
    if found == FORMAT:
        return
    if isinstance(found, int) and found < FORMAT:
        what = "an older version wrote it: train anew, or load it with the version of this package that wrote it"
    else:
        what = "update the package"
    raise EngineError(f"{path} has format {found}, this version reads {FORMAT}; {what}")
