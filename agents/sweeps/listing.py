"""The runs below a folder in one list, and the settings in which they differ; read from their folders alone."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from mvr_agents.runs.config_file import read_document
from mvr_agents.runs.finished import read_finished
from mvr_agents.runs.metrics import NAN, read_metrics
from mvr_agents.runs.run_dir import RunDirectory
from mvr_agents.sweeps.collect import flat, runs_below
from mvr_wrappers.errors import ConfigError, nearest

SortName = Literal["started", "task", "return", "success", "steps", "hours"]

_PLACES = {"seed", "outputs", "run_dir"}  # in which all runs differ


@dataclass(frozen=True, slots=True, eq=False)
class ListedRun:
    """What the folder of a run says at a glance.

    Attributes:
        path: its folder.
        started: date and time, ISO 8601.
        task: name of the task.
        agent: the learner.
        preset: of the task file.
        seed: of everything random in it.
        settings: all values of its configuration, by dotted keys.
        steps: env steps done.
        planned: env steps that it was to do.
        last_return: task return of the last evaluation; NaN if there was none.
        last_success: its share of episodes with success at any step; NaN if there was none or the env never says.
        finished: whether it trained for all its steps.
        seconds: wall time of training and evaluation, so far.
    """

    path: Path
    started: str
    task: str
    agent: str
    preset: str
    seed: int
    settings: Mapping[str, Any]
    steps: int
    planned: int
    last_return: float
    last_success: float
    finished: bool
    seconds: float


@dataclass(frozen=True, slots=True)
class Filters:
    """Which runs are listed: those that agree with all of these; None asks for nothing.

    Attributes:
        task: name of the task; * and ? stand for any letters and any letter.
        agent: the learner.
        preset: of the task file.
        finished: whether it trained for all its steps.
    """

    task: str | None = None
    agent: str | None = None
    preset: str | None = None
    finished: bool | None = None

    def accept(self, run: ListedRun) -> bool:
        """Returns whether a run agrees."""
        return (
            (self.task is None or fnmatch(run.task, self.task))
            and self.agent in (None, run.agent)
            and self.preset in (None, run.preset)
            and self.finished in (None, run.finished)
        )


_SORT: dict[SortName, tuple[Callable[[ListedRun], Any], bool]] = {  # by what, and whether the greatest comes first
    "started": (lambda run: run.started, True),
    "task": (lambda run: run.task, False),
    "return": (lambda run: _known(run.last_return), True),
    "success": (lambda run: _known(run.last_success), True),
    "steps": (lambda run: run.steps, True),
    "hours": (lambda run: run.seconds, True),
}


def list_runs(folder: Path, filters: Filters, sort: SortName = "started") -> tuple[list[ListedRun], list[str]]:
    """Lists the runs in a folder, however deep.

    Args:
        folder: where to look; a run directory is a list of one.
        filters: which runs count.
        sort: "task" from A to Z, anything else from the newest or greatest on; the newest first where that is equal.

    Returns:
        The runs, and a sentence on each folder that could not be read.

    Raises:
        ConfigError: no such folder, no runs in it, or none that the filters accept.
    """
    if not folder.is_dir():
        raise ConfigError(f"there is no folder {folder}; give one that holds runs, such as outputs")
    found, unread = [], []
    for path in runs_below(folder):
        try:
            found.append(read_listed(path))
        except ConfigError as error:
            unread.append(f"left out: {error}")
    if not found and not unread:
        raise ConfigError(f"no runs in {folder}; runs are written by `mvr train` and `mvr sweep`")
    runs = [run for run in found if filters.accept(run)]
    if found and not runs:
        raise ConfigError(_nothing(folder, found, filters))
    key, greatest_first = _SORT[sort]
    newest_first = sorted(runs, key=lambda run: run.started, reverse=True)
    return sorted(newest_first, key=key, reverse=greatest_first), unread


def read_listed(path: Path) -> ListedRun:
    """Reads what the folder of a run says; the task need not exist any more.

    Raises:
        ConfigError: a malformed file.
    """
    run = RunDirectory(path)
    document = read_document(run.config)
    config = document["config"]
    try:
        task, agent, seed = document["task"]["name"], config["agent"], int(config["seed"])
        planned = int(config["hyperparameters"]["steps"])
    except (KeyError, TypeError) as error:
        raise ConfigError(f"{run.config} lacks {error}; `mvr train` writes it whole") from error
    metrics = read_metrics(run.metrics) if run.metrics.is_file() else {}
    finished = run.finished.is_file()
    return ListedRun(
        path=path,
        started=str(document.get("started", "")),
        task=task,
        agent=agent,
        preset=config.get("preset", "default"),
        seed=seed,
        settings=dict(flat(config)),
        steps=int(_last(metrics, "step", 0)),
        planned=planned,
        last_return=_last(metrics, "eval_return"),
        last_success=_last(metrics, "eval_success"),
        finished=finished,
        seconds=read_finished(run.finished).seconds if finished else _last(metrics, "seconds", 0),
    )


def differences(runs: Sequence[ListedRun]) -> dict[str, dict[str, list[int]]]:
    """Returns the settings in which runs differ: dotted key -> value as text -> places in `runs` that have it.

    The seed and the folders are left out. Where a run has no such setting, its value is "-".
    """
    found: dict[str, dict[str, list[int]]] = {}
    for key in dict.fromkeys(key for run in runs for key in run.settings if key not in _PLACES):
        places: dict[str, list[int]] = defaultdict(list)
        for place, run in enumerate(runs):
            places[str(run.settings.get(key, "-"))].append(place)
        if len(places) > 1:
            found[key] = dict(places)
    return found


def _last(metrics: Mapping[str, NDArray[np.float64]], column: str, default: float = NAN) -> float:
    """Returns the last known value of a column."""
    values = metrics.get(column, np.empty(0))
    known = values[np.isfinite(values)]
    return float(known[-1]) if len(known) else default


def _known(value: float) -> float:
    return -np.inf if np.isnan(value) else value


def _nothing(folder: Path, found: Sequence[ListedRun], filters: Filters) -> str:
    """Says that no run is accepted, and what there is instead."""
    for name in ("task", "agent", "preset"):
        asked, there = getattr(filters, name), {getattr(run, name) for run in found}
        if asked is not None and not any(fnmatch(value, asked) for value in there):
            return f"no run in {folder} has {name} {asked}. Nearest: {nearest(asked, there)}"
    return f"none of the {len(found)} runs in {folder} is what was asked for; leave out one of the filters"
