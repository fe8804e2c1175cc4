"""`mvr tune`: a search for good options."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import tyro
import yaml
from rich.markup import escape
from rich.table import Table

from mvr_agents.command.sweep import INTERRUPTED, cores, gpus_here
from mvr_agents.command.terminal import console, say, say_files
from mvr_agents.extras import require
from mvr_wrappers.errors import ConfigError

if TYPE_CHECKING:
    import optuna

SHOWN = 10
FAILED = 1


@dataclass(frozen=True, slots=True)
class TuneArgs:
    """Search the options of a task for those that score best: trials of Optuna, each a run in a process of its own.

    Trials that are worse than the median of the others at the same step are ended early. All is written below
    OUTPUTS/tune/<task>/: the study (SQLite), each run, trials.csv, and best.yaml. After Ctrl-C, or when the machine was
    switched off, the same command goes on, runs from their latest checkpoints.

    Attributes:
        task: a name that `mvr tasks` lists, or FILE.yaml:NAME for a task of your own file.
        space: a YAML file: options of `mvr train`, each with a range, as in "weight: {low: 0.01, high: 1, log: true}",
            or a list of values.
        trials: how many, those of before included.
        metric: what counts, as in `mvr report`.
        jobs: processes at a time; without it, one for each core.
        steps: env steps of each run, in place of what preset and task say.
        preset: that the options of the space change.
        seed: of every run, and of what is proposed.
        outputs: where it is written.
    """

    task: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="TASK")]
    space: Path
    trials: int = 30
    metric: Literal["success_auc", "final_success", "final_return"] = "success_auc"
    jobs: int | None = None
    steps: int | None = None
    preset: str = "default"
    seed: int = 0
    outputs: Path = Path("outputs")

    def __post_init__(self) -> None:
        """Refuses values that cannot work."""
        for name in ("trials", "jobs"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ConfigError(f"{name} is {value}; give at least 1")


def tune(args: TuneArgs) -> int:
    """Runs the trials that are missing, and tells the best."""
    require("mvr tune", "optuna")
    from mvr_agents.runs.interrupt import stop_on_signal
    from mvr_agents.sweeps.space import read_space
    from mvr_agents.sweeps.table import shown
    from mvr_agents.sweeps.tuning import Plan, Search, open_study

    at_once = cores() if args.jobs is None else args.jobs
    space = read_space(args.space)
    plan = Plan(args.task, args.preset, space, args.metric, args.seed, args.steps, args.outputs)
    plan.check()
    study = open_study(plan)
    with stop_on_signal() as stop, shown(console, say, at_once) as show:
        search = Search(study, plan, stop=lambda: bool(stop), show=show, gpus=gpus_here())
        search.run(args.trials, at_once)
    failed = [job for job in search.jobs if job.state == "failed"]
    for job in failed:
        say(f"failed: {job.trial.name}, see {job.log}: {job.last_words()}")
    tell(study, plan.folder, args)
    if stop:
        say("interrupted; the same command goes on")
        return INTERRUPTED
    return FAILED if failed else 0


def tell(study: optuna.Study, folder: Path, args: TuneArgs) -> None:
    """Prints the best trials, and writes all of them to trials.csv and the best to best.yaml."""
    sign = -1 if study.direction.name == "MAXIMIZE" else 1
    done = sorted((t for t in study.trials if t.values), key=lambda t: sign * t.values[0])
    names = list(dict.fromkeys(name for trial in study.trials for name in trial.params))
    table = folder / "trials.csv"
    with table.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        writer.writerow(["trial", "state", args.metric, *names, "folder"])
        for trial in study.trials:
            value = trial.values[0] if trial.values else ""
            row = [trial.number, trial.state.name.lower(), value, *(trial.params.get(name, "") for name in names)]
            writer.writerow([*row, trial.user_attrs.get("folder", "")])
    if not done:
        say("no trial is complete yet")
        return
    shown = Table(
        "trial", args.metric, *map(escape, names), title=escape(f"{args.task}: the best of {len(done)} trials")
    )
    for trial in done[:SHOWN]:
        values = (f"{value:.4g}" if isinstance(value, float) else str(value) for value in trial.params.values())
        shown.add_row(str(trial.number), f"{trial.values[0]:.4g}", *values)
    console.print(shown)
    best = folder / "best.yaml"
    best.write_text(
        yaml.safe_dump({"preset": args.preset, "options": done[0].params}, sort_keys=False), encoding="utf-8"
    )
    options = " ".join(f"--{name.replace('_', '-')} {value}" for name, value in done[0].params.items())
    say(f"the best: mvr train {args.task} --preset {args.preset} {options}")
    say_files(table, best)
