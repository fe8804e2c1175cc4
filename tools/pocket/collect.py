"""Films what the pocket scorer is trained and judged on: `python -m tools.pocket.collect --out outputs/pocket`.

Simulating costs next to nothing beside rendering, so every episode is filmed from several views, and a film holds many
clips (films.py). Shards that are there already are kept: a run that was cut goes on where it was.
"""

from __future__ import annotations

import multiprocessing
import os
import time
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import tyro
from numpy.typing import NDArray

from mvr_wrappers.filming.renderer import Renderer, film
from mvr_wrappers.rigs import Camera
from tools.pocket.captions import BODIES, PAPER_TASKS, TASKS, TRAINED
from tools.pocket.episodes import Behaviour, Episode, Scene
from tools.pocket.films import FRAMES, SIZE, Facts, Film, write_shard
from tools.pocket.motions import BODY_MOTIONS, STEP, Body
from tools.pocket.views import body_camera, draw_camera, judged_azimuths, other_light, table_camera

TEST_SEEDS = 10_000_000  # test episodes draw their seeds from here on, training episodes below
CLIP = 64  # states of a test clip
SPACING = CLIP // FRAMES
AFTER, HOLD = 10, 74  # states after success at which the test's clips of success, and of what follows, end

Split = Literal["train", "test"]
Shot = tuple[Film, NDArray[np.uint8]]


@dataclass(frozen=True, slots=True)
class Job:
    """One subject's share of one split, done by one process."""

    subject: str
    split: Split
    episodes: int
    chunk: int
    seed: int
    path: Path


def draw_behaviour(rng: np.random.Generator) -> Behaviour:
    """Draws how a training episode is played."""
    kind = rng.choice(["expert", "missed", "random", "idle"], p=[0.58, 0.11, 0.26, 0.05])
    noise = float(rng.choice([0, 0.1, 0.2, 0.5, 1.0], p=[0.25, 0.25, 0.15, 0.15, 0.2]))
    delay = int(rng.integers(10, 64)) if rng.random() < 0.4 else 0
    speed = float(rng.choice([1, 0.7, 0.5], p=[0.65, 0.2, 0.15]))
    prelude = int(rng.integers(8, 60)) if rng.random() < 0.45 else 0
    if kind == "expert":
        hold = int(rng.integers(70, 110)) if rng.random() < 0.4 else 30
        return Behaviour("expert", noise, speed, delay, hold=hold)
    if kind == "missed":
        x, y = rng.choice([-1, 1], 2) * rng.uniform(0.04, 0.12, 2)
        return Behaviour("missed", min(noise, 0.2), speed, delay, offset=(x, y, rng.uniform(0, 0.05)), steps=150)
    if kind == "random":
        redraw = int(rng.choice([1, 4, 12, 30], p=[0.55, 0.2, 0.15, 0.1]))
        return Behaviour("random", 0.0, 1.0, 0, prelude, redraw=redraw, steps=prelude + 130)
    return Behaviour("idle", float(rng.choice([0, 0.1])), 1.0, 0, prelude, steps=prelude + 90)


def draw_times(facts: Facts, rng: np.random.Generator, longest: int = 20) -> tuple[int, int, int]:
    """Draws the first frame, the spacing and the number of frames of a training film, mostly about its end."""
    spacing = int(rng.choice([SPACING, 4, 6, 12, 16], p=[0.6, 0.1, 0.1, 0.12, 0.08]))
    spacing = min(spacing, max(facts.states // (FRAMES + 2), 2))
    most = (facts.states - 1) // spacing
    count = min(most, longest)
    slack = facts.states - 1 - (count - 1) * spacing
    first = slack - int(rng.integers(0, spacing)) if rng.random() < 0.6 else int(rng.integers(0, slack + 1))
    return max(first, 0), spacing, count


def train_task(scene: Scene, renderer: Renderer, job: Job, rng: np.random.Generator) -> Iterator[Shot]:
    """Yields a task's training films, two views an episode."""
    for _ in range(job.episodes):
        behaviour, seed = draw_behaviour(rng), int(rng.integers(TEST_SEEDS))
        episode = scene.play(behaviour, seed)
        first, spacing, count = draw_times(episode.facts, rng)
        times = range(first, first + spacing * count, spacing)
        with other_light(renderer.model, rng):
            cameras = [draw_camera(renderer.model, True, rng) for _ in range(2)]
            yield from _film(renderer, episode, job.subject, seed, times, cameras)


def _film(
    renderer: Renderer, episode: Episode, task: str, seed: int, times: range, cameras: list[Camera]
) -> Iterator[Shot]:
    for camera, frames in zip(cameras, film(renderer, episode.physics, list(times), cameras), strict=True):
        yield Film(task, seed, camera.azimuth, times[0], times.step, len(times), episode.facts), frames


def judge_task(scene: Scene, renderer: Renderer, job: Job, rng: np.random.Generator) -> Iterator[Shot]:
    """Yields a task's test films, 8 states from frame to frame, from two views of the ring; some from two others, too.

    weak: the scripted policy with action noise 0 or 0.1 after 64 states of rest, to 74 states after it solved the task,
    and from the other views the 64 states up to 10 after it; strong: the same with noise 1.0, those same states;
    random: uniform actions, from the other views as well; near: the same, begun where the policy had got to in 20 to 50
    steps.
    """
    found = 0
    for seed in range(TEST_SEEDS, TEST_SEEDS + 4 * job.episodes):
        weak = scene.play(Behaviour("expert", 0.1 * (seed % 2), delay=CLIP, hold=HOLD), seed)
        if weak.solved == len(weak.success):
            continue
        found += 1
        cameras = [table_camera(azimuth) for azimuth in judged_azimuths(rng)]
        end, prelude = weak.solved + AFTER, int(rng.integers(20, 50))
        whole = range((end - SPACING // 2) % SPACING, end + CLIP, SPACING)
        yield from _film(renderer, weak, job.subject, seed, whole, cameras[:2])
        yield from _film(renderer, weak, job.subject, seed, _clip(end), cameras[2:])
        for behaviour, stop, views in (
            (Behaviour("expert", 1.0, delay=CLIP, hold=end, steps=end), end, cameras[:2]),
            (Behaviour("random", steps=140), 140, cameras),
            (Behaviour("random", prelude=prelude, steps=prelude + 80), prelude + 80, cameras[:2]),
        ):
            episode = scene.play(behaviour, seed)
            if behaviour.kind == "expert" or not episode.success.any():
                yield from _film(renderer, episode, job.subject, seed, _clip(stop), views)
        if found == job.episodes:
            return


def _clip(stop: int) -> range:
    """The frames of the clip of 64 states that ends before a state."""
    return range(stop - CLIP + SPACING // 2, stop, SPACING)


def film_body(body: Body, renderer: Renderer, job: Job, rng: np.random.Generator) -> Iterator[Shot]:
    """Yields films of a body: `episodes` of every motion, one clip each in the test, twelve frames in training."""
    train = job.split == "train"
    for number in range(job.episodes):
        for place, motion in enumerate(BODY_MOTIONS[body.name]):
            seed = (job.chunk * job.episodes + number) * len(BODY_MOTIONS[body.name]) + place
            spacing = 8 if not train else int(rng.integers(5, 15))
            count = 12 if train else FRAMES
            seconds = max(spacing * STEP[body.name], 0.05)
            qpos = body.play(motion, seconds * np.arange(count, dtype=np.float64), rng)
            if train:
                cameras = [draw_camera(body.model, False, rng) for _ in range(2)]
            else:
                cameras = [body_camera(body.model, azimuth) for azimuth in judged_azimuths(rng)]
            facts = Facts(motion, 0.0, count * spacing, 0, count * spacing, count * spacing)
            with other_light(body.model, rng) if train else nullcontext():
                for camera in cameras:
                    shots = np.stack([renderer.render(body.show(q), camera) for q in qpos])
                    yield Film(body.name, seed, camera.azimuth, 0, spacing, count, facts), shots


def run(job: Job) -> tuple[str, int]:
    """Collects one job into its shard and returns its name and the number of frames."""
    subjects = (*TASKS, *BODIES)
    rng = np.random.default_rng((job.seed, job.split == "test", subjects.index(job.subject), job.chunk))
    films, frames = [], []
    source = Body(job.subject) if job.subject in BODIES else Scene(job.subject)
    with Renderer(source.model, SIZE, "fast") as renderer:
        if isinstance(source, Body):
            shots = film_body(source, renderer, job, rng)
        else:
            shots = (train_task if job.split == "train" else judge_task)(source, renderer, job, rng)
        for one, pixels in shots:
            films.append(one)
            frames.append(pixels)
    write_shard(job.path, films, frames)
    return job.path.name, sum(map(len, frames))


def plan(out: Path, split: Split, episodes: int, motions: int, chunks: int, seed: int) -> list[Job]:
    """Lists the jobs: chunk by chunk all subjects, so that a cut run leaves a little of everything."""
    jobs = []
    for chunk in range(chunks):
        for subject in (*(TRAINED if split == "train" else TASKS), *BODIES):
            count = motions if subject in BODIES else episodes
            count *= 2 if subject in PAPER_TASKS and split == "train" else 1
            jobs.append(Job(subject, split, count, chunk, seed, out / split / f"{chunk:02d}-{subject}"))
    return jobs


def main(
    out: Path = Path("outputs/pocket"),
    split: Split = "train",
    episodes: int = 0,
    motions: int = 0,
    chunks: int = 0,
    seed: int = 0,
    workers: int = 2,
) -> None:
    """Collects one split.

    Args:
        out: folder to write to.
        split: "train", or "test" for the clips `tools.pocket.evaluate` reads.
        episodes: episodes a task and chunk, twice as many for tasks of the paper in training; 0 means 12, or
            6 in the test.
        motions: films of every motion of every body a chunk; 0 means 4, or 6 in the test.
        chunks: shards a subject is spread over; 0 means 8, or 1 in the test.
        seed: of everything drawn.
        workers: processes.
    """
    os.environ.setdefault("MUJOCO_GL", "egl")
    os.environ.setdefault("LP_NUM_THREADS", "0")  # software OpenGL: processes pay, threads do not
    (out / split).mkdir(parents=True, exist_ok=True)
    train = split == "train"
    jobs = plan(
        out,
        split,
        episodes or (12 if train else 6),
        motions or (4 if train else 6),
        chunks or (8 if train else 1),
        seed,
    )
    jobs = [job for job in jobs if not job.path.with_suffix(".npz").exists()]
    began = time.monotonic()
    with multiprocessing.get_context("spawn").Pool(workers, maxtasksperchild=16) as pool:
        for name, count in pool.imap_unordered(run, jobs):
            print(f"{time.monotonic() - began:6.0f} s  {name}: {count} frames", flush=True)


if __name__ == "__main__":
    tyro.cli(main)
