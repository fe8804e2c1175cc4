"""Judges the pocket scorer on unseen seeds and views: `python -m tools.pocket.evaluate --data outputs/pocket`.

Prints the table of the model card. Scores are cosines of a clip with its task's published prompt; an area under the ROC
curve (AUC) is the chance that a successful clip scores above another clip of its task. Intervals are 95% bootstraps
over episodes.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
import tyro
from numpy.typing import NDArray

from mvr_wrappers.scorers.pocket import WEIGHTS, PocketScorer
from tools.pocket.captions import PAPER_TASKS
from tools.pocket.collect import RING, load

Array = NDArray[Any]
Data = dict[str, Array]

# Written by hand, after the grammar and apart from it: no sentence of these can be drawn in training.
PARAPHRASES = {
    "faucet-close-v3": "the arm twists the water valve shut",
    "hammer-v3": "robot pounding a nail with the hammer it holds",
    "handle-press-side-v3": "the machine forces the handle to go down",
    "peg-unplug-side-v3": "the robot takes the peg out sideways",
    "push-back-v3": "an arm moves the wooden block to the rear",
    "push-v3": "the arm is pushing the small cylinder along the table",
    "push-wall-v3": "the arm goes around a wall while pushing the cylinder",
    "shelf-place-v3": "the robot puts the cube on top of the shelf",
    "stick-pull-v3": "robot grabs the stick, then pulls the kettle",
    "window-close-v3": "an arm closes the sliding window by its handle",
}


def auc(positive: Array, negative: Array) -> float:
    """Returns the chance that a draw of `positive` exceeds one of `negative`, ties counted half."""
    gaps = positive[:, None] - negative
    return float((gaps > 0).mean() + 0.5 * (gaps == 0).mean())


def view_share(scores: Array, views: Array) -> float:
    """Returns the share of the variance of `scores` that the view explains, corrected for chance (epsilon squared)."""
    groups = [scores[views == view] for view in np.unique(views)]
    within = sum(((group - group.mean()) ** 2).sum() for group in groups) / (len(scores) - len(groups))
    return float(max(1 - within / scores.var(ddof=1), 0))


def task_aucs(data: Data, scores: Array, stage: str, other: str, ring: bool) -> tuple[Array, Callable[[Any], Array]]:
    """Returns the AUC of each task, and a function that draws a bootstrap replicate of them, resampling episodes."""
    on_ring = np.isin(data["azimuth"], RING) == ring

    def select(task: str, which: str) -> tuple[Array, Array]:
        rows = (data["task"] == task) & (data["stage"] == which) & on_ring
        return scores[rows], data["seed"][rows]

    groups = [(select(task, stage), select(task, other)) for task in PAPER_TASKS]

    def resample(values: Array, seeds: Array, rng: np.random.Generator) -> Array:
        drawn = rng.choice(np.unique(seeds), len(np.unique(seeds)))
        return np.concatenate([values[seeds == seed] for seed in drawn])

    def replicate(rng: np.random.Generator) -> Array:
        return np.array([auc(resample(*a, rng), resample(*b, rng)) for a, b in groups])

    return np.array([auc(a[0], b[0]) for a, b in groups]), replicate


def embed(scorer: PocketScorer, frames: Array) -> Array:
    """Embeds clips in batches that fit the memory of a laptop."""
    return np.concatenate([scorer.embed_video(frames[i : i + 64]) for i in range(0, len(frames), 64)])


def milliseconds_a_clip(scorer: PocketScorer, batch: int = 16, repeats: int = 15) -> float:
    """Returns the median time of a clip in a batch."""
    frames = np.random.default_rng(0).integers(0, 256, (batch, 8, 96, 96, 3), np.uint8)
    times = []
    for _ in range(repeats):
        began = time.perf_counter()
        scorer.embed_video(frames)
        times.append((time.perf_counter() - began) / batch * 1e3)
    return float(np.median(times))


def print_table(report: dict[str, Any]) -> None:
    """Prints a row a task and a column a comparison, in Markdown."""
    print("| task | " + " | ".join(report) + " |\n" + "| --- " * (len(report) + 1) + "|")
    for i, task in enumerate(PAPER_TASKS):
        print(f"| {task} | " + " | ".join(f"{column['tasks'][i]:.3f}" for column in report.values()) + " |")
    means = (f"**{c['mean']:.3f}** ({c['interval'][0]:.3f}-{c['interval'][1]:.3f})" for c in report.values())
    print("| mean (95%) | " + " | ".join(means) + " |\n")


def main(data: Path = Path("outputs/pocket"), weights: Path = WEIGHTS, bootstraps: int = 200) -> None:
    """Prints the figures and writes them to evaluation.json in the data folder.

    Args:
        data: folder that `tools.pocket.collect` wrote its test split to.
        weights: file to judge.
        bootstraps: replicates behind the intervals.
    """
    torch.set_num_threads(2)
    scorer = PocketScorer("cpu", weights=weights)
    test = load(data, "test")
    videos, column = embed(scorer, test["frames"]), np.array([list(PAPER_TASKS).index(t) for t in test["task"]])
    rows = np.arange(len(videos))
    published = videos @ scorer.embed_text([words.prompt for words in PAPER_TASKS.values()]).T
    score, reworded = published[rows, column], (videos @ scorer.embed_text(list(PARAPHRASES.values())).T)[rows, column]

    report: dict[str, Any] = {}
    ring = np.isin(test["azimuth"], RING)
    for title, values, stage, other, view in (
        ("success / random", score, "success", "random", True),
        ("same, unseen azimuths", score, "success", "random", False),
        ("held / random", score, "held", "random", True),
        ("success / near", score, "success", "near", True),
        ("success / approach", score, "success", "approach", True),
        ("approach / random", score, "approach", "random", True),
        ("success / random, reworded prompt", reworded, "success", "random", True),
    ):
        per_task, replicate = task_aucs(test, values, stage, other, view)
        rng = np.random.default_rng(0)
        low, high = np.percentile([replicate(rng).mean() for _ in range(bootstraps)], [2.5, 97.5])
        report[title] = {"tasks": per_task.tolist(), "mean": float(per_task.mean()), "interval": [low, high]}

    print_table(report)
    for stage in ("random", "success", "any"):
        chosen = [ring & (test["task"] == task) & ((test["stage"] == stage) | (stage == "any")) for task in PAPER_TASKS]
        shares = [view_share(score[rows], test["azimuth"][rows]) for rows in chosen]
        report[f"view share, {stage}"] = shares
        print(f"score variance explained by the view, {stage} clips: {np.mean(shares):.2f}, {max(shares):.2f} at most")
    solved = ring & (test["stage"] == "success")
    report["top-1 prompt"] = float((published[solved].argmax(1) == column[solved]).mean())
    report["ms a clip"] = milliseconds_a_clip(scorer)
    print(f"successful clips whose own prompt scores highest of the ten: {report['top-1 prompt']:.3f}")
    print(f"{report['ms a clip']:.1f} ms a clip, batch of 16, {torch.get_num_threads()} threads")
    (data / "evaluation.json").write_text(json.dumps(report, indent=1))


if __name__ == "__main__":
    tyro.cli(main)
