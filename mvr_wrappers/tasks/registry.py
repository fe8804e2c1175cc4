"""Tasks: registry.yaml and users' own files become `TaskSpec`s and Gymnasium ids `MVR/<task>`.

A task's values come in layers, each over the one before it:

1. the defaults of `mvr_wrappers.settings`,
2. `defaults` of the shipped registry.yaml, then those of the user's own file,
3. the task's family, after the family it extends,
4. the preset, if one was asked for, after the preset it extends; what a preset says under `families.<family>` comes
   after what it says to all tasks,
5. the task itself,
6. keyword arguments.

A preset stands above the family because it says how to run (how often to film, how long to train), and a family what is
run; it stands below the task, so that a value written for one task is kept, and below what the user types.
Layers merge key by key; lists are replaced whole, and so is a rig whenever a layer names its `kind`.
"""

from __future__ import annotations

import copy
import dataclasses
import functools
import itertools
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import gymnasium as gym

from mvr_wrappers.errors import ConfigError, UnknownNameError, nearest
from mvr_wrappers.options import plain
from mvr_wrappers.parsing import parse
from mvr_wrappers.tasks.files import Layer, TaskFile, as_path, read_task_file
from mvr_wrappers.tasks.spec import MakeSpec, TaskSpec

__all__ = [
    "MakeSpec",
    "TaskSpec",
    "get_task",
    "load_registry",
    "register_all",
    "register_tasks",
    "shipped_file",
    "task_names",
]

_Placed = tuple[str, Layer]  # where it stands, for errors, and a layer

NAMESPACE = "MVR"
BENCHMARKS = ("MT10", "MT25", "MT50")  # ids of Meta-World's lists of tasks, which are vectors: see envs/multitask.py
_SAMPLE: Layer = {"make": {"id": "sample"}, "prompt": "sample"}  # stands in for what lower layers may leave out
_FILE_NAME = "registry.yaml"


_registered: dict[str, TaskFile] = {}  # task name -> the file that defines it; one for the process, as Gymnasium's own


@functools.cache
def shipped_file() -> TaskFile:
    """Returns the registry.yaml of this package: beside it in a wheel, at the repository's top level in a checkout."""
    package = Path(__file__).parents[1]
    beside = package / _FILE_NAME
    return read_task_file(beside if beside.is_file() else package.parent / _FILE_NAME)


def task_names() -> list[str]:
    """Returns the names of the shipped tasks and of those added with `register_tasks`."""
    return sorted({**shipped_file().tasks, **_registered})


def load_registry(path: str | Path | None = None) -> dict[str, TaskSpec]:
    """Reads and checks a whole task file: each task, and each family and preset whether used or not.

    Args:
        path: a task file, which may refer to families and presets of the shipped one; None is the shipped one.

    Returns:
        The file's tasks by name.

    Raises:
        ConfigError: naming the file, the key and the nearest valid ones.
        UnknownNameError: a family that is defined nowhere.
    """
    file = shipped_file() if path is None else read_task_file(path)
    for family in file.families:
        _resolve(file, "sample", {"family": family, **_SAMPLE}, None)
    for preset, layer in file.presets.items():
        for family in (None, *layer.get("families", {})):
            _families(file, family, f"{file.path}: presets.{preset}.families")
            _resolve(file, "sample", {"family": family, **_SAMPLE}, preset)
    return {name: _resolve(file, name, task, None) for name, task in file.tasks.items()}


def get_task(name: str, preset: str | None = None, **overrides: Any) -> TaskSpec:
    """Returns one task with a preset and keyword arguments applied.

    Args:
        name: a task's name, with or without `MVR/`; or `FILE.yaml:NAME`, for a task of a file that is not registered.
        preset: name of a preset; None applies none.
        overrides: any field of `TaskSpec`; settings as objects or mappings of what to change. None changes nothing.

    Raises:
        UnknownNameError: no such task, preset or family; the nearest names are given.
        ConfigError: an unknown key or a value that cannot work.
    """
    if not isinstance(preset, str | None):
        raise ConfigError(f"preset is {preset!r}; give the name of one")
    path, _, short = name.removeprefix("mvr_wrappers:").rpartition(":")
    short = short.removeprefix(f"{NAMESPACE}/")
    file = read_task_file(path) if path else _registered.get(short, shipped_file())
    if short not in file.tasks:
        if short in BENCHMARKS:
            raise UnknownNameError(
                f"{short} is several tasks: make them with gymnasium.make_vec('MVR/{short}') or "
                f"mvr_wrappers.sb3.make_vec_env('{short}'), or name one of them"
            )
        known = file.tasks if path else task_names()
        all_of_them = "" if path else "; see `mvr tasks`"
        raise UnknownNameError(f"there is no task {short!r}. Nearest names: {nearest(short, known)}{all_of_them}")
    given = {key: plain(value) for key, value in overrides.items() if value is not None}
    return _resolve(file, short, file.tasks[short], preset, given)


def register_tasks(path: str | Path) -> dict[str, TaskSpec]:
    """Adds the tasks of a user's own file and registers `MVR/<task>` for each.

    The file has the form of the shipped registry.yaml, and its tasks and families may refer to the families and presets
    found there. Registering the same definitions again changes nothing. All of its tasks are registered, or none.

    Returns:
        The file's tasks by name.

    Raises:
        ConfigError: a malformed file, or a name that already stands for another task.
    """
    path = as_path(path).resolve()
    specs, file = load_registry(path), read_task_file(path)
    for name, spec in specs.items():
        if name in BENCHMARKS:
            raise ConfigError(f"{path}: tasks.{name} is the name of a benchmark; choose another name")
        if name in task_names() and get_task(name) != spec:
            owner = _registered.get(name, shipped_file()).path
            mend = "the file was changed since: restart Python" if owner == path else "choose another name"
            raise ConfigError(f"{path}: tasks.{name} is already defined otherwise by {owner}; {mend}")
    new = [name for name in specs if name not in task_names()]
    try:
        for name in new:
            _register_id(name, reference=f"{path}:{name}")
    except ConfigError:
        for name in new:  # all or none: the ids of before this call are not among them
            gym.registry.pop(f"{NAMESPACE}/{name}", None)
        raise
    _registered.update(dict.fromkeys(new, file))
    return specs


def register_all() -> None:
    """Registers the ids of the shipped tasks and of benchmarks with Gymnasium; they are read when one is made."""
    for name in (*shipped_file().tasks, *BENCHMARKS):
        _register_id(name, reference=name)


def _register_id(name: str, reference: str) -> None:
    """Registers `MVR/<name>`. The reference finds the task in a spawned process too, where no user file was read."""
    env_id = f"{NAMESPACE}/{name}"
    if env_id in gym.registry:
        return
    try:
        gym.register(
            id=env_id,
            entry_point="mvr_wrappers.envs.make:make_env",
            vector_entry_point="mvr_wrappers.envs.make:make_vector_env",
            kwargs={"task": reference},
        )
    except gym.error.Error as error:
        raise ConfigError(f"task {name} cannot be registered with Gymnasium: {error}; choose another name") from error


def _resolve(file: TaskFile, name: str, task: Layer, preset: str | None, given: Layer | None = None) -> TaskSpec:
    """Merges the layers of a task, reading after each one so that an error names the layer that brought it in."""
    home = f"{file.path}: tasks.{name}"
    task = dict(task)
    family = task.pop("family", None)
    families = _families(file, family, home)
    layers = [*_defaults(file), *families.values(), *_preset(file, preset, families), (home, task), (name, given or {})]
    values: Layer = {}
    for where, layer in layers:
        for key in ("name", "family"):
            if key in layer:
                raise ConfigError(f"{where}.{key} cannot be set here; only a task in a file names its family")
        values = merged_layers(values, layer)
        parse(TaskSpec, merged_layers({**_SAMPLE, "name": name}, values), where)
    spec = parse(TaskSpec, copy.deepcopy({**values, "name": name, "family": family}), home)
    return dataclasses.replace(spec, make=_filled_in(spec.make, name))


def _defaults(file: TaskFile) -> list[_Placed]:
    files = {each.path: each for each in (shipped_file(), file)}
    return [(f"{path}: defaults", each.defaults) for path, each in files.items()]


def _families(file: TaskFile, name: str | None, asked_by: str) -> dict[str, _Placed]:
    """Returns a family's layer by name, after those it extends: families above it in its file, or shipped ones."""
    if name is None:
        return {}
    shipped = shipped_file()
    homes = [file] if file.path == shipped.path else [file, shipped]
    for home in homes:
        if name in home.families:
            layer = dict(home.families[name])
            parent = layer.pop("extends", None)
            above = dict(itertools.takewhile(lambda item: item[0] != name, home.families.items()))
            where = f"{home.path}: families.{name}"
            inherited = _families(dataclasses.replace(home, families=above), parent, where)
            if name in inherited:  # it extends a shipped family under the same name
                layer = merged_layers(inherited.pop(name)[1], layer)
            return {**inherited, name: (where, layer)}
    known = {family for home in homes for family in home.families}
    near = nearest(name, known)
    raise UnknownNameError(f"{asked_by}: there is no family {name!r} to take values from. Nearest names: {near}")


def _preset(file: TaskFile, name: str | None, families: Iterable[str]) -> list[_Placed]:
    """Returns the layers of a preset: what it says to all tasks, then what it says to those of each family.

    Before these come the layers of the preset that it extends: one above it in its file, or a shipped one.
    """
    if name is None:
        return []
    shipped = shipped_file()
    homes = [file] if file.path == shipped.path else [file, shipped]
    for home in homes:
        if name in home.presets:
            layer, where = dict(home.presets[name]), f"{home.path}: presets.{name}"
            above = dict(itertools.takewhile(lambda item: item[0] != name, home.presets.items()))
            inherited = _preset(dataclasses.replace(home, presets=above), layer.pop("extends", None), families)
            parts = layer.pop("families", {})
            own = [(f"{where}.families.{key}", parts[key]) for key in families if key in parts]
            return [*inherited, (where, layer), *own]
    known = {preset for home in homes for preset in home.presets}
    raise UnknownNameError(f"there is no preset {name!r}. Nearest names: {nearest(name, known)}")


def merged_layers(below: Layer, above: Layer) -> Layer:
    """Returns both mappings in one, key by key; where both have a value that is no mapping, the one above counts."""
    merged = dict(below)
    for key, value in above.items():
        under = merged.get(key)
        if isinstance(under, dict) and isinstance(value, dict) and not (key == "rig" and "kind" in value):
            merged[key] = merged_layers(under, value)
        else:
            merged[key] = value
    return merged


def _filled_in(make: MakeSpec, task: str) -> MakeSpec:
    kwargs = {
        key: value.replace("{task}", task) if isinstance(value, str) else value for key, value in make.kwargs.items()
    }
    return dataclasses.replace(make, id=make.id.replace("{task}", task), kwargs=kwargs)
