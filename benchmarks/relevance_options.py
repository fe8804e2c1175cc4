"""Which options of the relevance model pay? Measured on synthetic clips whose true relevance is known.

    OMP_NUM_THREADS=1 python benchmarks/relevance_options.py [seeds]

prints one table in Markdown for each share of the score variance that the camera explains (21% and 55% are the range
met on Meta-World). Every row changes one default and trains once, from scratch, on 1,000 clips. Pairs are those of
episodes never seen, ordered by the true relevance, which the scores only hint at. "Best clips" is the share of all
clips that the average reference clip truly beats.

The data: smooth latent trajectories; the true relevance of a state is a bump around a goal in latent space. Observed
states are 39 functions of the latent, of scales from 0.01 to 10 and with offsets, as positions and velocities are. A
clip's score is its mean relevance + an offset of the view + noise (a third of the variance that is not the view's).
Each episode of 500 states is filmed from one random view, in clips of 64 states.
"""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mvr_agents.runs.provenance import made_with
from mvr_wrappers.clips import ScoredClip, clip_starts
from mvr_wrappers.relevance import ClipDataset, ReferenceSet, RelevanceTrainer
from mvr_wrappers.settings import RelevanceSettings

LATENT, STATE, EMBEDDING, VIEWS = 6, 39, 256, 4
EPISODE, LENGTH, STRIDE = 500, 64, 16
CLIPS, TEST_EPISODES = 1_000, 30
SCORE_STD = 0.03  # of scores within one view: cosines of ViCLIP spread about so
NOISE_SHARE = 1 / 3
VIEW_SHARES = (0.21, 0.55)

VARIANTS: dict[str, dict[str, Any]] = {
    "default": {},
    "center_views=False": {"center_views": False},
    "standardise=False": {"standardise": False},
    "averaging=0": {"averaging": 0.0},
    "all three": {"center_views": False, "standardise": False, "averaging": 0.0},
    "states_per_clip=4": {"states_per_clip": 4},
    "states_per_clip=16": {"states_per_clip": 16},
    "states_per_clip=None": {"states_per_clip": None},
    "clips=32": {"clips": 32},
    "clips=128": {"clips": 128},
    "clips=512": {"clips": 512},
    "representation_weight=0": {"representation_weight": 0.0},
}


@dataclass(frozen=True, slots=True)
class World:
    """A synthetic task: how latents become states, relevance and videos."""

    goal: NDArray[np.float64]
    to_state: NDArray[np.float64]
    scale: NDArray[np.float64]
    offset: NDArray[np.float64]
    to_video: NDArray[np.float64]
    view_video: NDArray[np.float64]
    view_offsets: NDArray[np.float64]

    @classmethod
    def draw(cls, rng: np.random.Generator, view_share: float) -> World:
        """Draws a task in which the view explains `view_share` of the variance of the scores."""
        offsets = np.linspace(-1, 1, VIEWS)[rng.permutation(VIEWS)]
        offsets *= SCORE_STD * np.sqrt(view_share / (1 - view_share)) / offsets.std()
        return cls(
            goal=rng.normal(size=LATENT),
            to_state=rng.normal(size=(LATENT, STATE)),
            scale=10 ** rng.uniform(-2, 1, STATE),
            offset=rng.normal(size=STATE),
            to_video=rng.normal(size=(LATENT, EMBEDDING)),
            view_video=rng.normal(size=(VIEWS, EMBEDDING)) * 2,
            view_offsets=offsets,
        )

    def relevance(self, latents: NDArray[np.float64]) -> NDArray[np.float64]:
        """The truth the model has to find: (..., LATENT) -> (...), in [0, 1]."""
        return np.exp(-((latents - self.goal) ** 2).sum(-1) / (2 * LATENT))

    def states(self, latents: NDArray[np.float64]) -> NDArray[np.float32]:
        """What the simulator reports: (..., LATENT) -> (..., STATE)."""
        return ((np.tanh(latents @ self.to_state / 2) + self.offset) * self.scale).astype(np.float32)


def episodes(rng: np.random.Generator, count: int) -> NDArray[np.float64]:
    """Smooth latent trajectories of unit variance: (count, EPISODE, LATENT)."""
    keep = 0.98
    latents = np.empty((count, EPISODE, LATENT))
    latents[:, 0] = rng.normal(size=(count, LATENT))
    for t in range(1, EPISODE):
        latents[:, t] = keep * latents[:, t - 1] + np.sqrt(1 - keep**2) * rng.normal(size=(count, LATENT))
    return latents


def cut(trajectories: NDArray[np.float64]) -> NDArray[np.float64]:
    """All clips of all episodes, in order: (clips, LENGTH, LATENT)."""
    starts = clip_starts(EPISODE, LENGTH, STRIDE)
    return np.stack([episode[start : start + LENGTH] for episode in trajectories for start in starts])


def film(world: World, rng: np.random.Generator) -> tuple[list[ScoredClip], NDArray[np.float64]]:
    """Returns the scored clips to learn from, and the true relevance of each."""
    per_episode = len(clip_starts(EPISODE, LENGTH, STRIDE))
    count = -(-CLIPS // per_episode)
    latents = cut(episodes(rng, count))[:CLIPS]
    views = np.repeat(rng.permutation(np.arange(count) % VIEWS), per_episode)[:CLIPS]
    truth = world.relevance(latents).mean(1)
    signal = (truth - truth.mean()) / truth.std() * np.sqrt(1 - NOISE_SHARE)
    scores = 0.2 + world.view_offsets[views] + SCORE_STD * (signal + np.sqrt(NOISE_SHARE) * rng.normal(size=CLIPS))
    videos = latents.mean(1) @ world.to_video + world.view_video[views] + rng.normal(size=(CLIPS, EMBEDDING))
    videos /= np.linalg.norm(videos, axis=1, keepdims=True)
    rows = zip(
        *(world.states(latents), views[:, None], scores[:, None].astype(np.float32)),
        videos[:, None].astype(np.float32),
        strict=True,
    )
    return [ScoredClip(*row) for row in rows], truth


def agreement(found: NDArray[np.floating], truth: NDArray[np.floating]) -> float:
    """Share of all pairs that `found` orders as `truth` does."""
    i, j = np.triu_indices(len(truth), 1)
    return float(((found[i] > found[j]) == (truth[i] > truth[j])).mean())


def measure(settings: RelevanceSettings, view_share: float, seed: int) -> dict[str, float]:
    """Trains once and compares with the truth on episodes never seen."""
    rng = np.random.default_rng([seed, round(100 * view_share)])
    world = World.draw(rng, view_share)
    clips, truth = film(world, rng)
    test = cut(episodes(rng, TEST_EPISODES))
    dataset = ClipDataset(settings.capacity, rng, holdout=settings.holdout, center_views=settings.center_views)
    references = ReferenceSet(settings.references)
    for start in range(0, CLIPS, 200):
        dataset.add(clips[start : start + 200])
        references.offer(clips[start : start + 200], dataset.view_offsets)
    trainer = RelevanceTrainer(settings, np.random.default_rng(seed))
    begun = time.process_time()
    report = trainer.update(dataset)
    seconds = time.process_time() - begun
    assert trainer.model is not None  # it has had clips to learn from
    f = trainer.model.relevance(world.states(test))
    every = slice(None, None, 401)  # states of all episodes and times, few enough to pair
    best = {states.tobytes() for states in references.states}
    chosen = [t for clip, t in zip(clips, truth, strict=True) if clip.states.tobytes() in best]
    return {
        "clips": agreement(f.mean(1), world.relevance(test).mean(1)),
        "states": agreement(f.ravel()[every], world.relevance(test).ravel()[every]),
        "references": float(np.mean(truth < np.mean(chosen))),
        "steps": report.steps,
        "ms": 1e3 * seconds / report.steps,
        "cpu": seconds,
    }


def main(seeds: int = 4) -> None:
    """Prints the tables."""
    print(made_with())
    for view_share in VIEW_SHARES:
        print(f"\nThe view explains {view_share:.0%} of the score variance; {seeds} seeds\n")
        print(
            "| options | clip pairs right | against default | state pairs right | against default | best clips |",
            end="",
        )
        print(" steps | CPU ms/step | CPU s |\n" + "| --- " * 9 + "|")
        default: dict[str, NDArray[np.float64]] = {}
        for name, changes in VARIANTS.items():
            settings = replace(RelevanceSettings(), **changes)
            runs = [measure(settings, view_share, seed) for seed in range(seeds)]
            column = {key: np.array([run[key] for run in runs]) for key in runs[0]}
            default = default or column
            print(f"| {name} | {row(column, default)} |", flush=True)


def row(column: dict[str, NDArray[np.float64]], default: dict[str, NDArray[np.float64]]) -> str:
    """Formats one row: means, and paired differences from the default with their standard errors."""
    cells = []
    for key in ("clips", "states"):
        gain = 100 * (column[key] - default[key])
        error = gain.std(ddof=1) / np.sqrt(len(gain)) if len(gain) > 1 else float("nan")
        cells += [f"{column[key].mean():.1%}", "" if column is default else f"{gain.mean():+.1f} ± {error:.1f}"]
    cells.append(f"{column['references'].mean():.1%}")
    return " | ".join(
        [*cells, f"{column['steps'].mean():.0f}", f"{column['ms'].mean():.1f}", f"{column['cpu'].mean():.1f}"]
    )


if __name__ == "__main__":
    main(*(int(argument) for argument in sys.argv[1:]))
