"""What reward_quality.py compares: ways to learn from films, and schedules by which films are made."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from quality.films import LENGTH, STARTS, STEPS, TaskFilms, frames_filmed

from mvr_wrappers.clips import UNKNOWN, ScoredClip, clip_starts
from mvr_wrappers.settings import RelevanceSettings, merge
from mvr_wrappers.tasks.registry import get_task, shipped_file

TASKS = tuple(shipped_file().tasks)[:10]  # those of the paper


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
        clipwise: clips do not know their episodes, so that those held out overlap with those trained on.
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

    @property
    def training(self) -> Arm:
        """What f depends on: arms of equal training differ in what they make of it."""
        return replace(self, baseline="none", stale=False, relevance=replace(self.relevance, per_episode=None))

    def costs(self, films: TaskFilms) -> tuple[float, float]:
        """Returns what filming and scoring cost for 10,000 env steps, in seconds of CPU."""
        videos = 10_000 / STEPS / self.film_every * (films.scores.shape[2] if self.views == "all" else 1)
        clips = len(clip_starts(STEPS + 1, LENGTH, self.stride))
        frames = frames_filmed(self.stride) * float(films.frame_seconds)
        return videos * frames, videos * clips * float(films.video_seconds)


OPTIONS: dict[str, dict[str, Any]] = {  # one option of the method at a time
    "baseline parity": {"baseline": "parity"},
    "held out by clip": {"clipwise": True},
    "states unbounded": {"relevance": {"state_bound": None}},
    **{f"states bounded at {bound}": {"relevance": {"state_bound": bound}} for bound in (3, 10)},
    "features constant below 1e-6": {"relevance": {"constant": 1e-6}},
    "pairs across views": {"views": "all", "crossed": True},
    "any clips as references": {"relevance": {"per_episode": None}},
    "one clip of an episode as reference": {"relevance": {"per_episode": 1}},
    "references of the last update": {"stale": True},
    "d of length 22.6": {"relevance": {"direction_length": 22.6}},
}
BEFORE: dict[str, Any] = {  # all that is old, with the schedule of the demo then
    **{"baseline": "parity", "clipwise": True, "stale": True, "views": "random", "film_every": 3, "stride": 16},
    "update_every": 4_000,
    "relevance": {
        **{
            "constant": 1e-6,
            "state_bound": None,
            "per_episode": None,
            "direction_length": 22.6,
            "keep": "best",
            "holdout": 0.05,
        },
        **{"states_per_clip": 8, "clips": 64, "steps_per_epoch": 50, "max_steps": 200, "patience": 3},
    },
}
SCHEDULES: dict[str, dict[str, Any]] = {
    **{f"1 film of {k}": {"film_every": k} for k in (1, 3, 9)},
    **{f"views: {views}": {"views": views} for views in ("random", "turns", "all")},
    **{f"stride {stride}": {"stride": stride} for stride in (16, 32, 64)},
    **{f"update every {steps:,}": {"update_every": steps} for steps in (2_000, 4_000)},
    **{f"{steps} steps an update": {"relevance": {"max_steps": steps}} for steps in (50, 100, 200)},
    **{f"keep {keep}": {"relevance": {"keep": keep}} for keep in ("best", "last")},
    "64 clips of 8 states a step": {"relevance": {"clips": 64, "states_per_clip": 8}},
}
ARMS: dict[str, dict[str, Any]] = {"default": {}, "before": BEFORE, **OPTIONS, **SCHEDULES}


def films_made(films: TaskFilms, arm: Arm, rng: np.random.Generator) -> list[list[ScoredClip]]:
    """Returns the clips of each episode, none where the arm does not film it."""
    everything = np.arange(films.scores.shape[2])
    made: list[list[ScoredClip]] = [[] for _ in films.states]
    for turn, episode in enumerate(range(0, len(films.states), arm.film_every)):
        one = {"random": rng.choice(everything, 1), "turns": everything[[turn % len(everything)]]}
        views = one.get(arm.views, everything)
        for start in clip_starts(STEPS + 1, LENGTH, arm.stride):
            states, number = films.states[episode, start : start + LENGTH], STARTS.index(start)
            scores, embeddings = films.scores[episode, number], films.embeddings[episode, number]
            for seen in views[:, None] if arm.crossed else [views]:
                known = UNKNOWN if arm.clipwise else episode
                made[episode].append(ScoredClip(states, seen, scores[seen], embeddings[seen], episode=known))
    return made
