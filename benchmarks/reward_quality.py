"""Does the learned reward know the task? On the ten Meta-World tasks of the paper, as tables in Markdown.

    OMP_NUM_THREADS=1 python benchmarks/reward_quality.py                           # all of it, about half an hour
    OMP_NUM_THREADS=1 python benchmarks/reward_quality.py --arms default before --tasks faucet-close-v3 --cache films

Films are those of reward_quality_data.py: an agent that learns is imitated, by random actions first and by the scripted
policy with falling noise later. Every arm sees the same films, or the part of them that its schedule would have made,
and updates its relevance model as a run would. After each update it is judged on scripted and random episodes never
seen, with the simulator's truth, of which the reward has seen nothing:

- rank: Spearman's correlation of f with the time of a scripted episode up to its first success, mean over five. A
  solver that never turns back makes progress with time; Meta-World's dense rewards are no such clock: many of them fall
  while the gripper approaches, or jump at the grasp;
- AUC: chance that f of a state of success exceeds f of a random episode's state, which is not one of success;
- mean r_vlm of states at the start, at the first contact (the object moves), at success and in random episodes;
- success is punished less than the start: whether the mean r_vlm of success is at least that of the start.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from reward_quality_data import FRAMES, LENGTH, STARTS, STEPS, TaskFilms, films_of, frames_filmed

from mvr_agents.runs.provenance import made_with
from mvr_wrappers.clips import ScoredClip, clip_starts
from mvr_wrappers.relevance import ClipDataset, ReferenceSet, RelevanceTrainer
from mvr_wrappers.settings import RelevanceSettings, merge
from mvr_wrappers.snapshot import reward_table
from mvr_wrappers.tasks.registry import get_task, shipped_file

EPISODES = 100
TASKS = tuple(shipped_file().tasks)[:10]  # those of the paper
STATES = 10  # judged at the start and from success on
CONTACT = 5  # judged from the first contact on

Row = dict[str, float]


@dataclass(frozen=True, slots=True)
class Arm:
    """What is learned from which films.

    Attributes:
        relevance: how f is learned.
        baseline: what of the reward is taken to be 0.
        film_every: one episode of so many is filmed.
        views: of a filmed episode.
        stride: states between the starts of its clips.
        update_every: env steps between two updates.
        clipwise: clips do not know their episodes, so that the held-out ones overlap with those trained on.
        crossed: each view is a clip of its own, so that pairs compare views.
        stale: the references in use are those of the last update.
    """

    relevance: RelevanceSettings
    baseline: Literal["reference", "parity", "none"]
    film_every: int
    views: Literal["random", "turns", "all"]
    stride: int
    update_every: int
    clipwise: bool = False
    crossed: bool = False
    stale: bool = False

    @classmethod
    def of_preset(cls, preset: str) -> Arm:
        """Returns what a preset does."""
        spec = get_task(TASKS[0], preset=preset)
        clip = spec.clip
        return cls(
            *(spec.relevance, spec.reward.baseline, clip.film_every, clip.views, clip.stride),
            update_every=spec.schedule.update_every,
        )

    def changed(self, changes: Mapping[str, Any]) -> Arm:
        """Returns the arm with other values; those of `relevance` as a mapping of what changes in it."""
        relevance = merge(self.relevance, changes.get("relevance"), "relevance")
        return replace(self, **{**changes, "relevance": relevance})


OLD: dict[str, dict[str, Any]] = {  # one option of the method turned back at a time
    "baseline parity": {"baseline": "parity"},
    "clips held out": {"clipwise": True},
    "states unbounded": {"relevance": {"state_bound": None}},
    "pairs across views": {"crossed": True},
    "any clips as references": {"relevance": {"per_episode": None}},
    "references of the last update": {"stale": True},
    "one view at random": {"views": "random"},
}
BEFORE: dict[str, Any] = {
    **{"baseline": "parity", "clipwise": True, "stale": True, "views": "random", "film_every": 3, "stride": 16},
    **{"update_every": 4_000, "relevance": {"state_bound": None, "per_episode": None, "max_steps": 200, "patience": 3}},
}
SCHEDULES: dict[str, dict[str, Any]] = {
    **{f"1 film of {k}": {"film_every": k} for k in (1, 3, 9)},
    **{f"views: {views}": {"views": views} for views in ("random", "turns", "all")},
    **{f"stride {stride}": {"stride": stride} for stride in (16, 32, 64)},
    **{f"update every {steps}": {"update_every": steps} for steps in (2_000, 4_000)},
    **{f"{steps} steps an update": {"relevance": {"max_steps": steps}} for steps in (100, 200, 400, 1_000)},
}
ARMS: dict[str, dict[str, Any]] = {"default": {}, "before": BEFORE, **OLD, **SCHEDULES}


def chosen(films: TaskFilms, arm: Arm, seed: int) -> Iterator[tuple[int, list[ScoredClip]]]:
    """Yields the filmed episodes of an arm, in order: their numbers and clips."""
    rng = np.random.default_rng(seed)
    starts = clip_starts(STEPS + 1, LENGTH, arm.stride)
    everything = np.arange(films.scores.shape[2])
    for turn, episode in enumerate(range(0, len(films.states), arm.film_every)):
        one = {"random": rng.choice(everything, 1), "turns": everything[[turn % len(everything)]]}
        views = one.get(arm.views, everything)
        clips = []
        for start in starts:
            scored = films.scores[episode, STARTS.index(start)], films.embeddings[episode, STARTS.index(start)]
            for seen in views[:, None] if arm.crossed else [views]:
                states = films.states[episode, start : start + LENGTH]
                rows = (part[seen] for part in scored)
                clips.append(ScoredClip(states, seen, *rows, episode=-1 if arm.clipwise else episode))
        yield episode, clips


def learn(films: TaskFilms, arm: Arm, seed: int) -> Iterator[Row]:
    """Learns from a run's films; yields what came out at each update, and what it cost."""
    holdout_rng, training_rng = np.random.default_rng([seed, 0]), np.random.default_rng([seed, 1])
    settings = arm.relevance
    dataset = ClipDataset(
        settings.capacity, holdout_rng, holdout=settings.holdout, center_views=settings.center_views
    )
    references = ReferenceSet(settings.references, settings.per_episode)
    trainer = RelevanceTrainer(settings, training_rng)
    table, due, late = None, 0, {}
    films_made = [*chosen(films, arm, seed)]
    for end in range(arm.update_every // STEPS, len(films.states) + 1, arm.update_every // STEPS):
        fresh = [clip for episode, clips in films_made if due <= episode < end for clip in clips]
        due = end
        dataset.add(fresh)
        references.offer(fresh, dataset.view_offsets)
        if trainer.model is not None and table is not None:
            if not arm.stale:
                table = _table(references, trainer, arm)
            late = {f"late {name}": value for name, value in judge(trainer.model, table, films).items()}
        begun = time.process_time()
        report = trainer.update(dataset)
        seconds = time.process_time() - begun
        if trainer.model is None:
            continue
        table = _table(references, trainer, arm)
        yield {
            **{"episode": end, "steps": report.steps, "update": seconds, "accuracy": report.pair_accuracy},
            **judge(trainer.model, table, films),
            **late,
        }


def _table(references: ReferenceSet, trainer: RelevanceTrainer, arm: Arm) -> NDArray[np.float32]:
    assert trainer.model is not None
    return reward_table(references.relevances(trainer.model), arm.relevance.tau, baseline=arm.baseline)


def judge(model: Any, table: NDArray[np.float32], films: TaskFilms) -> Row:
    """Compares f and r_vlm with the truth on episodes never seen."""
    f = model.relevance(films.scripted)
    aimless = model.relevance(films.random)
    parts = {
        "start": f[:, :STATES].ravel(),
        "contact": _from(f, films.touched, CONTACT),
        "success": _from(f, films.solved, STATES),
        "random": aimless,
    }
    knots = np.linspace(-1, 1, len(table))
    return {
        "rank": float(np.mean([rank(one[: end + 1]) for one, end in zip(f, films.solved, strict=True)])),
        "auc": float((parts["success"][:, None] > aimless).mean()),
        **{name: float(np.interp(values, knots, table).mean()) for name, values in parts.items()},
    }


def _from(f: NDArray[np.float32], first: NDArray[np.int64], count: int) -> NDArray[np.float32]:
    """Returns f of `count` states of each episode, from `first` on."""
    return np.concatenate([one[begin : begin + count] for one, begin in zip(f, first, strict=True)])


def rank(values: NDArray[np.floating]) -> float:
    """Returns Spearman's correlation of a series, without ties, with time."""
    return float(np.corrcoef(values.argsort().argsort(), np.arange(len(values)))[0, 1])
