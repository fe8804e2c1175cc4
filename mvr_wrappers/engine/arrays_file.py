"""One file of named arrays and one JSON header, written whole or not at all, read without unpickling."""

from __future__ import annotations

import json
import os
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mvr_wrappers.arrays import Arrays
from mvr_wrappers.errors import EngineError

_HEADER = "header"


def write_arrays(path: str | Path, header: Mapping[str, Any], arrays: Arrays) -> None:
    """Writes an .npz file; an interrupted write leaves what was at `path` before."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    members: dict[str, Any] = {_HEADER: np.array(json.dumps(header)), **arrays}
    try:
        with draft.open("wb") as stream:
            np.savez(stream, **members)
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)


def read_arrays(path: str | Path) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    """Returns the header and the arrays of a file that `write_arrays` wrote.

    Raises:
        EngineError: no such file, or one of another kind, or a truncated one.
    """
    try:
        # Opened here: where the archive is damaged, numpy.load would leave its own stream open.
        with Path(path).open("rb") as stream, np.load(stream, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
        return json.loads(str(arrays.pop(_HEADER))), arrays
    except FileNotFoundError as error:
        raise EngineError(f"there is no file {path}; check the path, or save an engine there first") from error
    except (zipfile.BadZipFile, ValueError, KeyError, EOFError, OSError) as error:
        raise EngineError(f"{path} is not a whole engine file ({error}); save the engine again") from error
