"""Does the learned reward know the task? On the ten Meta-World tasks of the paper, as tables in Markdown.

    OMP_NUM_THREADS=1 python benchmarks/reward_quality.py                           # all of it, about half an hour
    OMP_NUM_THREADS=1 python benchmarks/reward_quality.py --arms default before --tasks faucet-close-v3 --cache films

Films are those of quality/films.py: an agent that learns is imitated, by random actions first and by the scripted
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
import itertools
import math
import tempfile
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any, get_args

import numpy as np
import torch
from numpy.typing import NDArray
from quality.arms import ARMS, TASKS, Arm, films_made
from quality.films import STEPS, Shown, TaskFilms, films_of

from mvr_agents.runs.provenance import made_with
from mvr_wrappers.clips import ScoredClip
from mvr_wrappers.relevance import ClipDataset, ReferenceSet, RelevanceTrainer
from mvr_wrappers.snapshot import reward_table

EPISODES = 100
STATES = 10  # judged at the start and from success on
CONTACT = 5  # judged from the first contact on
EARLY = 30  # episodes after which the imitated agent has met success hardly ever

Row = dict[str, Any]
Table = NDArray[np.float32]


def main() -> None:
    """Prints the tables."""
    args = read_arguments()
    origin, begun = made_with("metaworld"), time.perf_counter()
    named: dict[Arm, str] = {}
    for name in args.arms:
        named.setdefault(Arm.of_preset(args.preset).changed(ARMS[name]), name)  # of equals the first gives the name
    arms = {name: arm for arm, name in named.items()}
    with tempfile.TemporaryDirectory() as folder:
        cache = args.cache or Path(folder)
        work = partial(learn_task, arms=arms, seeds=args.seeds, shown=args.shown, cache=cache)
        with ProcessPoolExecutor(args.jobs, get_context("spawn")) as pool:
            rows = list(itertools.chain.from_iterable(pool.map(work, args.tasks)))
    print(f"{origin}\n\n{len(args.tasks)} tasks, {args.seeds} seeds, {(time.perf_counter() - begun) / 60:.0f} minutes")
    print(f"\nThe first arm: {next(iter(named))}")
    print_arms(rows, list(arms))
    for name in [name for name in ("default", "before") if name in arms]:
        print_tasks(name, [row for row in rows if row["arm"] == name])


def read_arguments() -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description="Does the learned reward know the task?")
    parser.add_argument("--arms", nargs="+", choices=ARMS, default=list(ARMS))
    parser.add_argument("--tasks", nargs="+", default=TASKS)
    parser.add_argument("--preset", default="demo", help="what the default does")
    parser.add_argument("--shown", choices=get_args(Shown), default="all", help="learn from the films that show this")
    parser.add_argument("--seeds", type=int, default=2, help="trainings of each arm on a task's films")
    parser.add_argument("--jobs", type=int, default=2, help="processes")
    parser.add_argument("--cache", type=Path, help="folder that keeps the films")
    return parser.parse_args()


def learn_task(task: str, arms: Mapping[str, Arm], seeds: int, shown: Shown, cache: Path) -> list[Row]:
    """Returns the rows of all arms on one task."""
    torch.set_num_threads(1)
    films = films_of(task, EPISODES, 0, cache).showing(shown)
    early, everything = view_share(films.scores[:EARLY]), view_share(films.scores)
    shares = {"view share, early": early, "view share, all": everything}
    groups: dict[Arm, dict[str, Arm]] = {}
    for name, arm in arms.items():
        groups.setdefault(arm.training, {})[name] = arm
    rows = []
    for seed, group in itertools.product(range(seeds), groups.values()):
        for row in learn(films, group, seed):
            filming, scoring = arms[row["arm"]].costs(films)
            costs = {"filming": filming, "scoring": scoring, **shares}
            rows.append({"task": task, "seed": seed, **costs, **row})
    return rows


def view_share(scores: NDArray[np.float32]) -> float:
    """Returns the share of the variance of scores (E, C, V) that the view explains."""
    return float(scores.mean(axis=(0, 1)).var() / scores.var())


class Reading:
    """What an arm makes of a model: its references and the table of r_vlm.

    Args:
        name: of the arm.
        arm: what it is.
    """

    def __init__(self, name: str, arm: Arm) -> None:
        self.name, self._arm = name, arm
        self._references = ReferenceSet(arm.relevance.references, arm.relevance.per_episode)
        self._table: Table | None = None

    def offer(self, clips: list[ScoredClip], offsets: NDArray[np.float64], model: Any, films: TaskFilms) -> float:
        """Takes newly scored clips; returns the mean r_vlm of success before the next update, NaN at the first."""
        self._references.offer(clips, offsets)
        if model is None or self._table is None:
            return math.nan
        table = self._table if self._arm.stale else self.table_for(model)
        return float(judge(model, table, films)["success"])

    def table_for(self, model: Any) -> Table:
        """Makes the table anew and returns it."""
        relevances = self._references.relevances(model)
        self._table = reward_table(relevances, self._arm.relevance.tau, baseline=self._arm.baseline)
        return self._table


def learn(films: TaskFilms, arms: Mapping[str, Arm], seed: int) -> Iterator[Row]:
    """Learns as a run would and yields, for each update and each of some arms of equal training, what came out."""
    training = next(iter(arms.values()))
    settings = training.relevance
    rngs = [np.random.default_rng(part) for part in np.random.SeedSequence(seed).spawn(3)]
    dataset = ClipDataset(settings.capacity, rngs[0], holdout=settings.holdout, center_views=settings.center_views)
    trainer = RelevanceTrainer(settings, rngs[1])
    readings = [Reading(name, arm) for name, arm in arms.items()]
    made, interval = films_made(films, training, rngs[2]), training.update_every // STEPS
    for first in range(0, len(made), interval):
        end = min(first + interval, len(made))
        fresh = list(itertools.chain.from_iterable(made[first:end]))
        dataset.add(fresh)
        late = [reading.offer(fresh, dataset.view_offsets, trainer.model, films) for reading in readings]
        begun = time.process_time()
        report = trainer.update(dataset)
        seconds = time.process_time() - begun
        if trainer.model is None:
            continue
        for reading, before in zip(readings, late, strict=True):
            row = {"arm": reading.name, "episode": end, "steps": report.steps, "update": seconds, "late": before}
            yield {**row, **judge(trainer.model, reading.table_for(trainer.model), films)}


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


def print_arms(rows: list[Row], arms: list[str]) -> None:
    """Prints a row for each arm: means over tasks and seeds, of the last update unless said otherwise."""
    columns = [
        *("arm", "rank", "sd of tasks", "against the first", "rank over the run", "AUC", "start", "contact", "success"),
        *("random", "tasks with success >= start", "contact - start, early", "success, before an update", "steps"),
        *("CPU s: filming", "scoring", "updates"),
    ]
    print("\n| " + " | ".join(columns) + " |\n" + "| --- " * len(columns) + "|")
    first: NDArray[np.float64] | None = None
    for name in arms:
        own = [row for row in rows if row["arm"] == name]
        last = last_rows(own)
        ranks = by_task(last, "rank")
        first = ranks if first is None else first
        gain = ranks - first
        error = gain.std(ddof=1) / math.sqrt(len(gain)) if len(gain) > 1 else math.nan
        kept = by_task(last, "success") >= by_task(last, "start")
        early = [row["contact"] - row["start"] for row in own if row["episode"] <= EARLY]
        per_10k = 10_000 / (last[0]["episode"] * STEPS) / len(last)
        cells = [f"{ranks.mean():.2f}", f"{ranks.std():.2f}", f"{gain.mean():+.2f} ± {error:.2f}"]
        cells.append(f"{mean(own, 'rank'):.2f}")
        cells += [f"{mean(last, key):.2f}" for key in ("auc", "start", "contact", "success", "random")]
        cells += [f"{kept.sum()} of {len(kept)}", f"{np.mean(early):+.2f}", f"{mean(own, 'late'):.2f}"]
        cells += [f"{per_10k * sum(row['steps'] for row in own):.0f}", f"{mean(last, 'filming'):.0f}"]
        cells += [f"{mean(last, 'scoring'):.0f}", f"{per_10k * sum(row['update'] for row in own):.0f}"]
        print(f"| {name} | " + " | ".join(cells) + " |")


def print_tasks(name: str, rows: list[Row]) -> None:
    """Prints a row for each task: means over the seeds, after the last update."""
    columns = ("view share, early", "view share, all", "auc", "start", "contact", "success", "random")
    titles = ("task", "rank", "of the worst seed", "over the run", *columns)
    print(f"\nThe arm {name} by task\n\n| " + " | ".join(titles) + " |\n" + "| --- " * len(titles) + "|")
    for task in dict.fromkeys(row["task"] for row in rows):
        own = [row for row in rows if row["task"] == task]
        last = last_rows(own)
        cells = [mean(last, "rank"), min(row["rank"] for row in last), mean(own, "rank")]
        cells += [mean(last, key) for key in columns]
        print(f"| {task} | " + " | ".join(f"{cell:.2f}" for cell in cells) + " |")


def last_rows(rows: list[Row]) -> list[Row]:
    """Returns the rows of the last update of each task and seed."""
    return list({(row["task"], row["seed"]): row for row in rows}.values())


def by_task(rows: list[Row], key: str) -> NDArray[np.float64]:
    """Returns the mean of a column for each task."""
    return np.array(
        [mean([r for r in rows if r["task"] == task], key) for task in dict.fromkeys(r["task"] for r in rows)]
    )


def mean(rows: list[Row], key: str) -> float:
    """Returns the mean of a column, NaN left out."""
    return float(np.nanmean([row[key] for row in rows]))


if __name__ == "__main__":
    main()
