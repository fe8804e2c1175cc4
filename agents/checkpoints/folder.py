"""CheckpointFolder: the checkpoints of a run, each a folder that appears whole, with a manifest of what it needs."""

from __future__ import annotations

import json
import shutil
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mvr_agents.checkpoints.durable import checksum, sync_files, sync_folder, write_json
from mvr_agents.checkpoints.replay_log import RowsFile
from mvr_wrappers.errors import ConfigError

FORMAT = 1
"""Of a checkpoint. Raise it where something gets another name or meaning, and have `_read` say which was which."""
MANIFEST, STATE, REPLAY = "manifest.json", "state.json", "replay"
KEPT = 2
_NAME = "step-{:012d}"

Fill = Callable[[Path], tuple[dict[str, Any], Sequence[RowsFile]]]
"""Writes files into a folder; returns a state, JSON-safe, and the files of rows that belong to it."""


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """One checkpoint.

    Attributes:
        path: its folder.
        step: env steps before it.
        regular: whether it came by the count of steps, and not because the run was to stop.
        state: what the run goes on from, besides the files in the folder.
    """

    path: Path
    step: int
    regular: bool
    state: dict[str, Any]


class CheckpointFolder:
    """Writes and finds the checkpoints of a run.

    Args:
        path: the folder; made when the first is written.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)

    @property
    def replay(self) -> Path:
        """Folder of the rows of the replay buffer, which checkpoints share."""
        return self.path / REPLAY

    def write(self, step: int, regular: bool, fill: Fill) -> set[str]:
        """Writes a checkpoint, whole or not at all, and removes those that it makes superfluous.

        Args:
            step: env steps so far.
            regular: see `Checkpoint`.
            fill: writes what belongs to it.

        Returns:
            Names of the files of rows that some checkpoint still needs.
        """
        draft, final = self.path / f".{_NAME.format(step)}", self.path / _NAME.format(step)
        shutil.rmtree(draft, ignore_errors=True)
        draft.mkdir(parents=True)
        try:
            state, rows = fill(draft)
            write_json(draft / STATE, state)
            files = {path.relative_to(draft).as_posix(): path for path in sorted(draft.rglob("*")) if path.is_file()}
            sums = {name: _sum(path.stat().st_size, checksum(path)) for name, path in files.items()}
            sums |= {f"../{REPLAY}/{file.name}": _sum(file.bytes, file.sha256) for file in rows}
            write_json(draft / MANIFEST, {"format": FORMAT, "step": step, "regular": regular, "files": sums})
            sync_files(draft)
            shutil.rmtree(final, ignore_errors=True)  # of this step, written by a run that went another way
            draft.rename(final)
        finally:
            shutil.rmtree(draft, ignore_errors=True)
        sync_folder(self.path)
        return self._forget(step)

    def latest(self, *, regular: bool = False) -> Checkpoint | None:
        """Returns the latest whole checkpoint, None where none was written; warns of those that are damaged.

        Args:
            regular: only one that came by the count of steps.

        Raises:
            ConfigError: all are damaged, or a newer version wrote them.
        """
        damaged = []
        for path in reversed(self._folders()):
            try:
                found = _checked(path)
            except ConfigError as error:
                damaged.append(str(error))
                continue
            if regular and not found.regular:
                continue
            for reason in damaged:
                warnings.warn(f"{reason}; going on from the one before, {found.path.name}", stacklevel=2)
            return found
        if damaged:
            raise ConfigError(f"no checkpoint in {self.path} is whole: {'; '.join(damaged)}")
        return None

    def _folders(self) -> list[Path]:
        return sorted(path for path in self.path.glob("step-*") if path.is_dir())

    def _forget(self, step: int) -> set[str]:
        """Keeps the newest checkpoints and the newest regular one, none that is later than `step`."""
        manifests = {path: _manifest(path) for path in self._folders()}
        known = [path for path, manifest in manifests.items() if manifest is not None and manifest["step"] <= step]
        regular = [path for path in known if (manifests[path] or {})["regular"]]
        kept = {*known[-KEPT:], *regular[-KEPT:]}
        for path in manifests.keys() - kept:
            shutil.rmtree(path, ignore_errors=True)
        names = (name for path in kept for name in (manifests[path] or {})["files"])
        return {Path(name).name for name in names if Path(name).parent.name == REPLAY}


def _sum(size: int, sha256: str) -> dict[str, Any]:
    return {"bytes": size, "sha256": sha256}


def _manifest(path: Path) -> dict[str, Any] | None:
    """Returns the manifest of a checkpoint, None where there is none, or one of something else."""
    try:
        document = json.loads((path / MANIFEST).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    keys = {"format", "step", "regular", "files"}
    return document if isinstance(document, dict) and keys <= document.keys() else None


def _checked(path: Path) -> Checkpoint:
    """Returns a checkpoint whose files are what its manifest says.

    Raises:
        ConfigError: they are not, or a newer version wrote it.
    """
    manifest = _manifest(path)
    if manifest is None:
        raise ConfigError(f"the checkpoint {path.name} is damaged: {MANIFEST} is missing, or no manifest")
    if manifest["format"] != FORMAT:
        raise ConfigError(
            f"{path} has format {manifest['format']}, and this version reads {FORMAT}; update mvr-wrappers"
        )
    for name, problem in _problems(path, manifest["files"]):
        raise ConfigError(f"the checkpoint {path.name} is damaged: {name} {problem}")
    state = json.loads((path / STATE).read_text(encoding="utf-8"))
    return Checkpoint(path, manifest["step"], manifest["regular"], state)


def _problems(path: Path, files: dict[str, dict[str, Any]]) -> Iterator[tuple[str, str]]:
    for name, expected in files.items():
        file = path / name
        if not file.is_file():
            yield name, "is missing"
        elif file.stat().st_size != expected["bytes"]:
            yield name, f"has {file.stat().st_size:,} bytes of {expected['bytes']:,}"
        elif checksum(file) != expected["sha256"]:
            yield name, "has another checksum than it was written with"
