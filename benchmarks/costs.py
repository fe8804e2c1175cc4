"""What scoring, learning relevance and shaping cost, as a table in Markdown. Filming has a benchmark of its own.

    OMP_NUM_THREADS=1 python benchmarks/costs.py          # all of it
    OMP_NUM_THREADS=1 python benchmarks/costs.py memory   # or: times

Every time is the median of several repetitions on this machine, after one that is not counted. Memory is what Python
and NumPy have allocated (tracemalloc), so whatever else was allocated meanwhile counts as frames, too: an upper bound.
"""

from __future__ import annotations

import statistics
import sys
import time
import tracemalloc
import weakref
from collections.abc import Callable

import gymnasium as gym
import numpy as np
import torch

from mvr_agents.runs.provenance import made_with
from mvr_wrappers import CameraRig, Clip, FilmedEnv, RewardEngine, load_scorer

REPEATS = 9
ENVS, STEPS, EPISODES = 8, 500, 5


def main() -> None:
    """Prints the table."""
    asked = sys.argv[1:] or list(PARTS)
    origin = made_with()
    rows = [row for part in asked for row in PARTS[part]()]
    print(f"{origin}\n\ntorch threads: {torch.get_num_threads()}\n\n| what | value | unit |\n| --- | --- | --- |")
    for work, value, unit in rows:
        print(f"| {work} | {value:.3g} | {unit} |")


def scoring() -> tuple[str, float, str]:
    """Milliseconds a clip of the pocket scorer, batch of 16."""
    scorer = load_scorer("pocket", device="cpu")
    size = scorer.image_size
    frames = np.random.default_rng(0).integers(0, 256, (16, scorer.n_frames, size, size, 3), np.uint8)
    return "pocket scorer, batch of 16", median_seconds(lambda: scorer.embed_video(frames)) / 16 * 1e3, "ms/clip"


def learning() -> list[tuple[str, float, str]]:
    """One update on 400 clips of Meta-World's size, and shaping 8 envs with what it left."""
    rng = np.random.default_rng(0)
    schedule = {"score_every": 1, "update_every": 1, "max_clips": 400}
    engine = RewardEngine("a robot", relevance={"max_steps": 100, "patience": 100}, schedule=schedule)
    size = engine.scorer.image_size
    frames = rng.integers(0, 256, (1, 8, size, size, 3), np.uint8)
    engine.submit([Clip(rng.normal(size=(64, 39)).astype(np.float32), frames, np.array([0])) for _ in range(400)])
    engine.advance(1)
    states = rng.normal(size=(8, 39)).astype(np.float32)
    shaping = median_seconds(lambda: [engine.shape(states) for _ in range(200)]) / 200 * 1e3
    update = engine.metrics()["update_seconds"] / 100 * 1e3
    return [("relevance update, 400 clips", update, "ms/step"), ("shaping 8 envs, 39 features", shaping, "ms")]


def memory() -> list[tuple[str, float, str]]:
    """Megabytes of frames of 400 clips from 8 envs of Meta-World: every episode filmed from 4 views of 224 pixels."""
    env_steps = EPISODES * ENVS * STEPS
    schedule = {"score_every": env_steps, "update_every": 10 * env_steps, "max_clips": 400}
    engine = RewardEngine("a robot", schedule=schedule)
    engine.scorer  # noqa: B018  loads it
    clip = {"views": "all", "film_every": 1, "image_size": 224}
    rig = CameraRig.ring((0, 90, 180, 270), distance=2.0, elevation=-20, lookat=(0, 0.5, 0))
    envs = [FilmedEnv(gym.make("MVR/hammer-v3", shaping=False), rig=rig, clip=clip, seed=i) for i in range(ENVS)]
    made: weakref.WeakSet[Clip] = weakref.WeakSet()
    tracemalloc.start()
    for seed in range(EPISODES):
        play(envs, seed)
        clips = [clip for env in envs for clip in env.pop_clips()]
        made.update(clips)
        engine.submit(clips)
        del clips
    for waiting in made:
        _ = waiting.moments
    del waiting, _
    now, most = tracemalloc.get_traced_memory()
    pool = sum({id(array): array.nbytes for clip in made for array in clip.moments}.values())
    assert len(made) == engine.metrics()["clips_waiting"] == 400
    tracemalloc.reset_peak()
    engine.advance(env_steps)
    scoring = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    measured = {
        "frames of 400 clips from 8 envs, 4 views of 224 pixels": pool,
        "memory beyond them: while they wait": now - pool,
        "memory beyond them: while 40 episodes were filmed, at most": most - pool,
        "memory beyond them: while they are scored, at most": scoring - pool,
    }
    return [(name, size / 1e6, "MB") for name, size in measured.items()]


def play(envs: list[FilmedEnv], seed: int) -> None:
    """Plays an episode in each env, in turns, as a vector does."""
    for i, env in enumerate(envs):
        env.reset(seed=seed * ENVS + i)
    for _ in range(STEPS):
        for env in envs:
            env.step(env.action_space.sample())


def median_seconds(work: Callable[[], object]) -> float:
    """Returns the median seconds of `work` over the repetitions."""
    seconds = []
    for _ in range(REPEATS + 1):
        start = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - start)
    return statistics.median(seconds[1:])


PARTS = {"times": lambda: [scoring(), *learning()], "memory": memory}

if __name__ == "__main__":
    main()
