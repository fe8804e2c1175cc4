"""A few films of noise with labels of every stage, to try the pocket scorer's tools on."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from tools.pocket.films import SIZE, Facts, Film, write_shard

EXPERT = Facts("expert", 0.1, states=160, begun=10, touched=50, solved=90)
NOISY = Facts("expert", 1.0, states=160, begun=0, touched=160, solved=160)
RANDOM = Facts("random", 0.0, states=131, begun=0, touched=131, solved=131)


def write_films(folder: Path, rng: np.random.Generator, bodies: bool = True) -> None:
    """Writes two episodes each of eight tasks, and one of two motions of a body, two views each."""
    folder.mkdir(parents=True)
    films, frames = [], []

    def add(subject: str, seed: int, facts: Facts, count: int) -> None:
        for azimuth in (0.0, 90.0):
            films.append(Film(subject, seed, azimuth, 4, 8, count, facts))
            frames.append(rng.integers(0, 256, (count, SIZE, SIZE, 3), np.uint8))

    tasks = "push reach hammer assembly window-open window-close door-close soccer"
    for seed, task in enumerate(tasks.split()):
        add(f"{task}-v3", seed, EXPERT, 19)
        add(f"{task}-v3", 100 + seed, RANDOM, 12)
    if bodies:
        for seed, motion in enumerate(("walk", "lie")):
            add("ant", seed, Facts(motion, 0.0, 96, 0, 96, 96), 9)
    write_shard(folder / "00-all", films, frames)
