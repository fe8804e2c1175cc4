"""Films for reward_quality.py: what a learning agent would have made on a Meta-World task, scored once and kept.

An agent that learns is imitated: random actions at first, then Meta-World's scripted policy for a growing share of
the time and with falling noise, at last the policy alone. Every episode is filmed from all views of the task's rig by
the package's own FilmedEnv and scored with the pocket scorer; who wants fewer films takes a part of these.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from mvr_agents.runs.evaluate import Policy
from mvr_agents.runs.policies import random_policy, scripted_policy
from mvr_wrappers.clips import Clip, clip_starts, frame_indices
from mvr_wrappers.envs.task_env import make_task_env
from mvr_wrappers.scorers import Scorer, load_scorer
from mvr_wrappers.scorers.checks import embed_videos
from mvr_wrappers.scorers.goal import Goal
from mvr_wrappers.tasks.registry import TaskSpec, get_task
from mvr_wrappers.wrappers.filmed import film

STEPS = 200  # of an episode, as in the presets `demo` and `sparse`
LENGTH, STRIDE, FRAMES = 64, 16, 8
STARTS = clip_starts(STEPS + 1, LENGTH, STRIDE)
UNSEEN = 5  # scripted and random episodes to judge by
JUDGED = 1_000_000  # seeds of episodes to judge by start here
OBJECT = slice(4, 7)  # of an observation: where the object is, metres
SETTLING, MOVED = 15, 0.01  # steps in which objects fall onto the table; metres from there that count as moved
KEPT_ACTION = 5  # steps for which the imitated agent keeps its mind, and a random action

Rows = NDArray[np.float32]
Shown = Literal["all", "untouched", "touched", "solved"]


@dataclass(frozen=True, slots=True, eq=False)
class TaskFilms:
    """E filmed episodes of T states, each cut into C clips seen from V views, and U unseen episodes to judge by.

    Attributes:
        states: float32 (E, T, D).
        success: bool (E, T).
        scores: float32 (E, C, V), psi of each clip and view.
        embeddings: float32 (E, C, V, F), of the videos.
        scripted: float32 (U, T, D), unseen episodes of the scripted policy, all of which solve the task.
        touched: int64 (U,), first state of each at which the object had been moved.
        solved: int64 (U,), first state of success.
        random: float32 (R, D), states of unseen random episodes at which the task is not solved.
        frame_seconds: CPU time of one frame of one view.
        video_seconds: CPU time of scoring one clip from one view.
    """

    states: Rows
    success: NDArray[np.bool_]
    scores: Rows
    embeddings: Rows
    scripted: Rows
    touched: NDArray[np.int64]
    solved: NDArray[np.int64]
    random: Rows
    frame_seconds: NDArray[np.float64]
    video_seconds: NDArray[np.float64]

    def showing(self, what: Shown) -> TaskFilms:
        """Returns the films of the episodes that show something: of those not solved, whether the object was moved."""
        if what == "all":
            return self
        solved = self.success.any(axis=1)
        touched = np.array([touch(states) < len(states) for states in self.states])
        chosen = {"untouched": ~solved & ~touched, "touched": ~solved & touched, "solved": solved}[what]
        kept = {name: getattr(self, name)[chosen] for name in ("states", "success", "scores", "embeddings")}
        return replace(self, **kept)


@dataclass(frozen=True, slots=True, eq=False)
class Played:
    """One episode: float32 states (T, D) and bool success (T,)."""

    states: Rows
    success: NDArray[np.bool_]

    @property
    def solved(self) -> int:
        """First state of success; T if there is none."""
        return int(np.argmax(self.success)) if self.success.any() else len(self.success)

    @property
    def touched(self) -> int:
        """See `touch`."""
        return touch(self.states)


def films_of(task: str, episodes: int, seed: int, cache: Path) -> TaskFilms:
    """Returns the films of a task from the folder `cache`, made now if they are not there yet."""
    path = cache / f"{task}-{episodes}-{seed}.npz"
    if not path.exists():
        cache.mkdir(parents=True, exist_ok=True)
        films = _make_films(get_task(task), episodes, seed)
        arrays: dict[str, Any] = {field.name: getattr(films, field.name) for field in fields(TaskFilms)}
        partial = path.with_suffix(".partial.npz")
        np.savez(partial, **arrays)
        partial.rename(path)
    with np.load(path) as arrays:
        return TaskFilms(**arrays)


def frames_filmed(stride: int) -> int:
    """Returns how many moments of an episode are filmed for clips of one stride: clips that overlap share some."""
    starts = clip_starts(STEPS + 1, LENGTH, stride)
    return len(np.unique(np.add.outer(starts, frame_indices(LENGTH, FRAMES))))


def touch(states: Rows) -> int:
    """Returns the first of an episode's states (T, D) at which the object had been moved since it settled, or T."""
    moved = np.linalg.norm(states[:, OBJECT] - states[SETTLING, OBJECT], axis=1) > MOVED
    moved[: SETTLING + 1] = False
    return int(np.argmax(moved)) if moved.any() else len(moved)


def skill(episode: int, episodes: int) -> float:
    """Returns how much the imitated agent has learned: 0 in the first fifth of its episodes, 1 in the last."""
    return float(np.clip((episode / episodes - 0.2) / 0.6, 0.0, 1.0))


def learner(spec: TaskSpec, skilled: float, rng: np.random.Generator) -> Policy:
    """Returns what the agent does in an episode: at random, then with the chance `skilled` what the script says."""
    script = scripted_policy(spec)
    start = rng.uniform(0, 0.5 * (1 - skilled) * STEPS)
    step, follows, action = 0, False, np.zeros(4)

    def act(observation: NDArray[Any]) -> NDArray[Any]:
        nonlocal step, follows, action
        if step % KEPT_ACTION == 0:
            follows = step >= start and rng.random() < skilled
            action = rng.uniform(-1, 1, 4)
        step += 1
        chosen = script(observation) if follows else action
        noise = 0.5 * (1 - skilled) * rng.normal(size=4)
        return np.clip(chosen + noise, -1, 1).astype(np.float32)

    return act


def _make_films(spec: TaskSpec, episodes: int, seed: int) -> TaskFilms:
    scorer = load_scorer("pocket", device="cpu")
    clip = {"length": LENGTH, "stride": STRIDE, "film_every": 1, "views": "all", "image_size": scorer.image_size}
    env = film(make_task_env(spec, max_episode_steps=STEPS), rig=spec.rig, clip=clip)
    goal, rng = Goal.embed(scorer, [spec.prompt]), np.random.default_rng(seed)
    played, scores, embeddings, seconds = [], [], [], np.zeros(2)
    for episode in range(episodes):
        policy = learner(spec, skill(episode, episodes), np.random.default_rng(rng.integers(2**32)))
        played.append(_play(env, policy, int(rng.integers(JUDGED))))
        begun = time.process_time()
        clips = env.pop_clips()
        for one in clips:
            _ = one.moments  # waits for them
        filmed = time.process_time()
        videos = _embed(scorer, clips)
        scores.append(goal.psi(videos.reshape(-1, videos.shape[-1])).reshape(videos.shape[:-1]))
        embeddings.append(videos)
        seconds += [
            (filmed - begun) / (frames_filmed(STRIDE) * len(env.rig)),
            (time.process_time() - filmed) / scores[-1].size,
        ]
    env.close()
    frame_seconds, video_seconds = seconds / episodes
    return TaskFilms(
        states=np.stack([one.states for one in played]),
        success=np.stack([one.success for one in played]),
        scores=np.stack(scores),
        embeddings=np.stack(embeddings),
        **_unseen(spec, rng),
        frame_seconds=np.array(frame_seconds),
        video_seconds=np.array(video_seconds),
    )


def _embed(scorer: Scorer, clips: list[Clip]) -> Rows:
    """Returns the embeddings of all views of all clips: float32 (C, V, F)."""
    return np.stack([embed_videos(scorer, clip.frames) for clip in clips])


def _unseen(spec: TaskSpec, rng: np.random.Generator) -> dict[str, NDArray[Any]]:
    """Plays what to judge by: scripted episodes that solve the task, and random ones."""
    env = make_task_env(spec, max_episode_steps=STEPS)
    solved: list[Played] = []
    seed = JUDGED
    while len(solved) < UNSEEN:
        one, seed = _play(env, scripted_policy(spec), seed), seed + 1
        solved += [one] if one.success.any() else []
    policy = random_policy(env.action_space, int(rng.integers(2**32)))
    aimless = [_play(env, policy, seed + number) for number in range(UNSEEN)]
    env.close()
    return {
        "scripted": np.stack([one.states for one in solved]),
        "touched": np.array([one.touched for one in solved]),
        "solved": np.array([one.solved for one in solved]),
        "random": np.concatenate([one.states[~one.success] for one in aimless]),
    }


def _play(env: Any, policy: Policy, seed: int) -> Played:
    """Plays one episode to its time limit."""
    observation, _ = env.reset(seed=seed)
    states, success, over = [observation], [False], False
    while not over:
        observation, _, terminated, truncated, info = env.step(policy(observation))
        over = terminated or truncated
        states.append(observation)
        success.append(info["is_success"])
    return Played(np.stack(states).astype(np.float32), np.array(success))
