"""From folders to runs: what lies below them, whether it may be compared, and what is missing."""

from __future__ import annotations

import os
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mvr_agents.runs.config_file import read_document
from mvr_agents.runs.evaluations import Evaluations, read_evaluations
from mvr_agents.runs.finished import read_finished
from mvr_agents.runs.metrics import read_metrics
from mvr_agents.runs.report import fades
from mvr_agents.runs.run_dir import RunDirectory
from mvr_agents.sweeps.statistics import Array
from mvr_wrappers.errors import ConfigError

FREE = {
    "task",
    "seed",
    "outputs",
    "run_dir",
    "device",
    "agent_device",
    "threads",
    "subproc",
    "track",
    "checkpoint_replay",
}
"""What may differ within an arm."""


@dataclass(frozen=True, slots=True, eq=False)
class Run:
    """A run that trained for all its steps.

    Attributes:
        path: its folder.
        task: name of the task.
        arm: what it stands for in a comparison: the name of the folder that holds it.
        seed: of everything random in it.
        document: config.yaml: the configuration, the task, versions, machine and revision.
        evaluations: of the training, episode by episode.
        seconds: wall time of training and evaluation.
        fade: mean |shaping| over mean |task reward|, early and late, see `runs.report.fades`.
        fading: env steps and that share, float64 (K,) each, a row of metrics.csv each; NaN where it is not known.
    """

    path: Path
    task: str
    arm: str
    seed: int
    document: Mapping[str, Any]
    evaluations: Evaluations
    seconds: float
    fade: tuple[float, float]
    fading: tuple[Array, Array]


@dataclass(frozen=True, slots=True, eq=False)
class Collection:
    """Runs to compare, at most one of each task, arm and seed.

    Attributes:
        runs: sorted by task, arm and seed.
        unfinished: task, arm and seed of folders without finished.json.
        notes: sentences on what was let pass.
    """

    runs: tuple[Run, ...]
    unfinished: tuple[tuple[str, str, int], ...]
    notes: tuple[str, ...]

    @property
    def tasks(self) -> tuple[str, ...]:
        """Names of the tasks."""
        return tuple(dict.fromkeys(run.task for run in self.runs))

    @property
    def arms(self) -> tuple[str, ...]:
        """Names of the arms."""
        return tuple(sorted({run.arm for run in self.runs}))

    def of(self, task: str, arm: str) -> tuple[Run, ...]:
        """Returns the runs of an arm on a task."""
        return tuple(run for run in self.runs if (run.task, run.arm) == (task, arm))

    def missing(self) -> dict[tuple[str, str], list[int]]:
        """Returns for tasks and arms the seeds that another task or arm has, finished or not, and they have not."""
        places = [*self.unfinished, *((run.task, run.arm, run.seed) for run in self.runs)]
        seeds = sorted({seed for _, _, seed in places})
        tasks, arms = sorted({task for task, _, _ in places}), sorted({arm for _, arm, _ in places})
        there = {(run.task, run.arm, run.seed) for run in self.runs}
        cells = {(task, arm): [s for s in seeds if (task, arm, s) not in there] for task in tasks for arm in arms}
        return {cell: gone for cell, gone in cells.items() if gone}


def collect(folders: Sequence[Path], *, mixed: bool = False) -> Collection:
    """Reads the runs that lie in folders, however deep.

    Args:
        folders: run directories, or folders of them. Where one arm's name is met in several, it is told apart by the
            folder's name.
        mixed: compare what differs in task, versions or steps all the same, and note the differences.

    Raises:
        ConfigError: no finished runs, or runs that cannot be compared; the first difference is named.
    """
    paths = _run_folders(folders)
    arms = _arm_names(paths)
    runs, unfinished = [], []
    for path in arms:
        directory = RunDirectory.open(path)
        document = read_document(directory.config)
        if directory.finished.is_file():
            runs.append(_read(directory, document, arms[path]))
        else:
            unfinished.append((document["task"]["name"], arms[path], document["config"]["seed"]))
    if not runs:
        raise ConfigError(
            f"none of the {len(unfinished)} runs in {_listed(folders)} has finished; wait for them, or run the command "
            "that began them again"
        )
    notes = [*_differences(runs), *_repeated(runs)]
    if notes and not mixed:
        raise ConfigError(f"{notes[0]}; give folders whose runs are alike, or --mixed to compare them all the same")
    newest = {(run.task, run.arm, run.seed): run for run in sorted(runs, key=lambda run: run.document["started"])}
    return Collection(tuple(newest[key] for key in sorted(newest)), tuple(sorted(unfinished)), tuple(notes))


def _run_folders(folders: Sequence[Path]) -> dict[Path, list[Path]]:
    """Returns each folder with the runs below it, or itself; a run that lies in two of them is the first one's."""
    found: dict[Path, list[Path]] = {}
    seen: set[Path] = set()
    for folder in dict.fromkeys(folders):
        if not folder.is_dir():
            raise ConfigError(f"there is no folder {folder}; give run directories, or folders that hold some")
        inside = runs_below(folder)
        found[folder] = [path for path in inside if path.resolve() not in seen]
        seen.update(path.resolve() for path in inside)
    if not seen:
        raise ConfigError(f"no runs in {_listed(folders)}; runs are written by `mvr train` and `mvr sweep`")
    return found


def runs_below(folder: Path) -> list[Path]:
    """Returns the run directories in a folder, sorted; what a tracker writes inside a run is none."""
    inside: list[Path] = []
    for path in sorted(file.parent for file in folder.rglob("config.yaml")):  # a run comes before what lies in it
        if not any(run in path.parents for run in inside):
            inside.append(path)
    return inside


def _arm_names(paths: Mapping[Path, Sequence[Path]]) -> dict[Path, str]:
    """Returns the runs' folders with the names of their arms."""
    inside = {folder: {path.resolve().parent.name for path in runs} for folder, runs in paths.items()}
    met = Counter(arm for folder, arms in inside.items() for arm in arms if paths[folder] != [folder])
    above = Path(os.path.commonpath([folder.resolve() for folder in paths]))
    names = {}
    for folder, runs in paths.items():
        for path in runs:
            arm = path.resolve().parent.name
            names[path] = arm if met[arm] < 2 else str(folder.resolve().relative_to(above) / arm)
    return names


def _read(run: RunDirectory, document: dict[str, Any], arm: str) -> Run:
    metrics = read_metrics(run.metrics)
    return Run(
        path=run.path,
        task=document["task"]["name"],
        arm=arm,
        seed=document["config"]["seed"],
        document=document,
        evaluations=read_evaluations(run.evaluations),
        seconds=read_finished(run.finished).seconds,
        fade=fades(metrics),
        fading=(metrics["step"], metrics["fade"]),
    )


def _differences(runs: Iterable[Run]) -> Iterator[str]:
    """Says for each task, and each arm of it, the first thing in which its runs differ and must not."""
    tasks, arms = defaultdict(list), defaultdict(list)
    for run in runs:
        tasks[run.task].append(run)
        arms[run.task, run.arm].append(run)
    for task, group in tasks.items():
        yield from _first_difference(task, group, [_world(run) for run in group])
    for (task, arm), group in arms.items():
        plain = [{k: v for k, v in run.document["config"].items() if k not in FREE} for run in group]
        yield from _first_difference(f"arm {arm} of {task}", group, [dict(flat(one)) for one in plain])


def _world(run: Run) -> dict[str, Any]:
    """Returns what all runs of a task must share: the task, the simulation, and how long it was trained."""
    make = dict(flat(run.document["task"]["make"], "make."))
    packages = ("mujoco", run.document["task"]["make"].get("module"))
    versions = {f"the version of {name}": run.document["versions"].get(name) for name in packages if name}
    config = run.document["config"]
    kwargs = dict(flat(config.get("env_kwargs", {}), "env_kwargs."))
    return versions | {"steps": config["hyperparameters"]["steps"]} | make | kwargs


def _first_difference(what: str, runs: Sequence[Run], facts: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    for run, fact in zip(runs[1:], facts[1:], strict=True):
        for key in dict.fromkeys([*facts[0], *fact]):
            first, other = facts[0].get(key), fact.get(key)
            if first != other:
                yield f"{what}: {key} is {first} in {runs[0].path} and {other} in {run.path}"
                return


def _repeated(runs: Iterable[Run]) -> Iterator[str]:
    """Says which seeds are there more than once."""
    places = defaultdict(list)
    for run in runs:
        places[run.task, run.arm, run.seed].append(run.path)
    for (task, arm, seed), paths in places.items():
        if len(paths) > 1:
            yield f"arm {arm} of {task} has seed {seed} more than once, in {_listed(paths)}, and the newest counts"


def flat(values: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, Any]]:
    """Yields the values of nested mappings by dotted keys."""
    for key, value in values.items():
        if isinstance(value, Mapping) and value:
            yield from flat(value, f"{above}{key}.")
        else:
            yield f"{above}{key}", value


def _listed(paths: Iterable[Path]) -> str:
    return ", ".join(map(str, paths))
