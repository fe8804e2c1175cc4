"""ReplayLog: a replay buffer on disk that grows with it, so that a checkpoint writes new rows alone."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from stable_baselines3 import HerReplayBuffer

from mvr_agents.checkpoints.durable import checksum, written_whole
from mvr_wrappers.errors import ConfigError
from mvr_wrappers.wrappers.relabelling import FollowsEngine

if TYPE_CHECKING:
    from stable_baselines3.common.buffers import ReplayBuffer

Columns = dict[str, NDArray[Any]]

AT_ONCE = 16_384
"""Rows of a file, and the most that are copied in memory."""
CHANGING = "shaping"
"""The column that relabelling overwrites: written whole at each checkpoint."""


@dataclass(frozen=True, slots=True)
class RowsFile:
    """A file of rows, counted since the buffer was empty.

    Attributes:
        name: in the folder of the log.
        first: number of the first row.
        stop: number after the last row.
        bytes: its size.
        sha256: its checksum, in hexadecimal.
    """

    name: str
    first: int
    stop: int
    bytes: int
    sha256: str


class ReplayLog:
    """Writes the rows of a replay buffer as they come, and fills a buffer with them.

    Args:
        folder: of the files; made when the first is written.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._files: list[RowsFile] = []
        self._total, self._pos = 0, 0  # rows ever written, and where the buffer stood then

    def append(self, buffer: ReplayBuffer, added: int) -> dict[str, Any]:
        """Writes the rows that were added since the last call.

        Args:
            buffer: what is saved.
            added: how many rows that are.

        Returns:
            What `fill` needs, JSON-safe.

        Raises:
            ConfigError: a buffer of a kind that cannot be saved by rows.
        """
        _check(buffer)
        size = buffer.size()
        if (self._pos + added - buffer.pos) % buffer.buffer_size or added > size:
            added = size  # rows came and went between, or without being counted: all are new
            self._files = []
        first, stop = self._total + added - min(added, size), self._total + added
        self._folder.mkdir(parents=True, exist_ok=True)
        for start, end in _pieces(first, stop, AT_ONCE):
            rows = (np.arange(start, end) - stop + buffer.pos) % buffer.buffer_size
            self._files.append(self._write(start, end, _read(buffer, rows)))
        self._total, self._pos = stop, buffer.pos
        self._files = [file for file in self._files if file.stop > stop - size]
        return {
            "total": stop,
            "size": size,
            "pos": buffer.pos,
            "capacity": buffer.buffer_size,
            "files": [asdict(file) for file in self._files],
        }

    def fill(self, buffer: ReplayBuffer, state: Mapping[str, Any], changed: Columns) -> None:
        """Fills an empty buffer of the same shapes, and goes on from there.

        Args:
            buffer: what is filled.
            state: what `append` returned.
            changed: columns that are not what they were when the rows were written, see `changing_columns`.

        Raises:
            ConfigError: it is of another size.
        """
        _check(buffer)
        if buffer.buffer_size != state["capacity"]:
            raise ConfigError(
                f"the replay buffer holds {buffer.buffer_size} rows, and the saved one {state['capacity']}"
            )
        self._files = files_of(state)
        self._total, self._pos = state["total"], state["pos"]
        oldest = self._total - state["size"]
        whole: Columns = {}
        for file in self._files:
            part = read_columns(self._folder / file.name)
            numbers = np.arange(file.first, file.stop)
            kept = numbers >= oldest
            rows = ((numbers - self._total + self._pos) % buffer.buffer_size)[kept]
            for name, column in part.items():
                shape = (state["size"], *column.shape[1:])
                whole.setdefault(name, np.zeros(shape, column.dtype))[rows] = column[kept]
        buffer.pos, buffer.full = self._pos, state["size"] == buffer.buffer_size
        _fill(buffer, whole | changed)

    def forget(self, kept: set[str]) -> None:
        """Removes files that no checkpoint needs any more.

        Args:
            kept: names of those that one does.
        """
        for path in self._folder.glob("rows-*.npz"):
            if path.name not in kept:
                path.unlink()

    def _write(self, first: int, stop: int, columns: Columns) -> RowsFile:
        path = self._folder / f"rows-{first:010d}-{stop:010d}.npz"
        write_columns(path, columns)
        return RowsFile(path.name, first, stop, path.stat().st_size, checksum(path))


def files_of(state: Mapping[str, Any]) -> list[RowsFile]:
    """Returns the files that a checkpoint needs, of what `ReplayLog.append` returned."""
    return [RowsFile(**file) for file in state["files"]]


def changing_columns(buffer: ReplayBuffer) -> Columns:
    """Returns what is written whole at each checkpoint: the shaping, and which prompt each row is of."""
    if not isinstance(buffer, FollowsEngine):
        return {}
    columns = {CHANGING: _read(buffer, np.arange(buffer.size()), only=CHANGING)[CHANGING]}
    return columns if buffer.prompt_at is None else columns | {"prompt_at": buffer.prompt_at}


def write_columns(path: Path, columns: Columns) -> None:
    """Writes an .npz file, durably."""
    with written_whole(path) as stream:
        np.savez(stream, **columns)  # type: ignore[arg-type]  # typeshed takes a stream for one of Python's own only


def read_columns(path: Path) -> Columns:
    """Reads an .npz file, without unpickling.

    Raises:
        ConfigError: it is damaged.
    """
    try:
        with path.open("rb") as stream, np.load(stream, allow_pickle=False) as file:
            return {name: file[name] for name in file.files}
    except (zipfile.BadZipFile, ValueError, KeyError, EOFError, OSError) as error:
        raise ConfigError(f"{path} is damaged ({error})") from error


def _check(buffer: ReplayBuffer) -> None:
    if isinstance(buffer, HerReplayBuffer) or buffer.optimize_memory_usage:
        raise ConfigError(
            "a HerReplayBuffer, or one with optimize_memory_usage, cannot be saved row by row: "
            "give CheckpointCallback(replay=False), and save it by SB3's save_replay_buffer"
        )


def _pieces(first: int, stop: int, size: int) -> Iterator[tuple[int, int]]:
    for start in range(first, stop, size):
        yield start, min(start + size, stop)


def _arrays(buffer: ReplayBuffer) -> Columns:
    """Returns the columns of a buffer of NumPy arrays, in place; those of a dict of observations by their keys."""
    found: Columns = {}
    for name, value in vars(buffer).items():
        if name == "_prompt_at":  # which `changing_columns` has
            continue
        parts = {f"{name}.{key}": part for key, part in value.items()} if isinstance(value, dict) else {name: value}
        for column, part in parts.items():
            if isinstance(part, np.ndarray) and part.shape[:2] == (buffer.buffer_size, buffer.n_envs):
                found[column] = part
    return found


def _read(buffer: Any, rows: NDArray[np.int64], only: str | None = None) -> Columns:
    """Returns copies of some rows of all columns, or of one alone."""
    if hasattr(buffer, "read_rows"):  # on a device
        columns: Columns = buffer.read_rows(rows, only)
        return columns
    return {name: column[rows] for name, column in _arrays(buffer).items() if only in (None, name)}


def _fill(buffer: Any, columns: Columns) -> None:
    """Writes columns (size, E, ...) into the first rows."""
    if hasattr(buffer, "fill"):
        buffer.fill(columns)
        return
    own = _arrays(buffer)
    for name, column in columns.items():
        own[name][: len(column)] = column
