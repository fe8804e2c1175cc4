"""config.yaml of a run: written once, and read by this version and by later ones."""

from __future__ import annotations

import dataclasses
import typing
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Any

import yaml

from mvr_agents.runs.config import TrainConfig
from mvr_agents.runs.provenance import git_revision, machine, package_versions
from mvr_wrappers.errors import ConfigError
from mvr_wrappers.parsing import parse
from mvr_wrappers.settings import AgentSettings
from mvr_wrappers.tasks.files import read_yaml

FORMAT = 2
"""Of config.yaml. Raise it where a key gets another name or meaning, and say in `_present_names` which was which."""

_TASK_ONLY = ("name", "family", "make", "rig", "source")  # what a task says beyond the configuration of a run


def write_config(path: Path, config: TrainConfig, started: datetime) -> None:
    """Writes the configuration of a run, what its task says besides, and what it is made with."""
    document = {
        "format": FORMAT,
        "config": _plain(asdict(config)),
        "task": {key: _plain(value) for key, value in asdict(config.task_spec()).items() if key in _TASK_ONLY},
        "started": started.isoformat(timespec="seconds"),
        "git": git_revision(),
        "versions": package_versions(),
        "machine": machine(),
    }
    path.write_text(yaml.safe_dump(document, sort_keys=False, allow_unicode=True), encoding="utf-8")


def read_config(path: Path) -> TrainConfig:
    """Reads the configuration of a run.

    Keys that the version which wrote the file did not have yet get the values of the run's task and preset; a warning
    names them.

    Raises:
        ConfigError: the file is malformed (the key is named), or a newer version wrote it.
        UnknownNameError: keys are missing, and there is no such task or preset to take them from.
    """
    values = read_document(path)["config"]
    missing = list(_missing(TrainConfig, values))
    preset = values.get("preset", "default")
    if missing and "task" in values:
        values = _filled(values, asdict(TrainConfig.for_task(values["task"], preset)), missing)
    config = parse(TrainConfig, values, f"{path}: config")
    if missing:
        keys = ", ".join(missing)
        warnings.warn(f"{path} was written by a version without {keys}: taken from preset {preset}", stacklevel=2)
    return config


def read_document(path: Path) -> dict[str, Any]:
    """Reads config.yaml as it is, its configuration by the keys of today, without asking whether the task still exists.

    Raises:
        ConfigError: it is no such file, or a newer version wrote it.
    """
    document = read_yaml(path)
    if not isinstance(document, dict) or not isinstance(document.get("config"), dict):
        raise ConfigError(f"{path}: config is missing; it was not written by `mvr train`")
    version = document.get("format", 1)
    if version not in range(1, FORMAT + 1):
        raise ConfigError(f"{path} has format {version}, and this version reads up to {FORMAT}; update mvr-wrappers")
    return document | {"config": _present_names(document["config"], version)}


def _present_names(values: dict[str, Any], version: int) -> dict[str, Any]:
    """Returns the values by the keys of today."""
    former = {"learner": "hyperparameters"} if version == 1 else {}
    return {former.get(key, key): value for key, value in values.items()}


def _missing(kind: type, values: Mapping[str, Any], above: str = "") -> Iterator[str]:
    """Names the fields of `kind`, and of the settings in it, that `values` lack: "preset", "clip.stride"."""
    for name, hint in typing.get_type_hints(kind).items():
        if name.startswith("_"):
            continue
        if name not in values:
            yield above + name
        elif (hint is AgentSettings or dataclasses.is_dataclass(hint)) and isinstance(values[name], Mapping):
            yield from _missing(typing.cast(type, hint), values[name], f"{above}{name}.")


def _filled(values: dict[str, Any], defaults: dict[str, Any], missing: list[str]) -> dict[str, Any]:
    """Returns the values, those that are missing from `defaults`."""
    whole = {key: dict(value) if isinstance(value, dict) else value for key, value in values.items()}
    for path in missing:
        *above, name = path.split(".")
        into, source = whole, defaults
        for key in above:
            into, source = into[key], source[key]
        into[name] = source[name]
    return whole


def _plain(value: Any) -> Any:
    """Turns paths and tuples, which YAML does not know, into text and lists."""
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return str(value) if isinstance(value, Path) else value
