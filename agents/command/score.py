"""`mvr score`: what a scorer thinks of a task or of a video, as tables and a picture."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.markup import escape
from rich.table import Table

from mvr_agents.command.arguments import ScoreArgs
from mvr_agents.command.terminal import console, progress, say_files
from mvr_agents.pictures.score_figure import ScoredFilm, draw_scores
from mvr_agents.pictures.scoring import BehaviourScores, behaviours, score_behaviours, score_video, separation
from mvr_wrappers.errors import ConfigError
from mvr_wrappers.options import ScorerSettings, chosen
from mvr_wrappers.scorers import Goal, load_scorer
from mvr_wrappers.tasks.registry import get_task

VIDEOS = {".avi", ".gif", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".webm"}


def score(args: ScoreArgs) -> int:
    """Scores a video's clips, or clips of known behaviour in a task; prints tables and draws a picture."""
    path = Path(args.source)
    if path.is_file() or path.suffix.lower() in VIDEOS:
        _score_video(path, args)
    else:
        _score_task(args)
    return 0


def _score_video(path: Path, args: ScoreArgs) -> None:
    """Prints a row a clip and a column a sentence, the best clip of each sentence in bold."""
    if not args.sentences:
        raise ConfigError(f'nothing to score {path} against; give sentences: mvr score {path} "a robot walking"')
    scorer = load_scorer(args.scorer or "pocket", args.device, **chosen(ScorerSettings, args))
    goal = Goal.embed(scorer, args.sentences, args.baseline_prompt, args.alpha or 0.0)
    with console.status("reading and scoring"):
        film = score_video(path, scorer, goal, args.seconds, args.overlap)
    table = Table("seconds", *(escape(sentence) for sentence in args.sentences), title=escape(path.name))
    table.caption = f"{scorer.name}: score of each clip; bold: the best clip for the sentence"
    best = film.psi.argmax(axis=0)
    for number, ((start, end), psi) in enumerate(zip(film.spans, film.psi, strict=True)):
        cells = [f"[bold]{value:.3f}[/]" if best[i] == number else f"{value:.3f}" for i, value in enumerate(psi)]
        table.add_row(f"{start:.1f} - {end:.1f}", *cells)
    console.print(table)
    _draw(
        [film],
        args.sentences,
        "seconds",
        args.outputs / "score" / f"{path.stem}.png",
        f"{path.name}, scored by {scorer.name}",
    )


def _score_task(args: ScoreArgs) -> None:
    """Prints a table a sentence, one row a view."""
    given: dict[str, Any] = {"scorer": args.scorer, "baseline_prompt": args.baseline_prompt, "alpha": args.alpha}
    spec = get_task(args.source, **given, **chosen(ScorerSettings, args))
    sentences = args.sentences or (spec.prompt,)
    scorer = load_scorer(spec.scorer, args.device, **chosen(ScorerSettings, spec))
    goal = Goal.embed(scorer, sentences, spec.baseline_prompt, spec.alpha)
    scores: list[BehaviourScores] = []
    with progress("filming and scoring", args.episodes * len(behaviours(spec))) as tick:
        scores.extend(score_behaviours(spec, scorer, goal, args.episodes, args.seed, tick))
    counts = ", ".join(f"{len(each.psi)} {each.behaviour} clips" for each in scores)
    for number, sentence in enumerate(sentences):
        table = _views_table(scores, number, escape(f'"{sentence}"'))
        table.caption = f"{spec.scorer}: mean ± deviation of the score over {counts}"
        console.print(table)
    _draw(
        [each.episode for each in scores],
        sentences,
        "step of the episode",
        args.outputs / spec.name / "score.png",
        f"{spec.name}: the first episode, scored by {spec.scorer}",
    )


def _views_table(scores: Sequence[BehaviourScores], number: int, title: str) -> Table:
    """Returns mean and deviation of each behaviour's scores against a sentence, one row a view."""
    table = Table("view", *(each.behaviour for each in scores), title=title)
    psi = [each.psi[:, :, number] for each in scores]
    if len(psi) == 2:
        table.add_column("AUC, scripted against random")
    columns: list[tuple[int | slice, str]] = [*enumerate(scores[0].views), (slice(None), "all views")]
    for view, label in columns:
        cells = [f"{values[:, view].mean():.3f} ± {values[:, view].std():.3f}" for values in psi]
        if len(psi) == 2:
            cells.append(f"{separation(psi[1][:, view].ravel(), psi[0][:, view].ravel()):.2f}")
        table.add_row(label, *cells)
    return table


def _draw(films: Sequence[ScoredFilm], sentences: Sequence[str], unit: str, path: Path, title: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    draw_scores(films, sentences, unit, path, title)
    say_files(path)
