"""Which options of the relevance model pay? Measured on synthetic clips whose true relevance is known.

    OMP_NUM_THREADS=1 python benchmarks/relevance_options.py [seeds] [table ...] [--result FILE]

prints tables in Markdown, all of them or those named:

- options: 35 episodes in 29 clips each; noise is a third of the variance of the scores within a view.
- view: the same where the view explains 55% of the variance of the scores and not 21%; these are the extremes met on
  Meta-World. What the view may change alone.
- episodes: 100 episodes in 29 clips each; three quarters of the variance within a view are noise, nine tenths of which
  are common to all clips of an episode. Learning a clip by heart helps with its neighbours, and only there.
- few: 4 to 100 episodes in 15 clips each, half noise, half of that common to an episode.
- views: the same number of videos, one of each clip or four of a quarter of the clips; and four of all clips.
- sizes: how many clips and states a step takes.

Every row changes one option, and trains once from scratch. Columns, where "unseen" are 60 episodes, 4 clips of each,
never seen in training:

- reported: the pair accuracy on the clips held out, as users read it; unseen scores: what it claims to be.
- clip pairs, state pairs: share of the pairs of unseen clips or states that f orders as the truth does.
- unseen loss: the matching loss on unseen clips, in nats.
- best clips: share of all clips that the average reference clip truly beats; and how many episodes these are of.
- untrained: runs that left the weights they began with.

Differences are paired, against the first row, with standard errors.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from functools import lru_cache, partial
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import torch
from numpy.typing import NDArray
from synthetic_clips import VIEWS, Films, Setup, World

from mvr_agents.runs.provenance import made_with
from mvr_wrappers.clips import UNKNOWN, ScoredClip
from mvr_wrappers.relevance import ClipDataset, ReferenceSet, RelevanceTrainer
from mvr_wrappers.relevance.dataset import ClipBatch
from mvr_wrappers.relevance.losses import matching_loss
from mvr_wrappers.settings import RelevanceSettings

UNSEEN, UNSEEN_STRIDE = 60, 145  # 4 clips an episode, which do not overlap
SCORINGS = 5  # the clips arrive in so many parts
HELD_OUT_CLIPS = "mvr_wrappers.relevance.holdout.PER_EPISODE"


class AcrossViews(ClipDataset):
    """A random view of each clip, whichever the other of a pair has: what was done before views were averaged."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._rng = np.random.default_rng(0)

    def _batch(self, states: Any, views: Any, scores: Any, embeddings: Any) -> ClipBatch:
        rows, chosen = np.arange(len(views)), self._rng.integers(views.shape[1], size=len(views))
        psi = (scores - self.view_offsets[views])[rows, chosen]
        return ClipBatch(states, psi.astype(np.float32), embeddings[rows, chosen][:, None])


class NothingLost(ClipDataset):
    """Trains on the clips of held-out episodes as well: early stopping and accuracy then mean nothing."""

    def add(self, clips: Sequence[ScoredClip]) -> None:
        """Takes in scored clips, each scoring with all clips of its episodes."""
        super().add(clips)
        trained = set(self._train.filled()["episode"].tolist())
        for clip in clips:
            if clip.episode not in trained:
                self._train.put(self._next, clip)
                self._next += 1


class MayKeepFirst(RelevanceTrainer):
    """A first update may leave the weights it began with, as every later one may."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.total_steps = 1


class ByAccuracy(RelevanceTrainer):
    """Stops by the pair accuracy, not the loss; a little of the loss tells equals apart."""

    def _evaluate(self, *args: Any) -> tuple[float, float]:
        loss, accuracy = super()._evaluate(*args)
        return 1e-3 * loss - accuracy, accuracy


def without_episodes(clips: Sequence[ScoredClip]) -> list[ScoredClip]:
    """Returns clips of unknown episode: they are held out one by one."""
    return [replace(clip, episode=UNKNOWN) for clip in clips]


@dataclass(frozen=True, slots=True)
class Variant:
    """What differs from the defaults.

    Attributes:
        changes: fields of `RelevanceSettings`.
        setup: fields of `Setup`.
        dataset: what clips are kept in.
        known_as: what the dataset is told about them.
        held_out: clips kept of each held-out episode.
        trainer: what trains.
    """

    changes: dict[str, Any] = field(default_factory=dict)
    setup: dict[str, Any] = field(default_factory=dict)
    dataset: type[ClipDataset] = ClipDataset
    known_as: Callable[[Sequence[ScoredClip]], Sequence[ScoredClip]] = list
    held_out: int | None = None
    trainer: type[RelevanceTrainer] = RelevanceTrainer


def changing(*options: tuple[str, Any]) -> dict[str, Variant]:
    """Returns a variant for each option and value, named after them."""
    return {f"{name}={value}": Variant({name: value}) for name, value in options}


DEFAULT = {"default": Variant()}
LONG = {"patience": 5, "steps_per_epoch": 50, "max_steps": 1_000}
LONGER = {**changing(("patience", 5)), "patience=5, steps_per_epoch=50, max_steps=1000": Variant(LONG)}
STOPPING = {
    "held out clip by clip": Variant(known_as=without_episodes),
    "1 clip of a held-out episode": Variant(held_out=1),
    "5 clips of a held-out episode": Variant(held_out=5),
    **changing(("holdout", 0.4), ("keep", "last"), ("max_steps", 150), ("max_steps", 1_000)),
    **LONGER,
    "the same, held out clip by clip": Variant(LONG, known_as=without_episodes),
}
OPTIONS = {
    **DEFAULT,
    **changing(("state_bound", None), ("state_bound", 10.0), ("state_bound", 3.0), ("standardise", False)),
    **changing(("constant", 0.0)),
    **changing(("direction_length", 0.3), ("direction_length", 1.45), ("direction_length", 22.6)),
    **changing(("averaging", 0.0), ("objective", "direct"), ("representation_weight", 0.0)),
    **changing(("center_views", False), ("per_episode", None), ("per_episode", 1)),
    "5 clips of a held-out episode": Variant(held_out=5),
    **LONGER,
}
EPISODES = {
    **{name: OPTIONS[name] for name in ("default", "averaging=0.0", "objective=direct", "direction_length=22.6")},
    **{name: OPTIONS[name] for name in ("per_episode=None", "per_episode=1")},
    **STOPPING,
}
FEW = {
    **DEFAULT,
    **changing(("keep", "last")),
    "all trained on, keep=last": Variant({"keep": "last"}, dataset=NothingLost),
    "may keep the weights it began with": Variant(trainer=MayKeepFirst),
    "5 clips of a held-out episode": Variant(held_out=5),
    "stopped by pair accuracy": Variant(trainer=ByAccuracy),
    **LONGER,
}
FOUR = {"views": VIEWS}
VIEW_ROWS = {
    "one view of 35 episodes": Variant(),
    "all views of 9 episodes, averaged": Variant(setup={**FOUR, "episodes": 9}),
    "all views of 9 episodes, pairs across views": Variant(setup={**FOUR, "episodes": 9}, dataset=AcrossViews),
    "all views of 35 episodes, averaged": Variant(setup=FOUR),
    "all views of 35 episodes, pairs across views": Variant(setup=FOUR, dataset=AcrossViews),
}
SIZES = {
    **DEFAULT,
    **changing(("clips", 16), ("clips", 64), ("clips", 128), ("clips", 512)),
    **changing(("states_per_clip", 2), ("states_per_clip", 8), ("states_per_clip", 16), ("states_per_clip", None)),
}
NOISY = Setup(episodes=100, noise_share=3 / 4, episode_share=9 / 10)
MIXED = Setup(stride=32, noise_share=1 / 2, episode_share=1 / 2)
VIEW_OPTIONS = {name: OPTIONS[name] for name in ("default", "center_views=False")}
TABLES: dict[str, dict[str, tuple[Setup, dict[str, Variant]]]] = {
    "options": {"35 episodes, noise of each clip": (Setup(), OPTIONS)},
    "view": {"The view explains 55% of the score variance": (Setup(view_share=0.55), VIEW_OPTIONS)},
    "episodes": {"100 episodes, most noise common to an episode": (NOISY, EPISODES)},
    "few": {f"{count} episodes": (replace(MIXED, episodes=count), FEW) for count in (4, 8, 12, 20, 40, 100)},
    "views": {
        "noise of each clip": (Setup(), VIEW_ROWS),
        "half noise, half of it common to an episode": (replace(MIXED, stride=16), VIEW_ROWS),
    },
    "sizes": {"35 episodes, noise of each clip": (Setup(), SIZES)},
}


def agreement(found: NDArray[np.floating], truth: NDArray[np.floating]) -> float:
    """Share of all pairs that `found` orders as `truth` does."""
    i, j = np.triu_indices(len(truth), 1)
    return float(((found[i] > found[j]) == (truth[i] > truth[j])).mean())


def unseen_loss(f: NDArray[np.floating], scores: NDArray[np.floating], settings: RelevanceSettings) -> float:
    """Returns the matching loss over all pairs of clips."""
    i, j = np.triu_indices(len(f), 1)
    a, b, c, d = (torch.from_numpy(np.asarray(part, np.float32)) for part in (f[i], f[j], scores[i], scores[j]))
    return float(matching_loss(a, b, c, d, settings.tau, settings.beta))


@lru_cache(maxsize=8)
def filmed(setup: Setup, seed: int) -> tuple[Films, Films]:
    """Returns the clips to learn from, and those of unseen episodes."""
    rng = np.random.default_rng(seed)
    world = World.draw(rng, setup)
    return world.film(rng, setup.episodes, setup.stride), world.film(rng, UNSEEN, UNSEEN_STRIDE)


def measure(variant: Variant, setup: Setup, seed: int) -> dict[str, float]:
    """Trains once and compares with the truth on episodes never seen."""
    settings = replace(RelevanceSettings(), **variant.changes)
    setup = replace(setup, **variant.setup)
    films, test = filmed(setup, seed)
    rng = np.random.default_rng([seed, 1])
    dataset = variant.dataset(settings.capacity, rng, holdout=settings.holdout, center_views=settings.center_views)
    references = ReferenceSet(settings.references, settings.per_episode)
    with nullcontext() if variant.held_out is None else mock.patch(HELD_OUT_CLIPS, variant.held_out):
        for part in np.array_split(np.arange(setup.episodes), min(SCORINGS, setup.episodes // 2)):
            clips = [clip for clip in films.clips if clip.episode in part]
            dataset.add(variant.known_as(clips))
            references.offer(clips, dataset.view_offsets)
    trainer = variant.trainer(settings, np.random.default_rng(seed))
    begun = time.process_time()
    report = trainer.update(dataset)
    seconds = time.process_time() - begun
    assert trainer.model is not None  # it has had clips to learn from
    f = trainer.model.relevance(np.stack([clip.states for clip in test.clips]))
    every = slice(None, None, 17)  # states of all episodes and times, few enough to pair
    best = {states.tobytes() for states in references.states}
    chosen = [number for number, clip in enumerate(films.clips) if clip.states.tobytes() in best]
    return {
        "reported": report.pair_accuracy,
        "unseen scores": agreement(f.mean(axis=1), test.scores),
        "clip pairs": agreement(f.mean(axis=1), test.truth),
        "state pairs": agreement(f.ravel()[every], test.relevances.ravel()[every]),
        "unseen loss": unseen_loss(f.mean(axis=1), test.scores, settings),
        "best clips": float(np.mean(films.truth < films.truth[chosen].mean())),
        "of episodes": len({films.clips[number].episode for number in chosen}),
        "untrained": report.held_out_after == report.held_out_before,
        "steps": report.steps,
        "CPU s": seconds,
    }


PERCENT = ("reported", "unseen scores", "clip pairs", "state pairs", "best clips")
COMPARED = {"clip pairs": 100.0, "state pairs": 100.0, "unseen loss": 1.0}


def row(column: dict[str, NDArray[np.float64]], first: dict[str, NDArray[np.float64]]) -> Iterator[str]:
    """Yields the cells of a row: means, and paired differences from the first row with their standard errors."""
    for key, values in column.items():
        mean = float(values.mean())
        if key in PERCENT:
            yield f"{mean:.1%}"
        elif key == "untrained":
            yield f"{values.sum():.0f} of {len(values)}"
        else:
            yield f"{mean:.3f}" if key == "unseen loss" else f"{mean:.1f}" if key == "CPU s" else f"{mean:.0f}"
        if key in COMPARED:
            gain = COMPARED[key] * (values - first[key])
            error = gain.std(ddof=1) / np.sqrt(len(gain)) if len(gain) > 1 else float("nan")
            digits = 1 if key in PERCENT else 3
            yield "" if column is first else f"{gain.mean():+.{digits}f} ± {error:.{digits}f}"


def heading(keys: Sequence[str]) -> str:
    """Returns the first two lines of a table."""
    names = [name for key in keys for name in ((key, "difference") if key in COMPARED else (key,))]
    return f"| options | {' | '.join(names)} |\n" + "| --- " * (len(names) + 1) + "|"


def table(setup: Setup, variants: dict[str, Variant], seeds: int) -> Iterator[str]:
    """Yields the lines of a table as they are measured."""
    first: dict[str, NDArray[np.float64]] = {}
    for name, variant in variants.items():
        runs = list(map(partial(measure, variant, setup), range(seeds)))
        column = {key: np.array([run[key] for run in runs], np.float64) for key in runs[0]}
        if not first:
            yield heading(list(column))
        first = first or column
        yield f"| {name} | {' | '.join(row(column, first))} |"


def main() -> None:
    """Prints the tables, and adds them to a file if one is given."""
    parser = argparse.ArgumentParser()
    parser.add_argument("seeds", type=int, nargs="?", default=4)
    parser.add_argument("tables", nargs="*", metavar="table", help=f"of {', '.join(TABLES)}; all if none is named")
    parser.add_argument("--result", type=Path, help="file to add to besides")
    args = parser.parse_args()
    lines = [f"{made_with()}; {args.seeds} seeds"]
    print(lines[0])
    for name in args.tables or TABLES:
        for title, (setup, variants) in TABLES[name].items():
            lines.append(f"\n## {name}: {title}\n")
            print(lines[-1])
            for line in table(setup, variants, args.seeds):
                print(line, flush=True)
                lines.append(line)
    if args.result:
        with args.result.open("a", encoding="utf-8") as file:
            file.write("\n".join(lines) + "\n\n")


if __name__ == "__main__":
    main()
