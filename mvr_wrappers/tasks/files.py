"""Task files (registry.yaml and users' own): YAML read strictly into layers that are not merged yet."""

from __future__ import annotations

import itertools
import math
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from yaml.constructor import ConstructorError

from mvr_wrappers.errors import ConfigError, nearest

try:
    from yaml import CSafeLoader as SafeLoader
except ImportError:  # PyYAML built without libyaml: ten times slower, otherwise the same
    from yaml import SafeLoader  # type: ignore[assignment]

Layer = dict[str, Any]

SECTIONS = ("names", "defaults", "presets", "families", "tasks", "suites")
_REFERENCES = (("tasks", "family", "family"), ("families", "extends", "family"), ("presets", "extends", "preset"))


@dataclass(frozen=True, slots=True)
class TaskFile:
    """A task file as written, but for its section `names`: tasks stand here one by one.

    Attributes:
        path: where it was read from.
        defaults: layer under all tasks of this file.
        presets: named layers a user chooses from.
        families: named layers a task refers to.
        tasks: the tasks' own layers.
        suites: named plans of many runs, as `mvr sweep` reads them.
    """

    path: Path
    defaults: Layer = field(default_factory=dict)
    presets: dict[str, Layer] = field(default_factory=dict)
    families: dict[str, Layer] = field(default_factory=dict)
    tasks: dict[str, Layer] = field(default_factory=dict)
    suites: dict[str, Layer] = field(default_factory=dict)


class _Loader(SafeLoader):
    """Reads 5e-4 as the number it is: YAML 1.1 takes an exponent without a point for text."""


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"[-+]?[0-9][0-9_]*[eE][-+]?[0-9]+$"), list("-+0123456789")
)
_PLACEHOLDER = re.compile(r"{(\w*)}")
MOST_BYTES, MOST_LEVELS, MOST_VALUES, MOST_TASKS = 1_000_000, 50, 100_000, 10_000
"""Of a YAML file: its size, how deep it is nested, its values where each alias counts as what it stands for; and the
tasks that one key with placeholders stands for. Beyond, a small file could take all memory and time."""
_TEXT, _MERGE = "tag:yaml.org,2002:str", "tag:yaml.org,2002:merge"


def as_path(path: object) -> Path:
    """Returns the path of a file.

    Raises:
        ConfigError: it is neither text nor a path.
    """
    if not isinstance(path, str | Path):
        raise ConfigError(f"a file is given by its path, not by {path!r}")
    return Path(path)


def read_yaml(path: str | Path) -> Any:
    """Reads one YAML document.

    Raises:
        ConfigError: no such file, not UTF-8, or not YAML (with the line); a key that stands twice or is not text; or it
            is larger than `MOST_BYTES`, `MOST_LEVELS` or `MOST_VALUES`.
    """
    path = as_path(path)
    try:
        if path.stat().st_size > MOST_BYTES:
            raise ConfigError(f"{path} has {path.stat().st_size:,} bytes; at most {MOST_BYTES:,} are read")
        text = path.read_text(encoding="utf-8")
        _check_levels(path, text)
        loader = _Loader(text)
        node = loader.get_single_node()
        if node is None:
            return None
        _check_keys(node, {})
        return loader.construct_document(node)
    except OSError as error:
        raise ConfigError(f"cannot read {path}: {error.strerror}; check the path") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path} is not UTF-8 text: {error}; save it as UTF-8") from error
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else "unknown"
        raise ConfigError(f"{path}, line {line}: {error.problem}") from error
    except yaml.YAMLError as error:
        raise ConfigError(f"{path} is not YAML: {error}") from error


def read_value(text: str) -> Any:
    """Reads a value written as YAML on one line, such as "0.1" or "[64, 64]".

    Raises:
        ConfigError: it is not YAML.
    """
    try:
        return yaml.load(text, _Loader)  # a safe loader
    except yaml.YAMLError as error:
        raise ConfigError(f"{text!r} is not YAML; quote what is text") from error


def _check_levels(path: Path, text: str) -> None:
    """Refuses what is nested so deep that reading it, which goes a level deeper by a call, would end the process."""
    level = 0
    for event in yaml.parse(text, _Loader):
        level += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if level > MOST_LEVELS:
            line = event.start_mark.line + 1 if event.start_mark else "unknown"
            raise ConfigError(f"{path}, line {line}: nested more than {MOST_LEVELS} levels deep")


def _check_keys(node: yaml.Node, sizes: dict[int, int], above: tuple[yaml.Node, ...] = ()) -> int:
    """Refuses keys that stand twice, of which YAML keeps the last, keys that are not text, and a node inside itself.

    Args:
        node: what is checked, and all that it holds.
        sizes: by the `id` of a node that was checked before, how many values it holds.
        above: what holds the node.

    Returns:
        How many values it holds, each alias as many as what it stands for.
    """
    if any(node is outer for outer in above):
        raise ConstructorError(None, None, "this value contains itself; remove the alias", node.start_mark)
    if id(node) in sizes:
        return sizes[id(node)]
    children = node.value if isinstance(node, yaml.SequenceNode) else []
    if isinstance(node, yaml.MappingNode):
        children = [value for _, value in node.value]
        seen = set()
        for key, _ in node.value:
            if key.tag not in (_TEXT, _MERGE):
                kind = key.tag.rpartition(":")[-1]
                raise ConstructorError(None, None, f"the key {key.value!r} is read as {kind}; quote it", key.start_mark)
            if key.value in seen:
                raise ConstructorError(None, None, f"the key {key.value!r} stands twice; remove one", key.start_mark)
            seen.add(key.value)
    size = sizes[id(node)] = 1 + sum(_check_keys(child, sizes, (*above, node)) for child in children)
    if size > MOST_VALUES:
        raise ConstructorError(
            None, None, f"more than {MOST_VALUES:,} values, each alias counted as what it stands for", node.start_mark
        )
    return size


def read_task_file(path: str | Path) -> TaskFile:
    """Reads a task file and checks its outline: known sections of mappings, and at least one task or suite.

    Raises:
        ConfigError: naming the file, the key and what may stand there.
    """
    document = read_yaml(path)
    path = Path(path)
    if not isinstance(document, dict):
        raise ConfigError(
            f"{path} holds no mapping; it needs the section tasks: or suites:, and may have {', '.join(SECTIONS[:-2])}"
        )
    for name in document:
        if name not in SECTIONS:
            near = nearest(name, SECTIONS)
            raise ConfigError(f"{path}: {name} is not a section. Nearest: {near}. All: {', '.join(SECTIONS)}")
    for section in SECTIONS:
        _require_mapping(document.setdefault(section, {}), path, section)
        if section not in ("names", "defaults"):
            for name, layer in document[section].items():
                _require_mapping(layer, path, f"{section}.{name}")
    document["tasks"] = _one_by_one(document["tasks"], document.pop("names"), path)
    _check_references(document, path)
    return TaskFile(path=path, **document)


def _one_by_one(tasks: dict[str, Layer], names: dict[str, Any], path: Path) -> dict[str, Layer]:
    """Returns a task for each value of the placeholders in its key: `{robot}-walk` becomes `h1-walk`, `g1-walk` ...

    A task that is written under its own name takes the place of one that comes of a placeholder.
    """
    for placeholder, values in names.items():
        if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
            raise ConfigError(f"{path}: names.{placeholder} must be a list of texts, got {values!r}")
    single: dict[str, Layer] = {}
    for key, layer in tasks.items():
        placeholders = list(dict.fromkeys(_PLACEHOLDER.findall(key)))
        for placeholder in placeholders:
            if placeholder not in names:
                near = nearest(placeholder, names)
                raise ConfigError(f"{path}: tasks.{key}: names has no {placeholder!r}; add it there. Nearest: {near}")
        count = math.prod(len(names[placeholder]) for placeholder in placeholders)
        if count > MOST_TASKS:
            raise ConfigError(f"{path}: tasks.{key} stands for {count:,} tasks; at most {MOST_TASKS:,} are made")
        for values in itertools.product(*(names[placeholder] for placeholder in placeholders)):
            chosen = dict(zip(placeholders, values, strict=True))
            name = _PLACEHOLDER.sub(lambda found, chosen=chosen: chosen[found[1]], key)  # type: ignore[misc]
            if name in single:
                raise ConfigError(f"{path}: tasks.{key} stands for {name!r}, as another key does; change one of them")
            if not placeholders or name not in tasks:
                single[name] = layer
    return single


def _check_references(document: dict[str, Layer], path: Path) -> None:
    """Checks names, and what the layers say about families: the part no settings dataclass knows."""
    if not document["tasks"] and not document["suites"]:
        raise ConfigError(f"{path}: tasks is missing or empty; give at least one task")
    for name in document["tasks"]:
        if not re.fullmatch(r"[\w.-]+", name):
            raise ConfigError(f"{path}: tasks.{name}: a name is made of letters, digits, '_', '-' and '.'; rename it")
    for section, key, what in _REFERENCES:
        for name, layer in document[section].items():
            if not isinstance(layer.get(key), str | None):
                raise ConfigError(f"{path}: {section}.{name}.{key} must be the name of a {what}, got {layer[key]!r}")
    for name, layer in document["presets"].items():
        families = layer.get("families", {})
        _require_mapping(families, path, f"presets.{name}.families")
        for family in families:
            _require_mapping(families[family], path, f"presets.{name}.families.{family}")


def _require_mapping(value: Any, path: Path, key: str) -> None:
    if not isinstance(value, dict):
        raise ConfigError(f"{path}: {key} must be a mapping of keys to values, got {value!r}")
