"""Do memory, threads, file handles and OpenGL contexts grow? Long and odd runs of a tiny simulation.

    python benchmarks/endurance.py [--share 1.0] [--result benchmarks/results/endurance.md]

- 10,000 episodes of 3 steps, every tenth filmed;
- one episode of 200,000 steps, all of it filmed, in stretches;
- 200 shaped envs made, played and closed, half of them with an engine in a thread;
- an hour of training at 50 steps a second, 180,000 steps, in 8 envs; all episodes are filmed, scored and learned from.

Each is measured after a fifth of it, when what is kept for good is there, and at its end. `--share 0.01` runs a
hundredth.
"""

from __future__ import annotations

import argparse
import gc
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mvr_agents.runs.provenance import made_with
from mvr_wrappers import MultiViewVLMRewardWrapper
from mvr_wrappers.filming import gl
from mvr_wrappers.sb3 import make_vec_env
from tests.support.fake_scorer import FakeScorer
from tests.support.tiny_env import TinyEnv
from tests.support.tiny_task import CLIP, RELEVANCE

Work = Iterator[None]


@dataclass(frozen=True, slots=True)
class Held:
    """What this process holds at a moment.

    Attributes:
        memory: resident, in MB.
        files: open file handles.
        threads: of Python.
        contexts: of OpenGL.
    """

    memory: float
    files: int
    threads: int
    contexts: int

    @classmethod
    def now(cls) -> Held:
        """Looks."""
        gc.collect()
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        handles = len(list(Path("/proc/self/fd").iterdir()))
        return cls(pages * 4096 / 1e6, handles, threading.active_count(), len(gl._process.contexts))


def shaped(env: TinyEnv, **options: Any) -> MultiViewVLMRewardWrapper:
    """Returns a shaped env that scores and learns now and then."""
    given: dict[str, Any] = {
        "clip": CLIP,
        "relevance": RELEVANCE,
        "schedule": {"score_every": 500, "update_every": 5_000},
    }
    return MultiViewVLMRewardWrapper(env, "a ball", scorer=FakeScorer(), device="cpu", **given | options)


def short_episodes(count: int) -> Work:
    """Plays episodes of three steps."""
    env = shaped(TinyEnv(max_steps=3), clip=CLIP | {"length": 3, "stride": 1, "frames": 2, "film_every": 10})
    for _ in range(count):
        env.reset()
        for _ in range(3):
            env.step(env.action_space.sample())
        yield
    env.close()


def endless_episode(steps: int) -> Work:
    """Plays one episode."""
    env = shaped(TinyEnv(max_steps=10**9), clip=CLIP | {"stride": 200})
    env.reset(seed=0)
    for _ in range(steps):
        env.step(env.action_space.sample())
        yield
    env.close()


def many_envs(count: int) -> Work:
    """Makes envs, plays an episode in each, and closes them."""
    for i in range(count):
        env = shaped(TinyEnv(), mode=("sync", "async")[i % 2], schedule={"score_every": 20, "update_every": 40})
        env.reset(seed=i)
        for _ in range(41):
            if env.step(env.action_space.sample())[3]:
                env.reset()
        env.close()
        yield


def training(steps: int) -> Work:
    """Plays in eight envs at once."""
    venv = make_vec_env("tiny", n_envs=8, seed=0, device="cpu", schedule={"score_every": 1_000, "update_every": 20_000})
    venv.reset()
    rng = np.random.default_rng(0)
    for _ in range(steps // 8):
        venv.step(rng.uniform(-1, 1, (8, 2)).astype(np.float32))
        yield
    venv.close()


RUNS: dict[str, tuple[Callable[[int], Work], int, int]] = {
    "10,000 episodes of 3 steps": (short_episodes, 10_000, 10_000),
    "an episode of 200,000 steps": (endless_episode, 200_000, 200_000),
    "200 envs made and closed": (many_envs, 200, 200),
    "an hour of training, 8 films at once": (training, 180_000, 22_500),
}
"""Name -> work, its size, and how many parts it yields."""


def measure(name: str, share: float) -> tuple[Held, Held]:
    """Returns what is held after a fifth of the work, and while the last part is done."""
    work, size, parts = RUNS[name]
    parts = max(5, int(parts * share))
    early = late = Held.now()
    for i, _ in enumerate(work(max(40, int(size * share)))):
        if i == parts // 5:
            early = Held.now()
        if i == parts - 1:
            late = Held.now()
    return early, late


def main() -> None:
    """Prints the table, and writes it if asked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--share", type=float, default=1.0)
    parser.add_argument("--result", type=Path)
    options = parser.parse_args()
    lines = [f"{made_with()}; after a fifth of the work -> at its end", ""]
    lines += ["| work | memory, MB | file handles | threads | OpenGL contexts |", "| - | - | - | - | - |"]
    for name in RUNS:
        early, late = measure(name, options.share)
        pairs = ((early.files, late.files), (early.threads, late.threads), (early.contexts, late.contexts))
        cells = [f"{early.memory:.0f} -> {late.memory:.0f}", *(f"{before} -> {after}" for before, after in pairs)]
        lines.append(f"| {name} | {' | '.join(cells)} |")
        print(lines[-1], flush=True)
    text = "\n".join(lines) + "\n"
    print(text)
    if options.result:
        options.result.write_text(text)


if __name__ == "__main__":
    main()
