"""finished.json: written last of all, so that a folder with it holds a whole run."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from mvr_wrappers.errors import ConfigError
from mvr_wrappers.parsing import parse

FORMAT = 1
"""Of the file. Raise it where a key gets another name or meaning."""


@dataclass(frozen=True, slots=True)
class Finished:
    """What a run that trained for all its steps came to; one that was stopped early leaves no such file.

    Attributes:
        steps: env steps, over all sub-envs.
        seconds: wall time of training and evaluation.
    """

    steps: int
    seconds: float


def write_finished(path: Path, finished: Finished) -> None:
    """Writes the file; an interrupted write leaves none."""
    draft = path.with_name(f".{path.name}.tmp")
    draft.write_text(json.dumps({"format": FORMAT} | asdict(finished)) + "\n", encoding="utf-8")
    draft.replace(path)


def read_finished(path: Path) -> Finished:
    """Reads the file.

    Raises:
        ConfigError: no such file, or one of other content.
    """
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise ConfigError(f"there is no {path}: that run is not finished; wait for it, or train it again") from error
    except ValueError as error:
        raise ConfigError(f"{path} is no JSON; delete the folder and train that run again") from error
    version = document.pop("format", 1) if isinstance(document, dict) else 1
    if version != FORMAT:
        raise ConfigError(f"{path} has format {version}, and this version reads {FORMAT}; update mvr-wrappers")
    return parse(Finished, document, str(path))
