"""Judges the pocket scorer on unseen seeds and views: `python -m tools.pocket.evaluate --data outputs/pocket`.

Scores are cosines of a clip with its task's prompt; an area under the ROC curve (AUC) is the chance that a clip of the
first kind scores above one of the second, of the same task. Intervals are 95% bootstraps over episodes. The tables are
printed, written to evaluation.json and, with --card, into the model card.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import tyro
from numpy.typing import NDArray
from scipy.stats import spearmanr

from mvr_wrappers.scorers import Scorer, load_scorer
from mvr_wrappers.scorers.pocket.scorer import WEIGHTS
from tools.pocket.captions import BODIES, HELD_OUT, PAPER_TASKS, TASKS, TRAINED, motion_prompt, prompt
from tools.pocket.collect import AFTER, CLIP
from tools.pocket.figures import Figure, auc_table, over_episodes, over_tables, view_share
from tools.pocket.films import FRAMES, Films, read_films
from tools.pocket.motions import BODY_MOTIONS
from tools.pocket.tables import Report, write_card
from tools.pocket.views import RING

Array = NDArray[Any]

COMPARISONS = {  # letter and title: (first kind, second kind, on the ring, prompt)
    "a. success / random": ("success", "random", True, "published"),
    "b. the same, unseen azimuths": ("success", "random", False, "published"),
    "c. success / approach": ("success", "approach", True, "published"),
    "d. weak / strong noise": ("success", "strong", True, "published"),
    "f. success / random, reworded": ("success", "random", True, "reworded"),
    "i. held / random": ("held", "random", True, "published"),
    "j. success / near": ("success", "near", True, "published"),
    "k. approach / random": ("approach", "random", True, "published"),
}
PROGRESS = "e. Spearman with progress"


@dataclass(frozen=True, slots=True, eq=False)
class Scored:
    """Test clips and scores in parallel arrays; `kind` is what a clip is to show, "" if it is for progress alone."""

    film: Array
    kind: Array
    progress: Array
    published: Array
    reworded: Array


def select(films: Films, tasks: Iterable[str]) -> tuple[Array, Array, Array, Array]:
    """Returns film, first frame, kind and progress of the test's clips of some tasks."""
    c, rows = films.columns, []
    wanted = set(tasks)
    for film in np.flatnonzero([subject in wanted for subject in c["subject"]]):
        kind, begun, solved, spacing = (c[name][film] for name in ("kind", "begun", "solved", "spacing"))
        if kind == "random" or c["noise"][film] > 0.5:
            rows.append((film, 0, "strong" if kind == "expert" else "near" if begun else "random", 0.0))
            continue
        frames = np.arange(c["frames"][film] - FRAMES + 1)
        stops = c["first"][film] + spacing * (frames + FRAMES - 1) + spacing // 2
        progress = np.clip((stops - begun) / (solved - begun), 0, 1)
        reached = min(c["touched"][film], (begun + solved) // 2 if c["touched"][film] >= solved else solved)
        kinds = np.full(len(frames), "", "U8")
        kinds[frames[stops <= reached][-1:]] = "approach"
        kinds[stops == solved + AFTER] = "success"
        kinds[stops == solved + AFTER + CLIP] = "held"
        keep = (kinds != "") | ((stops > begun) & (stops <= solved + AFTER))
        rows += [(film, frame, kinds[frame], progress[frame]) for frame in frames[keep]]
    film_of, first, kind_of, progress_of = map(np.array, zip(*rows, strict=True))
    return film_of, first, kind_of, progress_of


def embed(scorer: Scorer, films: Films, film: Array, frame: Array) -> Array:
    """Embeds clips, 64 at a time: (N, E)."""
    chunks = np.array_split(np.arange(len(film)), 1 + len(film) // 64)
    return np.concatenate(
        [scorer.embed_video(np.stack([films.clip(film[i], frame[i]) for i in chunk])) for chunk in chunks if len(chunk)]
    )


def score(scorer: Scorer, films: Films) -> Scored:
    """Scores the test's clips of all tasks against the prompt and the reworded prompt of their task."""
    film, frame, kind, progress = select(films, TASKS)
    videos = embed(scorer, films, film, frame)
    names = list(TASKS)
    column = np.array([names.index(subject) for subject in films.columns["subject"][film]])
    published = scorer.embed_text([prompt(task) for task in names])[column]
    reworded = scorer.embed_text([TASKS[task].reworded for task in names])[column]
    return Scored(film, kind, progress, (videos * published).sum(1), (videos * reworded).sum(1))


def compare(films: Films, scored: Scored, title: str, tasks: Iterable[str], replicates: int) -> Figure:
    """Returns the AUC of one of `COMPARISONS` over tasks."""
    first, second, ring, which = COMPARISONS[title]
    seed, subject = films.columns["seed"][scored.film], films.columns["subject"][scored.film]
    values = scored.published if which == "published" else scored.reworded
    on_ring = np.isin(films.columns["azimuth"][scored.film], RING) == ring

    def episodes(task: str, kind: str) -> list[Array]:
        rows = np.flatnonzero((subject == task) & (scored.kind == kind) & on_ring)
        return [values[rows[seed[rows] == s]] for s in np.unique(seed[rows])]

    pairs = {task: (episodes(task, first), episodes(task, second)) for task in tasks}
    return over_tables({task: auc_table(*p) for task, p in pairs.items() if all(p)}, replicates)


def follow(films: Films, scored: Scored, tasks: Iterable[str], replicates: int) -> Figure:
    """Returns the mean over episodes of the rank correlation of score and progress, a film of the ring each."""
    subject, seed = films.columns["subject"], films.columns["seed"]
    values: dict[str, Array] = {}
    for task in tasks:
        found: dict[int, list[float]] = {}
        for film in np.unique(scored.film[(subject[scored.film] == task) & (scored.kind == "success")]):
            rows = (scored.film == film) & (scored.kind != "held")
            if films.columns["azimuth"][film] in RING and rows.sum() > 2:
                rank = spearmanr(scored.published[rows], scored.progress[rows]).statistic
                found.setdefault(int(seed[film]), []).append(float(rank))
        if found:
            values[task] = np.array([np.mean(ranks) for ranks in found.values()])
    return over_episodes(values, replicates)


def view_shares(films: Films, scored: Scored) -> dict[str, list[float]]:
    """Returns the share of score variance that the view explains, of every trained task, by kind of clip."""
    azimuth, subject = films.columns["azimuth"][scored.film], films.columns["subject"][scored.film]
    shares = {}
    for kind in ("success", "random", "all"):
        chosen = np.isin(azimuth, RING) & ((scored.kind == kind) | ((kind == "all") & (scored.kind != "")))
        rows = [chosen & (subject == task) for task in TRAINED]
        shares[kind] = [view_share(scored.published[r], azimuth[r]) for r in rows if r.sum() > len(RING)]
    return {kind: values for kind, values in shares.items() if values}


def motions(scorer: Scorer, films: Films, ring: bool, replicates: int) -> Figure:
    """Returns how often the right motion's prompt scores highest among the motions of a body, of each body."""
    c, values = films.columns, {}
    for body in BODIES:
        rows = np.flatnonzero((c["subject"] == body) & (np.isin(c["azimuth"], RING) == ring))
        if len(rows):
            names = BODY_MOTIONS[body]
            prompts = scorer.embed_text([motion_prompt(body, motion) for motion in names])
            best = (embed(scorer, films, rows, np.zeros(len(rows), int)) @ prompts.T).argmax(1)
            right = np.array(names)[best] == c["kind"][rows]
            values[body] = np.array([right[c["seed"][rows] == s].mean() for s in np.unique(c["seed"][rows])])
    return over_episodes(values, replicates)


def milliseconds_a_clip(scorer: Scorer, batch: int = 16, repeats: int = 15) -> float:
    """Returns the median time of a clip in a batch."""
    frames = np.random.default_rng(0).integers(0, 256, (batch, FRAMES, 96, 96, 3), np.uint8)
    times = []
    for _ in range(repeats):
        began = time.perf_counter()
        scorer.embed_video(frames)
        times.append((time.perf_counter() - began) / batch * 1e3)
    return float(np.median(times))


def judge(scorer: Scorer, films: Films, milliseconds: float, replicates: int) -> Report:
    """Computes every figure for which there are films."""
    scored, filmed = score(scorer, films), set(films.columns["subject"].tolist())
    report: dict[str, dict[str, Figure]] = {}
    for name, tasks in (("trained tasks", TRAINED), ("the paper's", PAPER_TASKS), ("g. held out", HELD_OUT)):
        have = [task for task in tasks if task in filmed]
        if have:
            group = {title: compare(films, scored, title, have, replicates) for title in COMPARISONS}
            group[PROGRESS] = follow(films, scored, have, replicates)
            report[f"{name} ({len(have)})"] = {title: group[title] for title in sorted(group)}
    bodies = {}
    if filmed & BODIES.keys():
        for view, ring in (("ring", True), ("unseen azimuths", False)):
            bodies[view] = motions(scorer, films, ring, replicates)
    return Report(report, bodies, view_shares(films, scored), milliseconds, torch.get_num_threads())


def main(
    data: Path = Path("outputs/pocket"),
    weights: Path = WEIGHTS,
    bootstraps: int = 1_000,
    threads: int = 2,
    device: str = "auto",
    card: Path | None = None,
) -> None:
    """Prints the figures and writes them to evaluation.json in the data folder.

    Args:
        data: folder that `tools.pocket.collect` wrote its test split to.
        weights: file to judge.
        bootstraps: replicates behind the intervals.
        threads: of torch.
        device: "auto", "cpu", "cuda"; the time of a clip is always that of the CPU, in float32.
        card: model card to write the tables into; None leaves it alone.
    """
    torch.set_num_threads(threads)
    scorer = load_scorer("pocket", device, "float32", weights)
    speed = milliseconds_a_clip(load_scorer("pocket", "cpu", "float32", weights))
    report = judge(scorer, read_films(data / "test"), speed, bootstraps)
    lines = report.lines()
    print("\n".join(lines))
    (data / "evaluation.json").write_text(json.dumps(asdict(report), indent=1))
    if card is not None:
        write_card(card, lines)


if __name__ == "__main__":
    tyro.cli(main)
