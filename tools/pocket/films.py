"""Films on disk: evenly spaced frames of an episode from one view, and the clips that are windows of them.

A film of n frames holds n - 7 clips of 8 frames for the price of n, and clips of one film differ in nothing but time.
A shard is two files: NAME.frames.npy, uint8 (frames, 96, 96, 3), read through a memory map, and NAME.npz, the columns.
"""

from __future__ import annotations

from dataclasses import astuple, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

SIZE, FRAMES = 96, 8


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of an episode.

    Attributes:
        kind: how a MetaWorld episode was played, or the motion of a body.
        noise: of the actions.
        states: number of states T.
        begun: first state of the behaviour itself, after delay and prelude.
        touched: first state at which an object had been moved; T if none was.
        solved: first state of success; T if there is none.
    """

    kind: str
    noise: float
    states: int
    begun: int
    touched: int
    solved: int


@dataclass(frozen=True, slots=True)
class Film:
    """One film's row: episode, view and time.

    Attributes:
        subject: MetaWorld task or body.
        seed: of the episode; films of one episode share it.
        azimuth: of the view, degrees.
        first: state of its first frame.
        spacing: states from one frame to the next.
        frames: how many.
        facts: of the episode.
    """

    subject: str
    seed: int
    azimuth: float
    first: int
    spacing: int
    frames: int
    facts: Facts


@dataclass(frozen=True, slots=True, eq=False)
class Films:
    """All films of a split.

    Attributes:
        columns: one array (N,) for each attribute of `Film` and of `Facts`.
        shard: (N,), which of `pixels` holds a film; `start`: (N,), the row of its first frame there.
        pixels: uint8 (frames, 96, 96, 3) each.
    """

    columns: dict[str, NDArray[Any]]
    shard: NDArray[np.int64]
    start: NDArray[np.int64]
    pixels: list[NDArray[np.uint8]]

    def clip(self, film: int, frame: int) -> NDArray[np.uint8]:
        """Returns the clip of a film that begins at a frame: uint8 (8, 96, 96, 3)."""
        row = self.start[film] + frame
        return self.pixels[self.shard[film]][row : row + FRAMES]


def write_shard(path: Path, films: list[Film], frames: list[NDArray[np.uint8]]) -> None:
    """Writes films and, beside them, their frames; the columns last, so that a shard without them is not whole."""
    columns: dict[str, list[Any]] = {name: [] for name in _names()}
    for film in films:
        values = (*(getattr(film, f.name) for f in fields(Film) if f.name != "facts"), *astuple(film.facts))
        for column, value in zip(columns.values(), values, strict=True):
            column.append(value)
    np.save(path.with_suffix(".frames.npy"), np.concatenate(frames))
    arrays: dict[str, Any] = {name: np.array(column) for name, column in columns.items()}
    np.savez(path.with_suffix(".npz"), **arrays)


def read_films(folder: Path) -> Films:
    """Reads a split.

    Raises:
        FileNotFoundError: no shard is there.
    """
    paths = sorted(folder.glob("*.npz"))
    if not paths:
        raise FileNotFoundError(f"no films in {folder}; collect them first: python -m tools.pocket.collect")
    parts = [dict(np.load(path)) for path in paths]
    columns = {name: np.concatenate([part[name] for part in parts]) for name in _names()}
    start = np.concatenate([np.cumsum(part["frames"]) - part["frames"] for part in parts])
    shard = np.repeat(np.arange(len(parts)), [len(part["frames"]) for part in parts])
    return Films(columns, shard, start, [np.load(p.with_suffix(".frames.npy"), mmap_mode="r") for p in paths])


def _names() -> list[str]:
    return [f.name for f in fields(Film) if f.name != "facts"] + [f.name for f in fields(Facts)]
