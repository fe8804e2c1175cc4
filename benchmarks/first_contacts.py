"""Does the learned reward punish the first touch of an object? Five Meta-World tasks, scores made from the truth.

    OMP_NUM_THREADS=1 python benchmarks/first_contacts.py [--seeds 4] [--task ...] [--states ...] [--result FILE]

prints one table in Markdown. A reward is learned as early in a run: from 8 random episodes in which no object moves.
The score of a clip says how near the hand is to the object, plus noise (a third of the variance), so touching is the
best there is. Then the reward is judged along three episodes of the scripted policy, up to their success. Rows differ
in how states enter the network:

- bound: standardised states are clipped at so many deviations;
- floor: no deviation is smaller than a share of the feature's range, that of the observation space, or where it is
  infinite the widest range that any such feature has had;
- constant: features of a smaller deviation count as constant, which makes their deviation 1, as ever if it is 0; "and
  half the median": only if it is smaller than half the median deviation as well, whatever the units are;
- rare: features whose deviation is below that share of the median one of all that change are given the median;
- raw: states as they are.

Figures are medians over the seeds:

- largest input: standardised, before it is clipped, over all features and states of the scripted episodes;
- r_vlm over the first 10 states; at first contact, the 5 states since the object moved by 5 mm; from then to success;
  and of the states of the random episodes, with the standard baseline, with which the reference states earn 0;
- punished: seeds with which contact to success earns less than the start;
- order: Spearman's correlation of f with nearness over all those states; and over random episodes never seen.

Nothing is rendered. `TRAINING` holds what the defaults of training were, or less to save time, when the bound and the
limit of constancy were chosen by this table.
Needs the extra `metaworld`; takes about 15 minutes of one core.
"""

from __future__ import annotations

import argparse
import functools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray
from scipy.stats import spearmanr

from mvr_agents.runs.policies import random_policy, scripted_policy
from mvr_agents.runs.provenance import made_with
from mvr_wrappers import RewardSnapshot, get_task
from mvr_wrappers.clips import ScoredClip, clip_starts
from mvr_wrappers.envs.task_env import make_task_env
from mvr_wrappers.relevance import ClipDataset, ReferenceSet, RelevanceTrainer
from mvr_wrappers.relevance.moments import ROUNDING
from mvr_wrappers.settings import ClipSettings, RelevanceSettings, RewardSettings

TASKS = ("push-v3", "peg-unplug-side-v3", "stick-pull-v3", "faucet-close-v3", "window-close-v3")
FILMED, UNSEEN, SCRIPTED = 8, 4, 3  # episodes
SETTLED, MOVED = 10, 0.005  # after so many steps objects lie still; metres
HAND, OBJECT = slice(0, 3), slice(4, 7)  # of a Meta-World observation
SCORE_STD, NOISE_SHARE, EMBEDDING = 0.03, 1 / 3, 256
CLIP = ClipSettings()
TRAINING: dict[str, Any] = {
    **{"clips": 32, "states_per_clip": 8, "steps_per_epoch": 50, "patience": 5, "max_steps": 500},
}

Episode = NDArray[np.float32]  # (T, D)


Deviations = Callable[[NDArray[np.float64], NDArray[np.float64]], NDArray[np.float64]]
"""Deviations (D,) and ranges (D,) of the features -> the deviations to use."""


@dataclass(frozen=True, slots=True)
class Variant:
    """How states enter the network."""

    changes: dict[str, Any]
    deviations: Deviations = lambda std, ranges: std


def floor(share: float) -> Deviations:
    """No deviation is less than a share of the range."""
    return lambda std, ranges: np.maximum(std, share * ranges)


def constant(limit: float, share: float = np.inf) -> Deviations:
    """Deviations below `limit` and below a share of the median become 1."""
    return lambda std, ranges: np.where(std < min(limit, share * median(std)), 1.0, std)


def rare(share: float) -> Deviations:
    """Deviations below a share of the median become the median."""
    return lambda std, ranges: np.where(std < share * median(std), median(std), std)


def median(std: NDArray[np.float64]) -> float:
    """Returns the median deviation of the features that change; 1 is that of those that never did."""
    return float(np.median(std[std != 1.0]))


UNBOUNDED = {"state_bound": None}
VARIANTS = {
    "no bound": Variant(UNBOUNDED),
    "bound 10": Variant({"state_bound": 10.0}),
    "bound 5": Variant({"state_bound": 5.0}),
    "bound 3": Variant({"state_bound": 3.0}),
    "floor of 1%": Variant(UNBOUNDED, floor(0.01)),
    "floor of 5%": Variant(UNBOUNDED, floor(0.05)),
    "floor of 5%, bound 5": Variant({"state_bound": 5.0}, floor(0.05)),
    "constant below 0.01, bound 5": Variant({"state_bound": 5.0}, constant(0.01)),
    "constant below 0.01, bound 3": Variant({"state_bound": 3.0}, constant(0.01)),
    "constant below 0.001, bound 5": Variant({"state_bound": 5.0}, constant(0.001)),
    "constant below 0.01 and half the median, bound 5": Variant({"state_bound": 5.0}, constant(0.01, 0.5)),
    "rare below 30%, bound 5": Variant({"state_bound": 5.0}, rare(0.3)),
    "rare below 10%, bound 5": Variant({"state_bound": 5.0}, rare(0.1)),
    "rare below 10%, bound 3": Variant({"state_bound": 3.0}, rare(0.1)),
    "raw states": Variant({"standardise": False}),
}
COLUMNS = ("largest input", "start", "first contact", "to success", "random", "punished", "order", "order, random")


class AdjustedDataset(ClipDataset):
    """A dataset that changes the deviations which states are standardised with, whatever the settings say."""

    adjust: Callable[[NDArray[np.float64]], NDArray[np.float64]]

    def standardisation(self, constant: float = ROUNDING) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Returns the mean (D,) and the changed deviation (D,)."""
        mean, std = super().standardisation()
        return mean, self.adjust(std)


@dataclass(frozen=True, slots=True)
class Play:
    """What one seed has to do with: random episodes, and scripted ones with the first step of contact and success."""

    filmed: list[Episode]
    unseen: list[Episode]
    scripted: list[tuple[Episode, int, int]]
    ranges: NDArray[np.float64]


def nearness(states: NDArray[np.floating]) -> NDArray[np.floating]:
    """The truth: minus the distance from hand to object in metres, (..., D) -> (...)."""
    distance: NDArray[np.floating] = np.linalg.norm(states[..., HAND] - states[..., OBJECT], axis=-1)
    return -distance


def contact(states: Episode) -> int:
    """Returns the first step at which the object has moved; the length of the episode where it never does."""
    moved = np.linalg.norm(states[:, OBJECT] - states[SETTLED, OBJECT], axis=-1) > MOVED
    return SETTLED + int(np.argmax([*moved[SETTLED:], True]))


def play(task: str, seed: int) -> Play:
    """Plays the episodes of one seed."""
    spec = get_task(task)
    env = make_task_env(spec)
    untouched = still(env, seed)
    randoms = [next(untouched) for _ in range(FILMED + UNSEEN)]
    scripted: list[tuple[Episode, int, int]] = []
    number = 0
    while len(scripted) < SCRIPTED:
        states, success = rollout(env, scripted_policy(spec), 10_000 * (seed + 1) + number)
        number += 1
        if contact(states) < success < len(states):
            scripted.append((states, contact(states), success))
    filmed = randoms[:FILMED]
    space = env.observation_space
    assert isinstance(space, gym.spaces.Box)
    extent = np.ptp(np.concatenate(filmed), axis=0).astype(np.float64)
    finite = np.isfinite(space.high)
    return Play(filmed, randoms[FILMED:], scripted, np.where(finite, space.high - space.low, extent[~finite].max()))


def still(env: gym.Env[Any, Any], seed: int) -> Iterator[Episode]:
    """Yields random episodes in which the object is not moved."""
    policy = random_policy(env.action_space, seed)
    for number in range(1_000):
        states, _ = rollout(env, policy, 1_000 * seed + number)
        if contact(states) == len(states):
            yield states


def rollout(env: gym.Env[Any, Any], policy: Any, seed: int) -> tuple[Episode, int]:
    """Plays an episode; returns its states and the first step with success, or their number."""
    observation, _ = env.reset(seed=seed)
    states, success, over = [observation], [0.0], False
    while not over:
        observation, _, terminated, truncated, info = env.step(policy(observation))
        states.append(observation)
        success.append(info["success"])
        over = terminated or truncated
    return np.asarray(states, np.float32), int(np.argmax([*(np.array(success) > 0), True]))


def scored(episodes: list[Episode], rng: np.random.Generator) -> list[ScoredClip]:
    """Cuts clips and scores them by the truth and noise; videos show where hand and object are, and noise."""
    starts = [(n, start) for n, it in enumerate(episodes) for start in clip_starts(len(it), CLIP.length, CLIP.stride)]
    states = np.stack([episodes[n][start : start + CLIP.length] for n, start in starts])
    truth = nearness(states).mean(axis=1)
    signal = (truth - truth.mean()) / truth.std() * np.sqrt(1 - NOISE_SHARE)
    scores = 0.2 + SCORE_STD * (signal + np.sqrt(NOISE_SHARE) * rng.normal(size=len(truth)))
    seen = 10 * np.concatenate([states[..., HAND], states[..., OBJECT]], axis=-1).mean(axis=1)  # decimetres
    videos = 2 * rng.normal(size=EMBEDDING) + seen @ rng.normal(size=(seen.shape[1], EMBEDDING))
    videos += rng.normal(size=videos.shape)
    videos /= np.linalg.norm(videos, axis=1, keepdims=True)
    view = np.zeros(1, np.int64)
    return [
        ScoredClip(part, view, score[None].astype(np.float32), video[None].astype(np.float32), episode=n)
        for (n, _), part, score, video in zip(starts, states, scores, videos, strict=True)
    ]


def learn(variant: Variant, data: Play, seed: int) -> RewardSnapshot:
    """Learns a reward from the filmed episodes."""
    settings = replace(RelevanceSettings(), **TRAINING, **variant.changes)
    rng = np.random.default_rng(seed)
    clips = scored(data.filmed, rng)
    dataset = AdjustedDataset(settings.capacity, rng, holdout=settings.holdout, center_views=settings.center_views)
    dataset.adjust = lambda std: variant.deviations(std, data.ranges)
    references = ReferenceSet(settings.references, settings.per_episode)
    dataset.add(clips)
    references.offer(clips, dataset.view_offsets)
    trainer = RelevanceTrainer(settings, rng)
    trainer.update(dataset)
    assert trainer.model is not None  # it has had clips to learn from
    relevances = references.relevances(trainer.model)
    reward = RewardSettings()
    return RewardSnapshot.build(trainer.model.net(), relevances, tau=settings.tau, weight=0.1, reward=reward, version=1)


def judge(snapshot: RewardSnapshot, data: Play) -> dict[str, float]:
    """Computes the figures of one seed."""
    net = snapshot.net
    assert net is not None  # it was learned
    parts = []
    for states, touch, success in data.scripted:
        reward = snapshot.vlm_reward(states)
        parts.append([reward[:SETTLED].mean(), reward[touch : touch + 5].mean(), reward[touch : success + 1].mean()])
    start, first, moving = np.mean(parts, axis=0)
    solved = np.concatenate([states[: success + 1] for states, _, success in data.scripted])
    unseen = np.concatenate(data.unseen)
    values = (
        float(np.abs((solved - net.mean) * net.scale).max()),
        *(start, first, moving, float(snapshot.vlm_reward(unseen).mean()), float(moving < start)),
        *(float(spearmanr(snapshot.relevance(part), nearness(part)).statistic) for part in (solved, unseen)),
    )
    return dict(zip(COLUMNS, values, strict=True))


def rows(task: str, states: Sequence[str], seeds: int) -> Iterator[str]:
    """Yields the rows of one task as they are measured."""
    playing = functools.cache(functools.partial(play, task))
    for name, variant in ((name, VARIANTS[name]) for name in states):
        runs = [judge(learn(variant, playing(seed), seed), playing(seed)) for seed in range(seeds)]
        cells = [f"{np.median([run[column] for run in runs]):,.2f}" for column in COLUMNS]
        cells[0] = f"{np.median([run['largest input'] for run in runs]):,.0f}"
        cells[5] = f"{sum(run['punished'] for run in runs):.0f} of {seeds}"
        yield f"| {task} | {name} | {' | '.join(cells)} |"


def main() -> None:
    """Prints the table, and writes it to a file if one is given."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--seeds", type=int, default=4)
    parser.add_argument("--task", nargs="+", default=TASKS)
    parser.add_argument("--states", nargs="+", choices=VARIANTS, default=list(VARIANTS), help="rows of the table")
    parser.add_argument("--result", type=Path, help="file to write to besides")
    args = parser.parse_args()
    command = f"`OMP_NUM_THREADS=1 python benchmarks/first_contacts.py --seeds {args.seeds}`"
    lines = [f"# First contacts\n\n{made_with('metaworld')}; {command}\n"]
    lines += [f"| task | states | {' | '.join(COLUMNS)} |", "| --- " * (2 + len(COLUMNS)) + "|"]
    print("\n".join(lines))
    for task in args.task:
        for line in rows(task, args.states, args.seeds):
            print(line, flush=True)
            lines.append(line)
    if args.result:
        args.result.write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
