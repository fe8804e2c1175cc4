"""The subcommands of `mvr`: what each does with its arguments, and what it prints."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.progress import Progress
from rich.table import Table

from mvr_wrappers.registry import get_task, load_registry

from ..config import TrainConfig
from ..extras import is_installed
from .arguments import DoctorArgs, EvalArgs, FilmArgs, ScoreArgs, TasksArgs

console = Console()


def train(config: TrainConfig) -> int:
    """Trains, and prints what the run did."""
    from ..runs.report import report
    from ..train import train as run_training

    run = run_training(config, notify=_say)
    console.print(report(run))
    return 0


def evaluate(args: EvalArgs) -> int:
    """Evaluates a run, and films an episode of it if asked."""
    from ..pictures.film import film_task
    from ..runs.saved_run import SavedRun

    run = SavedRun.open(args.run, args.device)
    seed = run.seed if args.seed is None else args.seed
    with _progress("playing", args.episodes) as tick:
        result = run.evaluate(args.episodes, seed, tick)
    table = Table("", "mean", "lowest", "highest", title=escape(f"{run.spec.name}: {args.episodes} episodes"))
    for name, values, form in (("task return", result.returns, ".1f"), ("steps", result.lengths, ".0f")):
        table.add_row(name, *(format(value, form) for value in (values.mean(), values.min(), values.max())))
    if result.successes is not None:
        table.add_row("success", f"{result.success_rate:.0%}", "", "")
    console.print(table)
    if args.video:
        with console.status("filming"):
            paths = film_task(run.spec, run.policy, args.run / "episode.mp4", seed=seed)
        _say_files(*paths)
    return 0


def film(args: FilmArgs) -> int:
    """Films an episode of a policy."""
    from ..pictures.film import film_task

    spec = get_task(args.task)
    video = args.outputs / spec.name / "film" / f"{Path(args.policy).name}.mp4"
    with console.status(f"filming the {args.policy} policy"):
        paths = film_task(
            *(spec, args.policy, video), size=args.size, every=args.every, quality=args.quality, seed=args.seed
        )
    _say_files(*paths)
    return 0


def score(args: ScoreArgs) -> int:
    """Scores clips of known behaviour, and prints a table a sentence, one row a view."""
    from mvr_wrappers.scorers import load_scorer

    from ..pictures.scoring import BehaviourScores, behaviours, score_behaviours, separation

    spec = get_task(args.task, scorer=args.scorer)
    sentences = args.sentences or (spec.prompt,)
    scorer = load_scorer(spec.scorer, args.device, weights=args.weights)
    scores: list[BehaviourScores] = []
    with _progress("filming and scoring", args.episodes * len(behaviours(spec))) as tick:
        scores.extend(score_behaviours(spec, scorer, sentences, args.episodes, args.seed, tick))
    counts = ", ".join(f"{len(each.psi)} {each.behaviour} clips" for each in scores)
    for number, sentence in enumerate(sentences):
        table = Table("view", *(each.behaviour for each in scores), title=escape(f'"{sentence}"'))
        table.caption = f"{spec.scorer}: mean ± deviation of the score over {counts}"
        psi = [each.psi[:, :, number] for each in scores]
        columns: list[tuple[int | slice, str]] = [*enumerate(scores[0].views), (slice(None), "all views")]
        if len(psi) == 2:
            table.add_column("AUC, scripted against random")
        for view, label in columns:
            cells = [f"{values[:, view].mean():.3f} ± {values[:, view].std():.3f}" for values in psi]
            if len(psi) == 2:
                cells.append(f"{separation(psi[1][:, view].ravel(), psi[0][:, view].ravel()):.2f}")
            table.add_row(label, *cells)
        console.print(table)
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
    """Prints what the doctor finds; 1 if something must be mended before anything works."""
    from .doctor import diagnose

    colors = {"ok": "green", "note": "yellow", "problem": "bold red"}
    sick = False
    for check in diagnose():
        sick |= check.status == "problem"
        line = f"[{colors[check.status]}]{check.status:7}[/] [bold]{escape(check.name)}[/]: {escape(check.found)}"
        console.print(line, soft_wrap=True, highlight=False)
        if check.remedy:
            console.print(f"        -> {escape(check.remedy)}", soft_wrap=True, highlight=False)
    return int(sick)


@contextmanager
def _progress(work: str, episodes: int) -> Iterator[Callable[[], object]]:
    """Shows a bar while episodes are played, gone when they are over; yields what moves it on by one."""
    with Progress(console=console, transient=True) as progress:
        task = progress.add_task(f"{work}, {episodes} episodes", total=episodes)
        yield lambda: progress.advance(task)


def _say(line: str) -> None:
    console.print(escape(line), soft_wrap=True, highlight=False)


def _say_files(*paths: Path) -> None:
    for path in paths:
        _say(str(path))
