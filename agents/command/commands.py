"""The subcommands of `mvr`: what each does with its arguments, and what it prints."""

from __future__ import annotations

from pathlib import Path

from rich.markup import escape
from rich.table import Table

from mvr_agents.command.arguments import DoctorArgs, DownloadArgs, EvalArgs, FilmArgs, TasksArgs, TrainArgs
from mvr_agents.command.terminal import console, progress, say, say_files
from mvr_agents.extras import is_installed
from mvr_wrappers.errors import ConfigError
from mvr_wrappers.tasks.registry import get_task, load_registry


def train(args: TrainArgs) -> int:
    """Trains, and prints what the run did."""
    from mvr_agents import training
    from mvr_agents.runs.report import report

    if args.resume is None:
        run = training.train(args.train, notify=say)
    else:
        run = training.resume(args.resume, exact=args.exact, notify=say)
    console.print(report(run))
    return 0


def evaluate(args: EvalArgs) -> int:
    """Evaluates a run, and films an episode of it if asked."""
    from mvr_agents.pictures.film import film_task
    from mvr_agents.runs.saved_engine import saved_engine
    from mvr_agents.runs.saved_run import SavedRun

    run = SavedRun.open(args.run, args.device, trust=args.trust)
    seed = run.seed if args.seed is None else args.seed
    with progress("playing", args.episodes) as tick:
        result = run.evaluate(args.episodes, seed, tick)
    table = Table("", "mean", "lowest", "highest", title=escape(f"{run.spec.name}: {args.episodes} episodes"))
    for name, values, form in (("task return", result.returns, ".1f"), ("steps", result.lengths, ".0f")):
        table.add_row(name, *(format(value, form) for value in (values.mean(), values.min(), values.max())))
    if result.successes is not None:
        table.add_row("success at any step", f"{result.success_rate:.0%}", "", "")
        table.add_row("success at the last step", f"{result.last_success_rate:.0%}", "", "")
    console.print(table)
    if args.video:
        with console.status("filming"), saved_engine(run.directory) as engine:
            paths = film_task(run.spec, run.policy, args.run / "episode.mp4", seed=seed, engine=engine)
        say_files(*paths)
    return 0


def film(args: FilmArgs) -> int:
    """Films an episode of a policy."""
    from mvr_agents.pictures.film import film_task
    from mvr_agents.runs.run_dir import RunDirectory
    from mvr_agents.runs.saved_engine import saved_engine

    spec = get_task(args.task)
    video = args.outputs / spec.name / "film" / f"{Path(args.policy).name}.mp4"
    with console.status(f"filming the {args.policy} policy"), saved_engine(RunDirectory(Path(args.policy))) as engine:
        paths = film_task(
            spec,
            args.policy,
            video,
            size=args.size,
            every=args.every,
            quality=args.quality,
            seed=args.seed,
            engine=engine,
            trust=args.trust,
        )
    say_files(*paths)
    return 0


def download(args: DownloadArgs) -> int:
    """Downloads the files of scorers, and names each with its size."""
    from mvr_wrappers.scorers import hub

    if not args.scorers:
        raise ConfigError(f"name the scorers to download: {', '.join(hub.HUB)}")
    for name in args.scorers:
        for path in hub.download(name):
            say(f"{path}  {path.stat().st_size / 1e6:,.1f} MB")
    return 0


def tasks(args: TasksArgs) -> int:
    """Lists tasks."""
    table = Table("id", "family", "installed", "prompt")
    for name, spec in load_registry(args.file).items():
        package = spec.make.module
        installed = "yes" if package is None or is_installed(package) else f"no, needs {package}"
        table.add_row(f"MVR/{name}", spec.family or "", installed, escape(spec.prompt))
    console.print(table)
    return 0


def doctor(args: DoctorArgs) -> int:
    """Prints what the doctor finds; 1 if something must be fixed before anything works."""
    from mvr_agents.command.doctor import diagnose

    colors = {"ok": "green", "note": "yellow", "problem": "bold red"}
    sick = False
    for check in diagnose():
        sick |= check.status == "problem"
        line = f"[{colors[check.status]}]{check.status:7}[/] [bold]{escape(check.name)}[/]: {escape(check.found)}"
        console.print(line, soft_wrap=True, highlight=False)
        if check.remedy:
            console.print(f"        -> {escape(check.remedy)}", soft_wrap=True, highlight=False)
    return int(sick)
