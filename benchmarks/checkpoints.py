"""What does a checkpoint cost? Seconds, bytes and memory of saving and loading a replay buffer of a million rows.

    python benchmarks/checkpoints.py [--rows 1000000] [--result benchmarks/results/checkpoints.md]

fills `RelabelReplayBuffer` (Stable-Baselines3) and `DeviceReplayBuffer` (`mvr_agents.TQC`) with rows of 151 numbers (45
of the state, 45 of the next, 61 of the action) and, apart, with rows whose states alone have 151 (h1hand of
HumanoidBench: 363 numbers). Timed are a first checkpoint, in which all rows are new, one with 5% of new rows, as the
default interval makes it, and loading. All is synced to the disk and summed by SHA-256. Memory is what the process
holds more than at its highest before.
"""

from __future__ import annotations

import argparse
import resource
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import numpy as np
from gymnasium import spaces

from mvr_agents.checkpoints.durable import sync_files
from mvr_agents.checkpoints.replay_log import ReplayLog, changing_columns, read_columns, write_columns
from mvr_agents.runs.provenance import made_with
from mvr_agents.tqc.replay import DeviceReplayBuffer
from mvr_wrappers.sb3 import RelabelReplayBuffer

ENVS, ACTIONS = 8, 61
STATES = {"151 numbers": 45, "363 numbers": 151}


def new_buffer(kind: type[Any], rows: int, dim: int) -> Any:
    """Returns an empty buffer."""
    box, actions = (spaces.Box(-1.0, 1.0, (size,), np.float32) for size in (dim, ACTIONS))
    return kind(rows, box, actions, "cpu", n_envs=ENVS)


def filled(kind: type[Any], rows: int, dim: int) -> Any:
    """Returns a buffer that is full of random numbers."""
    buffer = new_buffer(kind, rows, dim)
    rng = np.random.default_rng(0)
    buffer.full = True
    shape = (buffer.buffer_size, ENVS, dim)
    if kind is RelabelReplayBuffer:
        for column in (buffer.observations, buffer.next_observations):
            rng.standard_normal(dtype=np.float32, out=column)
        return buffer
    states = jax.device_put(rng.standard_normal(shape, np.float32), buffer.jax_device)
    buffer.storage = buffer.storage._replace(observations=states)
    return buffer


def timed(work: Callable[[], object]) -> float:
    """Returns the seconds that it takes."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def held() -> float:
    """Returns the most memory that this process has held, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def measure(kind: type[Any], rows: int, dim: int, folder: Path) -> list[str]:
    """Returns the cells of a row of the table."""
    buffer, log, states = filled(kind, rows, dim), ReplayLog(folder / "replay"), {}

    def save(added: int) -> None:
        states["last"] = log.append(buffer, added)
        write_columns(folder / "columns.npz", changing_columns(buffer))
        sync_files(folder)

    before = held()
    first = timed(lambda: save(buffer.buffer_size))
    more = held() - before
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    new = buffer.buffer_size // 20
    buffer.pos = new
    second = timed(lambda: save(new))
    buffer.reset()
    empty = new_buffer(kind, rows, dim)
    load = timed(lambda: ReplayLog(folder / "replay").fill(empty, states["last"], read_columns(folder / "columns.npz")))
    return [f"{size / 1e6:,.0f} MB", f"{first:.1f} s", f"{more:,.0f} MB", f"{second:.2f} s", f"{load:.1f} s"]


def main() -> None:
    """Prints the table, and writes it if asked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--result", type=Path)
    options = parser.parse_args()
    lines = [f"{made_with('jax', 'stable-baselines3')}; {options.rows:,} rows; goal: a checkpoint within 5 s", ""]
    lines += ["| buffer | a row | on disk | all rows new | memory above | 5% new | loading |", "| - " * 7 + "|"]
    for kind in (RelabelReplayBuffer, DeviceReplayBuffer):
        for words, dim in STATES.items():
            with tempfile.TemporaryDirectory(dir=".") as folder:
                cells = measure(kind, options.rows, dim, Path(folder))
            lines.append(f"| {' | '.join([kind.__name__, words, *cells])} |")
            print(lines[-1], flush=True)
    text = "\n".join(lines) + "\n"
    print(text)
    if options.result:
        options.result.write_text(text)


if __name__ == "__main__":
    main()
