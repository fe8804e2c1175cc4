"""Local files of weights: which file an argument `weights=` means. Loads no torch."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from mvr_wrappers.errors import ScorerError, nearest


def local_file(option: str, path: Path, names: Sequence[str], scorer: str) -> Path:
    """Returns the file that a path means: itself, or the first of `names` in a folder.

    Args:
        option: what gave the path, such as "weights", for the error.
        path: a file or a folder.
        names: files a folder may hold, the preferred one first.
        scorer: whose file it is, for the error.

    Raises:
        ScorerError: the path does not exist, or the folder holds none of `names`; what was looked for is named.
    """
    if path.is_dir():
        found = next((path / name for name in names if (path / name).is_file()), None)
        if found is None:
            raise ScorerError(
                f"the folder {path}, given as {option} of {scorer}, holds no {' and no '.join(names)}"
                f"{_instead(path, names[0])}"
            )
        return found
    if not path.is_file():
        parent = path.parent
        where = _instead(parent, path.name) if parent.is_dir() else f"; there is no folder {parent} either"
        raise ScorerError(f"{path}, given as {option} of {scorer}, does not exist{where}")
    return path


def _instead(folder: Path, name: str) -> str:
    held = [each.name for each in folder.iterdir()]
    return f"; nearest there: {nearest(name, held)}" if held else "; it is empty"
