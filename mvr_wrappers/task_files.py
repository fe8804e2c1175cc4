"""Task files (registry.yaml and users' own): YAML read strictly into layers that are not merged yet."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

try:
    from yaml import CSafeLoader as SafeLoader
except ImportError:  # PyYAML built without libyaml: ten times slower, otherwise the same
    from yaml import SafeLoader  # type: ignore[assignment]

from mvr_wrappers.errors import ConfigError, nearest

Layer = dict[str, Any]

SECTIONS = ("defaults", "presets", "families", "tasks")


@dataclass(frozen=True, slots=True)
class TaskFile:
    """A task file as written.

    Attributes:
        path: where it was read from.
        defaults: layer under all tasks of this file.
        presets: named layers a user chooses from.
        families: named layers a task refers to.
        tasks: the tasks' own layers.
    """

    path: Path
    defaults: Layer = field(default_factory=dict)
    presets: dict[str, Layer] = field(default_factory=dict)
    families: dict[str, Layer] = field(default_factory=dict)
    tasks: dict[str, Layer] = field(default_factory=dict)


class _StrictLoader(SafeLoader):
    """Refuses keys that stand twice or are not text, and reads 5e-4 as the number it is."""

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
        """Builds a mapping after looking at its keys."""
        seen = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if not isinstance(key, str):
                self._refuse(f"the key {key!r} is read as {type(key).__name__}; put it in quotes", key_node)
            if key in seen:
                self._refuse(f"the key {key!r} stands twice; remove one", key_node)
            seen.add(key)
        return super().construct_mapping(node, deep)

    @staticmethod
    def _refuse(problem: str, node: Any) -> None:
        raise yaml.constructor.ConstructorError(None, None, problem, node.start_mark)


# YAML 1.1 takes a number with an exponent but without a point for text; YAML 1.2 and everybody's eyes do not.
_StrictLoader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"[-+]?[0-9][0-9_]*[eE][-+]?[0-9]+"), list("-+0123456789")
)


def read_yaml(path: str | Path) -> Any:
    """Reads one YAML document.

    Raises:
        ConfigError: no such file, not UTF-8, or not YAML (with the line); a key that stands twice or is not text.
    """
    path = Path(path)
    try:
        with path.open(encoding="utf-8") as stream:
            return yaml.load(stream, Loader=_StrictLoader)
    except OSError as error:
        raise ConfigError(f"cannot read {path}: {error.strerror}; check the path") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path} is not UTF-8 text: {error}; save it as UTF-8") from error
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else "unknown"
        raise ConfigError(f"{path}, line {line}: {error.problem}") from error
    except yaml.YAMLError as error:
        raise ConfigError(f"{path} is not YAML: {error}") from error


def read_task_file(path: str | Path) -> TaskFile:
    """Reads a task file and checks its outline: known sections, each a mapping of mappings, and at least one task.

    Raises:
        ConfigError: naming the file, the key and what may stand there.
    """
    path = Path(path)
    document = read_yaml(path)
    if not isinstance(document, dict):
        raise ConfigError(
            f"{path} holds no mapping; it needs the section tasks:, and may have {', '.join(SECTIONS[:-1])}"
        )
    for name in document:
        if name not in SECTIONS:
            near = nearest(name, SECTIONS)
            raise ConfigError(f"{path}: {name} is not a section. Nearest: {near}. All: {', '.join(SECTIONS)}")
    for section in SECTIONS:
        _require_mapping(document.setdefault(section, {}), path, section)
        if section != "defaults":
            for name, layer in document[section].items():
                _require_mapping(layer, path, f"{section}.{name}")
    if not document["tasks"]:
        raise ConfigError(f"{path}: tasks is missing or empty; give at least one task")
    for name in document["tasks"]:
        if not re.fullmatch(r"[\w.-]+", name):
            raise ConfigError(f"{path}: tasks.{name}: a name is made of letters, digits, '_', '-' and '.'; rename it")
    return TaskFile(path=path, **document)


def _require_mapping(value: Any, path: Path, key: str) -> None:
    if not isinstance(value, dict):
        raise ConfigError(f"{path}: {key} must be a mapping of keys to values, got {value!r}")
