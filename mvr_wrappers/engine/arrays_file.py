"""One file of named arrays and one JSON header, written whole or not at all, read without unpickling."""

from __future__ import annotations

import json
import os
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from mvr_wrappers.arrays import Arrays
from mvr_wrappers.errors import EngineError

_HEADER = "header"
_DAMAGE = (zipfile.BadZipFile, ValueError, KeyError, TypeError, EOFError, OSError, MemoryError, NotImplementedError)
"""What reading raises where a file is damaged, or hand-made: an array may claim more memory than there is."""


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
        EngineError: no such file, or one of another kind, a truncated one, or one that would unpack to more than its
            size.
    """
    try:
        # Opened here: where the archive is damaged, numpy.load would leave its own stream open.
        with Path(path).open("rb") as stream:
            _check_sizes(stream)
            with np.load(stream, allow_pickle=False) as file:
                arrays = {name: file[name] for name in file.files}
        header = json.loads(str(arrays.pop(_HEADER)))
        if not isinstance(header, dict):
            raise ValueError(f"its header is {type(header).__name__}")
        return header, arrays
    except FileNotFoundError as error:
        raise EngineError(f"there is no file {path}; check the path, or save an engine there first") from error
    except _DAMAGE as error:
        raise EngineError(f"{path} is not a whole engine file ({error}); save the engine again") from error


def _check_sizes(stream: BinaryIO) -> None:
    """Refuses what `write_arrays` does not write: members that are compressed, or share their bytes.

    So nothing is unpacked to more than the size of the file.
    """
    size = stream.seek(0, os.SEEK_END)
    stream.seek(0)
    with zipfile.ZipFile(stream) as archive:
        members = archive.infolist()
    stream.seek(0)
    if any(member.compress_type != zipfile.ZIP_STORED for member in members):
        raise ValueError("its parts are compressed")
    total = sum(member.file_size for member in members)
    if total > size:
        raise ValueError(f"its parts have {total:,} bytes, and the file {size:,}")
