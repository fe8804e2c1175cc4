"""`mvr report`: many runs compared, as tables here and as a folder of files."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro
from rich.markup import escape
from rich.table import Table

from mvr_agents.command.terminal import console, say, say_files
from mvr_agents.sweeps import document
from mvr_agents.sweeps.groups import By
from mvr_agents.sweeps.scores import MetricName


@dataclass(frozen=True, slots=True)
class ReportArgs:
    """Compare runs: scores with intervals, pairs of arms, learning curves; as HTML, Markdown, PNG and CSV.

    Attributes:
        folders: run directories, or folders of them, such as outputs/<suite>.
        by: "arm" takes the tasks together, "task" keeps them apart.
        metric: what arms are compared by: success_auc is the success rate averaged over training, steps_to_50 the env
            steps to half of the episodes solved.
        mixed: compare runs of different tasks' versions, mujoco's versions or numbers of steps all the same.
        out: where the report is written; without it, in the first of the folders.
    """

    folders: Annotated[tuple[Path, ...], tyro.conf.Positional, tyro.conf.arg(metavar="FOLDER [FOLDER ...]")]
    by: By = "arm"
    metric: MetricName = "success_auc"
    mixed: bool = False
    out: Path | None = None


def report(args: ReportArgs) -> int:
    """Writes the report; prints its tables and where its files lie."""
    from mvr_agents.sweeps.report import write_report

    written = write_report(args.folders, args.out, metric=args.metric, by=args.by, mixed=args.mixed)
    for sentence in written.caveats.sentences:
        say(sentence)
    console.print(_table(written.results, written.title))
    if written.comparisons.rows:
        console.print(_table(written.comparisons, "pairs of arms"))
    say_files(*written.files)
    return 0


def _table(table: document.Table, title: str) -> Table:
    printed = Table(*table.columns, title=escape(title))
    for row in table.rows:
        printed.add_row(*map(escape, row))
    return printed
