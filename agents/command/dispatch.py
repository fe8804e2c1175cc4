"""From the words of a command line to the subcommand they call, with its typed arguments."""

from __future__ import annotations

import dataclasses
import functools
import operator
from collections.abc import Callable, Sequence
from typing import Annotated, Any, get_type_hints

import tyro

from mvr_agents.command import arguments as args
from mvr_agents.command import commands
from mvr_agents.command.play import play
from mvr_agents.command.report import ReportArgs, report
from mvr_agents.command.runs import RunsArgs, runs
from mvr_agents.command.score import score
from mvr_agents.command.sweep import SweepArgs, sweep
from mvr_agents.command.tune import TuneArgs, tune
from mvr_agents.runs.config import TrainConfig
from mvr_agents.runs.config_file import read_config
from mvr_wrappers.errors import ConfigError
from mvr_wrappers.tasks.registry import task_names

COMMANDS: dict[str, tuple[type[Any], Callable[[Any], int]]] = {
    "train": (args.TrainArgs, commands.train),
    "eval": (args.EvalArgs, commands.evaluate),
    "play": (args.PlayArgs, play),
    "film": (args.FilmArgs, commands.film),
    "score": (args.ScoreArgs, score),
    "sweep": (SweepArgs, sweep),
    "tune": (TuneArgs, tune),
    "runs": (RunsArgs, runs),
    "report": (ReportArgs, report),
    "download": (args.DownloadArgs, commands.download),
    "tasks": (args.TasksArgs, commands.tasks),
    "doctor": (args.DoctorArgs, commands.doctor),
}
"""Name -> type of the arguments, and what to do with them."""

_DESCRIPTION = "Train agents on what their behaviour looks like, and look at what they do."
_HELP = frozenset({"-h", "--help"})
_ABSENT = "?"  # no task is called so


def run(words: Sequence[str]) -> int:
    """Runs the subcommand that `words` name and returns its exit code; ends the process where they are no command.

    Raises:
        MVRError: whatever the subcommand met.
    """
    if not words or words[0] not in COMMANDS:
        kinds: list[Any] = [Annotated[kind, tyro.conf.subcommand(name)] for name, (kind, _) in COMMANDS.items()]
        everything: Any = functools.reduce(operator.or_, kinds)
        tyro.cli(everything, prog="mvr", description=_DESCRIPTION, args=list(words) or ["--help"])
    name, rest = words[0], list(words[1:])
    kind, command = COMMANDS[name]
    default = train_defaults(rest) if kind is args.TrainArgs else tyro.MISSING_NONPROP
    if _HELP.intersection(rest):
        rest = ["--help"]  # alone, for it would leave out the positional arguments given before it
    return command(tyro.cli(kind, prog=f"mvr {name}", args=rest, default=default))


def train_defaults(words: Sequence[str]) -> args.TrainArgs:
    """Returns the arguments that the rest of `words` changes: those of the task and the preset, or the run, they name.

    Raises:
        UnknownNameError: no such task or preset.
        ConfigError: --resume with other options, or a file that is no config.yaml.
    """
    sample = TrainConfig.for_task(task_names()[0])
    # All options are known here, so that no value is taken for the task; none is checked, for the defaults it must
    # agree with are not known yet.
    loose = _unchecked(args.TrainArgs(dataclasses.replace(sample, task=_ABSENT)))
    asked = [word for word in words if word not in _HELP]  # answered once the defaults are known
    found = tyro.cli(type(loose), prog="mvr train", default=loose, args=asked)
    if found.resume is not None:
        if found != dataclasses.replace(loose, resume=found.resume, exact=found.exact):
            raise ConfigError("a run goes on with its own options: give --resume RUN, and --exact alone beside it")
        return args.TrainArgs(sample)
    if found.exact:
        raise ConfigError("--exact says from where a run goes on: give it with --resume RUN")
    if found.config is not None:
        repeated = dataclasses.replace(read_config(found.config), run_dir=None)
        if found.train.task not in (_ABSENT, repeated.task):
            raise ConfigError(f"{found.config} is of the task {repeated.task}; leave out {found.train.task}")
        return args.TrainArgs(repeated)
    if found.train.task == _ABSENT:
        return args.TrainArgs(dataclasses.replace(sample, task=tyro.MISSING))
    return args.TrainArgs(TrainConfig.for_task(found.train.task, found.train.preset))


def _unchecked(settings: Any) -> Any:
    """Returns the same values in dataclasses of the same fields that check nothing."""
    hints = get_type_hints(type(settings), include_extras=True)
    values: dict[str, Any] = {field.name: getattr(settings, field.name) for field in dataclasses.fields(settings)}
    for name, value in values.items():
        if dataclasses.is_dataclass(value):
            values[name] = _unchecked(value)
            details = getattr(hints[name], "__metadata__", ())  # how tyro is to call it
            hints[name] = Annotated[type(values[name]), *details] if details else type(values[name])
    return dataclasses.make_dataclass(type(settings).__name__, [(name, hints[name]) for name in values])(**values)
