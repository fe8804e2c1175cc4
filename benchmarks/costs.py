"""What scoring, learning relevance and shaping cost, as a table in Markdown. Filming has a benchmark of its own.

    OMP_NUM_THREADS=1 python benchmarks/costs.py

Every figure is the median of several repetitions on this machine, after one that is not counted.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

import numpy as np
import torch

from mvr_agents.runs.provenance import made_with
from mvr_wrappers import Clip, RewardEngine, load_scorer

REPEATS = 9


def main() -> None:
    """Prints the table."""
    origin = made_with()
    rows = [scoring(), *learning()]
    print(f"{origin}\n\ntorch threads: {torch.get_num_threads()}\n\n| work | median | unit |\n| --- | --- | --- |")
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


def median_seconds(work: Callable[[], object]) -> float:
    """Returns the median seconds of `work` over the repetitions."""
    seconds = []
    for _ in range(REPEATS + 1):
        start = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - start)
    return statistics.median(seconds[1:])


if __name__ == "__main__":
    main()
