"""Renders the clips the pocket scorer is trained and judged on: `python -m tools.pocket.collect --out outputs/pocket`.

Training clips come from every azimuth but those within 15 degrees of 45, 135, 225 and 315, which the test clips use.
"""

from __future__ import annotations

import multiprocessing
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import tyro
from numpy.typing import NDArray

from mvr_wrappers.clips import frame_indices
from mvr_wrappers.filming.cameras import Camera
from mvr_wrappers.filming.renderer import Renderer, film
from tools.pocket.captions import PAPER_TASKS, STAGES, TASKS
from tools.pocket.episodes import Behaviour, Episode, Scene, window

SIZE, FRAMES = 96, 8
RING = (0, 90, 180, 270)
UNSEEN, UNSEEN_HALF_WIDTH = (45, 135, 225, 315), 15
COLUMNS = ("stage", "azimuth", "seed", "noise", "length")
TEST_SEEDS = 10_000_000  # test episodes draw their seeds from here on, training episodes below

Split = Literal["train", "test"]


@dataclass(frozen=True, slots=True, eq=False)
class Take:
    """States [start, stop) of an episode, to be filmed from some views: one clip each."""

    stage: str
    seed: int
    episode: Episode
    span: tuple[int, int]
    cameras: list[Camera]


@dataclass(frozen=True, slots=True)
class Job:
    """One task's share of one split, done by one process."""

    task: str
    split: Split
    episodes: int
    seed: int
    path: Path


def draw_camera(rng: np.random.Generator) -> Camera:
    """Draws a training view: a third near the usual ring, the rest anywhere that is not kept for the test."""
    if rng.random() < 0.35:
        azimuth, spread = rng.choice(RING) + rng.uniform(-8, 8), 0.3
    else:
        azimuth, spread = rng.uniform(0, 360), 1.0
        while min(abs((azimuth - unseen + 180) % 360 - 180) for unseen in UNSEEN) < UNSEEN_HALF_WIDTH:
            azimuth = rng.uniform(0, 360)
    lookat = np.array([0, 0.5, 0]) + spread * rng.uniform(-0.1, 0.1, 3)
    return ring_camera(azimuth, -20 + spread * rng.uniform(-15, 12), 2 + spread * rng.uniform(-0.4, 0.3), lookat)


def ring_camera(azimuth: float, elevation: float = -20, distance: float = 2, lookat: Any = (0, 0.5, 0)) -> Camera:
    """Returns the view of the usual ring at an azimuth, degrees; the other arguments move it."""
    x, y, z = (float(v) for v in lookat)
    return Camera(lookat=(x, y, z), distance=float(distance), azimuth=float(azimuth % 360), elevation=float(elevation))


def draw_behaviour(rng: np.random.Generator) -> Behaviour:
    """Draws how a training episode is played."""
    kind = rng.choice(["expert", "missed", "random", "idle"], p=[0.42, 0.13, 0.36, 0.09])
    noise = float(rng.choice([0, 0.1, 0.2, 0.4, 0.8], p=[0.25, 0.25, 0.2, 0.2, 0.1]))
    delay = int(rng.integers(10, 60)) if rng.random() < 0.35 else 0
    speed = float(rng.choice([1, 0.7, 0.5], p=[0.6, 0.25, 0.15]))
    prelude = int(rng.integers(8, 60)) if rng.random() < 0.5 else 0
    if kind == "expert":
        hold = int(rng.integers(70, 130)) if rng.random() < 0.35 else 20
        return Behaviour("expert", noise, speed, delay, hold=hold)
    if kind == "missed":
        x, y = rng.choice([-1, 1], 2) * rng.uniform(0.04, 0.12, 2)
        return Behaviour("missed", min(noise, 0.2), speed, delay, offset=(x, y, rng.uniform(0, 0.05)), steps=150)
    if kind == "random":
        redraw = int(rng.choice([1, 4, 12, 30], p=[0.5, 0.2, 0.2, 0.1]))
        return Behaviour("random", 0.0, 1.0, 0, prelude, redraw=redraw, steps=prelude + 150)
    return Behaviour("idle", float(rng.choice([0, 0.1])), 1.0, 0, prelude, steps=prelude + 90)


def train_clips(scene: Scene, job: Job) -> Iterator[Take]:
    """Yields a task's training clips: of each episode one clip a stage, success and random two."""
    rng = np.random.default_rng((job.seed, sorted(TASKS).index(job.task)))
    for _ in range(job.episodes):
        behaviour, seed = draw_behaviour(rng), int(rng.integers(TEST_SEEDS))
        episode = scene.play(behaviour, seed)
        for stage in (*STAGES, "success", "random"):
            length = int(rng.choice([64, 32, 48, 96, 128], p=[0.6, 0.1, 0.1, 0.1, 0.1]))
            span = window(episode, stage, length, rng)
            if span is not None:
                yield Take(stage, seed, episode, span, [draw_camera(rng)])


def test_clips(scene: Scene, job: Job) -> Iterator[Take]:
    """Yields the test clips of a task, 64 states each, from two views of the usual ring and two never trained on.

    success: the last 64 states of an episode that ends 10 states after the task was solved; held: the last 64 when it
    goes on for 100; approach: the 64 before the object is touched; random: uniform actions; near: the same, begun
    where the scripted policy had got to in 20 to 50 steps.
    """
    rng = np.random.default_rng((job.seed, sorted(TASKS).index(job.task)))
    done = dict.fromkeys(("success", "held", "approach", "random", "near"), 0)
    for seed in range(TEST_SEEDS, TEST_SEEDS + 6 * job.episodes):
        noise = (0.0, 0.1, 0.2)[seed % 3]
        for name in [name for name, count in done.items() if count < job.episodes]:
            episode, stop = _test_episode(scene, name, seed, noise, rng)
            if stop is None:
                continue
            done[name] += 1
            unseen = rng.choice(UNSEEN, 2, replace=False) + rng.uniform(-10, 10, 2)
            views = [ring_camera(azimuth) for azimuth in (*rng.choice(RING, 2, replace=False), *unseen)]
            yield Take(name, seed, episode, (stop - 64, stop), views)
        if min(done.values()) == job.episodes:
            return


def _test_episode(
    scene: Scene, name: str, seed: int, noise: float, rng: np.random.Generator
) -> tuple[Episode, int | None]:
    """Plays one test episode; returns it with the end of its clip, None if it does not show what it should."""
    if name in ("random", "near"):
        prelude = int(rng.integers(20, 50)) if name == "near" else 0
        episode = scene.play(Behaviour("random", prelude=prelude, steps=prelude + 150), seed)
        stop = int(rng.integers(prelude + 64, prelude + 151))
        return episode, None if episode.success[:stop].any() else stop
    if name == "approach":
        episode = scene.play(Behaviour("expert", noise, speed=0.7, delay=45), seed)
        return episode, episode.touched if 64 <= episode.touched < len(episode.success) else None
    episode = scene.play(Behaviour("expert", noise, hold=100), seed)
    if episode.solved == len(episode.success):
        return episode, None
    return episode, len(episode.success) if name == "held" else max(episode.solved + 10, 64)


def run(job: Job) -> tuple[str, int]:
    """Collects one job into its file and returns the task and the number of clips."""
    scene, frames, rows = Scene(job.task), [], []
    with Renderer(scene.env.model, SIZE, "fast") as renderer:
        for take in (train_clips if job.split == "train" else test_clips)(scene, job):
            frames.append(film_take(renderer, take))
            start, stop = take.span
            noise = take.episode.behaviour.noise
            rows += [(take.stage, camera.azimuth, take.seed, noise, stop - start) for camera in take.cameras]
    columns = dict(zip(COLUMNS, map(np.array, zip(*rows, strict=True)), strict=True))
    np.savez(job.path, frames=np.concatenate(frames), task=np.full(len(rows), job.task), **columns)
    return job.task, len(rows)


def film_take(renderer: Renderer, take: Take) -> NDArray[np.uint8]:
    """Films a take from each of its views: (V, 8, 96, 96, 3). The scene must not have been reset since."""
    start, stop = take.span
    return film(renderer, take.episode.physics, start + frame_indices(stop - start, FRAMES), take.cameras)


def load(folder: Path, split: Split) -> dict[str, NDArray[Any]]:
    """Reads back a split: frames uint8 (N, 8, 96, 96, 3), and task, stage, azimuth, seed, noise, length, each (N,)."""
    parts = [np.load(path) for path in sorted((folder / split).glob("*.npz"))]
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0].files}


def main(
    out: Path = Path("outputs/pocket"),
    split: Split = "train",
    episodes: int = 0,
    rivals: float = 0.3,
    chunks: int = 2,
    seed: int = 0,
    workers: int = 2,
) -> None:
    """Collects one split.

    Args:
        out: folder to write to.
        split: "train", or "test" for the clips `tools.pocket.evaluate` reads.
        episodes: episodes a task; 0 means 160 for training, 12 of each stage for the test.
        rivals: episodes of a task that is not in the paper, as a share of `episodes`; the test has none.
        chunks: files a task is spread over in training.
        seed: of everything drawn.
        workers: processes.
    """
    os.environ.setdefault("MUJOCO_GL", "egl")
    (out / split).mkdir(parents=True, exist_ok=True)
    episodes = episodes or (160 if split == "train" else 12)
    jobs = []
    for chunk in range(chunks if split == "train" else 1):
        for task in TASKS if split == "train" else PAPER_TASKS:
            share = 1.0 if task in PAPER_TASKS else rivals
            count = round(episodes * share / (chunks if split == "train" else 1))
            jobs.append(Job(task, split, count, seed + chunk, out / split / f"{task}-{seed + chunk}.npz"))
    began = time.monotonic()
    with multiprocessing.get_context("spawn").Pool(workers, maxtasksperchild=4) as pool:
        for task, clips in pool.imap_unordered(run, jobs):
            print(f"{time.monotonic() - began:6.0f} s  {task}: {clips} clips", flush=True)


if __name__ == "__main__":
    tyro.cli(main)
