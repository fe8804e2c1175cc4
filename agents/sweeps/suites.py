"""Suites: named plans of many runs, as task files hold them.

```yaml
suites:
  mine:
    tasks: [window-close-v3, hammer-v3]
    seeds: 0..4                                # or a list
    preset: demo
    options: {steps: 48_000, weight: 0.3}      # of every arm: any option of `mvr train`
    arms:
      none: {shaping: false}
      mvr: {}
      paper: {preset: paper, clip: {film_every: 1}}
```
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from mvr_agents.runs.config import TrainConfig
from mvr_wrappers.errors import ConfigError, UnknownNameError, nearest
from mvr_wrappers.parsing import Natural, StrictFields, parse
from mvr_wrappers.settings import AgentSettings
from mvr_wrappers.tasks.files import Layer, TaskFile, read_task_file
from mvr_wrappers.tasks.registry import merged_layers, shipped_file, task_names

OF_TASKS = "sweep"
"""Name of the suite that tasks given by name make up."""

_HYPERPARAMETERS = frozenset(AgentSettings.__annotations__)
_PLACED = {"task", "seed", "outputs", "run_dir", "hyperparameters"}  # said by the suite, or part by part
_OPTIONS = {item.name for item in fields(TrainConfig)} - _PLACED | _HYPERPARAMETERS
_TASK_ARMS: dict[str, Layer] = {"mvr": {}, "none": {"shaping": False}, "potential": {"reward": {"rule": "potential"}}}


@dataclass(frozen=True, slots=True)
class _Written(StrictFields):
    """A suite as a file holds it; see the head of this module."""

    tasks: list[str]
    seeds: list[Natural] | str
    preset: str = "default"
    options: dict[str, Any] = field(default_factory=dict)
    arms: dict[str, dict[str, Any]] = field(default_factory=lambda: {"mvr": {}})


@dataclass(frozen=True, slots=True)
class Arm:
    """One side of a comparison.

    Attributes:
        name: of the folders that hold its runs.
        preset: of the task file.
        options: what `TrainConfig.for_task` is told besides.
    """

    name: str
    preset: str
    options: Layer


@dataclass(frozen=True, slots=True)
class Suite:
    """Tasks, arms and seeds, each of which is run with each.

    Attributes:
        name: of the folder that holds its runs.
        tasks: names, or `FILE.yaml:NAME`.
        arms: at least one.
        seeds: at least one.
        where: the place it stands at, for errors.
    """

    name: str
    tasks: tuple[str, ...]
    arms: tuple[Arm, ...]
    seeds: tuple[int, ...]
    where: str

    def with_arms(self, names: Sequence[str]) -> Suite:
        """Returns the suite with those of its arms alone; with all of them if no names are given.

        Raises:
            UnknownNameError: there is no such arm.
        """
        known = {arm.name: arm for arm in self.arms}
        for name in names:
            if name not in known:
                raise UnknownNameError(f"{self.where} has no arm {name!r}. Nearest names: {nearest(name, known)}")
        return replace(self, arms=tuple(known[name] for name in dict.fromkeys(names))) if names else self


def read_suites(path: Path | None = None) -> dict[str, Suite]:
    """Reads the shipped suites and those of a file of your own, which take the place of shipped ones of their name.

    Raises:
        ConfigError: naming the file, the key and the nearest valid ones.
    """
    files = [shipped_file()] if path is None else [shipped_file(), read_task_file(path)]
    return {name: _suite(file, name, layer) for file in files for name, layer in file.suites.items()}


def _suite(file: TaskFile, name: str, layer: Layer) -> Suite:
    where = f"{file.path}: suites.{name}"
    written = parse(_Written, layer, where)
    for what, names in (("tasks", written.tasks), ("arms", written.arms)):
        if not names:
            raise ConfigError(f"{where}.{what} is empty; give at least one")
    for word in (name, *written.arms):
        if not re.fullmatch(r"[\w.+=-]*\w[\w.+=-]*", word):
            raise ConfigError(f"{where}: {word!r} names a folder: use letters, digits and _.+=-; rename it")
    own = file.tasks if file.path != shipped_file().path else {}
    tasks = tuple(f"{file.path}:{task}" if task in own else task for task in written.tasks)
    shared = as_overrides(written.options, f"{where}.options")
    arms = []
    for arm, options in written.arms.items():
        own_options = as_overrides(options, f"{where}.arms.{arm}")
        values = merged_layers(shared, own_options)
        arms.append(Arm(arm, values.pop("preset", written.preset), values))
    seeds = [written.seeds] if isinstance(written.seeds, str) else written.seeds
    return Suite(name, tasks, tuple(arms), read_seeds(seeds, f"{where}.seeds"), where)


def as_overrides(options: Mapping[str, Any], where: str) -> Layer:
    """Returns options of `mvr train`, hyper-parameters among them, as `TrainConfig.for_task` takes them.

    Raises:
        ConfigError: no such option; the nearest are named.
    """
    values: Layer = {}
    for key, value in options.items():
        if key not in _OPTIONS:
            near = nearest(key, _OPTIONS)
            raise ConfigError(f"{where}.{key} is no option of a suite's runs. Nearest valid keys: {near}")
        values = merged_layers(values, {"hyperparameters": {key: value}} if key in _HYPERPARAMETERS else {key: value})
    return values


def read_seeds(words: Iterable[str | int], where: str) -> tuple[int, ...]:
    """Returns seeds from numbers and ranges: "0..4" is 0, 1, 2, 3, 4.

    Raises:
        ConfigError: neither a number nor a range, or none at all.
    """
    seeds: list[int] = []
    for word in words:
        found = re.fullmatch(r"(\d+)(?:\.\.(\d+))?", str(word))
        first, last = (int(found[1]), int(found[2] or found[1])) if found else (1, 0)
        if last < first:
            raise ConfigError(f"{where}: {word!r} is no seed; write numbers, or a range such as 0..4")
        seeds.extend(range(first, last + 1))
    if not seeds:
        raise ConfigError(f"{where} is empty; give at least one seed, or a range such as 0..4")
    return tuple(dict.fromkeys(seeds))


def choose(targets: Sequence[str], file: Path | None = None, *, arms: Sequence[str] = (), preset: str) -> list[Suite]:
    """Returns the suites that are named, and one of all tasks that are named: of seed 0, and the arm mvr unless told.

    Args:
        targets: names of suites and of tasks.
        file: with suites and tasks of your own.
        arms: which arms; none takes all of a suite.
        preset: of tasks given by name.

    Raises:
        ConfigError: no targets, or a malformed file.
        UnknownNameError: no such suite, task or arm; the nearest names are given.
    """
    suites = read_suites(file)
    own = read_task_file(file).tasks if file is not None else {}
    chosen, tasks = [], []
    for target in dict.fromkeys(targets):
        if target in suites:
            chosen.append(suites[target].with_arms(arms))
        elif target in own:
            tasks.append(f"{file}:{target}")
        elif ":" in target or target in (known := task_names()):
            tasks.append(target)
        else:
            near = nearest(target, {*suites, *known, *own})
            raise UnknownNameError(f"there is no suite and no task {target!r}. Nearest names: {near}")
    if tasks:
        all_arms = tuple(Arm(name, preset, options) for name, options in _TASK_ARMS.items())
        of_tasks = Suite(OF_TASKS, tuple(tasks), all_arms, (0,), "a sweep of tasks")
        chosen.append(of_tasks.with_arms(arms or ("mvr",)))
    if not chosen:
        raise ConfigError(f"name suites or tasks; the suites are {', '.join(sorted(suites))}")
    return chosen
