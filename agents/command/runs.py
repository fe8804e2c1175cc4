"""`mvr runs`: the runs below a folder in a table, and what tells them apart."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Annotated, Literal

import tyro
from rich.markup import escape
from rich.table import Table

from mvr_agents.command.terminal import console, say
from mvr_agents.sweeps.listing import Filters, ListedRun, SortName, differences, list_runs


@dataclass(frozen=True, slots=True)
class RunsArgs:
    """List the runs below a folder, the newest first; show with --compare in which settings they differ.

    Attributes:
        folder: a run directory, or a folder of them, however deep.
        task: only runs of this task; * and ? stand for any letters and any letter.
        agent: only runs of this learner.
        preset: only runs of this preset.
        state: only runs that trained for all their steps, or only those that did not (yet).
        sort: what comes first: the newest, the first task by name, or the greatest of the last return, the last
            success, the steps done or the hours.
        compare: show the settings in which the runs listed differ.
    """

    folder: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="[FOLDER]")] = Path("outputs")
    task: str | None = None
    agent: str | None = None
    preset: str | None = None
    state: Literal["all", "finished", "unfinished"] = "all"
    sort: SortName = "started"
    compare: bool = False


def runs(args: RunsArgs) -> int:
    """Prints the list, and the settings that differ if asked."""
    finished = None if args.state == "all" else args.state == "finished"
    filters = Filters(args.task, args.agent, args.preset, finished)
    found, unread = list_runs(args.folder, filters, args.sort)
    for sentence in unread:
        say(sentence)
    console.print(_list(found, args.folder))
    if args.compare:
        differing = differences(found)
        if differing:
            console.print(_differences(differing))
        else:
            say("these runs differ in nothing but seed and folder")
    return 0


def _list(found: Sequence[ListedRun], folder: Path) -> Table:
    numbers = ("seed", "steps", "of", "return", "success", "hours")
    table = Table(title=escape(f"{len(found)} runs in {folder}"))
    for name in ("#", "started", "task", "agent", "preset", *numbers, "finished", "folder"):
        table.add_column(name, justify="right" if name in ("#", *numbers) else "left", overflow="fold")
    for number, run in enumerate(found, start=1):
        table.add_row(
            str(number),
            _moment(run.started),
            *map(escape, (run.task, run.agent, run.preset)),
            *(str(run.seed), f"{run.steps:,}", f"{run.planned:,}"),
            *(_number(run.last_return, "{:,.1f}"), _number(run.last_success, "{:.0%}"), f"{run.seconds / 3600:.2f}"),
            "yes" if run.finished else "no",
            escape(str(run.path.relative_to(folder))),
        )
    return table


def _differences(differing: dict[str, dict[str, list[int]]]) -> Table:
    """Returns a row a setting, with each of its values and the numbers of the runs that have it."""
    table = Table("setting", "value", "runs", title="settings that differ")
    for key, places in differing.items():
        for line, (value, numbers) in enumerate(places.items()):
            table.add_row(escape(key) if line == 0 else "", escape(value), ", ".join(str(n + 1) for n in numbers))
    return table


def _moment(started: str) -> str:
    try:
        return datetime.fromisoformat(started).strftime("%Y-%m-%d %H:%M")
    except ValueError:
        return "-"


def _number(value: float, form: str) -> str:
    return "-" if math.isnan(value) else form.format(value)
