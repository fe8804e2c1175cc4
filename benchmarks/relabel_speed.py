"""How long does relabelling one million transitions take? On the host, and on the device of the JAX learner.

    python benchmarks/relabel_speed.py [--device auto] [--states 1000000] [--result benchmarks/results/relabel_speed.md]

fills `RelabelReplayBuffer` (Stable-Baselines3) and `DeviceReplayBuffer` (`mvr_agents.TQC`) with transitions of 8
envs and 151-dimensional states (HumanoidBench), publishes new snapshots of a relevance model of the published size
(two layers of 512), and times `relabel`: the fastest of three after one that is not counted, in wall time and in CPU
time of all threads. The additive rule looks at one state a transition, the potential rule at two.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path

import jax
import numpy as np
from gymnasium import spaces

from mvr_agents.runs.provenance import made_with
from mvr_agents.tqc.devices import find_device
from mvr_agents.tqc.replay import DeviceReplayBuffer
from mvr_wrappers import RewardEngine, RewardSnapshot
from mvr_wrappers.relevance_net import RelevanceNet
from mvr_wrappers.sb3 import RelabelReplayBuffer
from mvr_wrappers.settings import RewardSettings

ENVS, DIM, ACTIONS, HIDDEN = 8, 151, 61, 512
REPEATS = 3
GOALS = "goal: 10 s on 2 CPU cores, 0.5 s on a GPU"


def snapshot(rule: str) -> RewardSnapshot:
    """Returns a reward of a random network of the published size."""
    rng = np.random.default_rng(0)
    shapes = ((DIM,), (DIM,), (DIM, HIDDEN), (HIDDEN,), (HIDDEN, HIDDEN), (HIDDEN,), (HIDDEN,))
    net = RelevanceNet(*(0.05 * rng.normal(size=shape) for shape in shapes))
    reward = RewardSettings(rule=rule)  # type: ignore[arg-type]
    return RewardSnapshot.build(net, rng.uniform(-1, 1, 640), tau=0.1, weight=0.1, reward=reward, version=1)


def fill(buffer: RelabelReplayBuffer | DeviceReplayBuffer) -> None:
    """Declares a buffer full, of random observations."""
    buffer.full = True
    rows = np.random.default_rng(0).standard_normal((buffer.buffer_size, ENVS, DIM), np.float32)
    if isinstance(buffer, RelabelReplayBuffer):
        buffer.observations, buffer.next_observations = rows, np.roll(rows, -1, axis=0)
        return
    put = jax.device_put(rows, buffer.jax_device)
    del rows
    buffer.storage = buffer.storage._replace(observations=put, next_observations=jax.numpy.roll(put, -1, axis=0))


def measure(relabel: Callable[[], object], renew: Callable[[], None]) -> tuple[float, float]:
    """Returns the least wall time and the least CPU time of relabelling."""
    walls, cpus = [], []
    for _ in range(REPEATS + 1):
        renew()
        wall, cpu = time.perf_counter(), time.process_time()
        relabel()
        walls.append(time.perf_counter() - wall)
        cpus.append(time.process_time() - cpu)
    return min(walls[1:]), min(cpus[1:])


def main() -> None:
    """Measures, prints and, if asked, writes the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--states", type=int, default=1_000_000)
    parser.add_argument("--result", type=Path, help="Markdown file to write the table to")
    arguments = parser.parse_args()
    origin, device = made_with("jax", "stable-baselines3"), find_device(arguments.device)
    space, actions = spaces.Box(-np.inf, np.inf, (DIM,), np.float32), spaces.Box(-1, 1, (ACTIONS,), np.float32)
    engine = RewardEngine("anything")
    lines = [
        f"# Relabelling {arguments.states:,} transitions of {DIM}-dimensional states\n",
        f"{origin}; JAX on {device.device_kind}; {GOALS}; `python benchmarks/relabel_speed.py`\n",
        "| buffer | rule | wall time, s | CPU time, s |\n| --- | --- | --- | --- |",
    ]

    def on_host() -> RelabelReplayBuffer:
        return RelabelReplayBuffer(arguments.states, space, actions, "cpu", ENVS, engine=engine)

    def on_device() -> DeviceReplayBuffer:
        return DeviceReplayBuffer(arguments.states, space, actions, device, ENVS, engine=engine)

    for name, make in (("`RelabelReplayBuffer`, NumPy", on_host), ("`DeviceReplayBuffer`, JAX", on_device)):
        buffer = make()
        fill(buffer)

        def relabel(buffer: RelabelReplayBuffer | DeviceReplayBuffer = buffer) -> None:
            buffer.relabel()
            if isinstance(buffer, DeviceReplayBuffer):
                jax.block_until_ready(buffer.storage.shaping)

        for rule in ("additive", "potential"):
            wall, cpu = measure(relabel, lambda rule=rule: engine.publish(snapshot(rule)))  # type: ignore[misc]
            lines.append(f"| {name} | {rule} | {wall:.2f} | {cpu:.2f} |")
        del buffer, relabel
    text = "\n".join(lines) + "\n"
    print(text)
    if arguments.result:
        arguments.result.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
