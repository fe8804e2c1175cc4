"""How fast is the JAX TQC, beside sbx-rl and sb3-contrib? Same networks, batch size, data and machine, in one run.

    python benchmarks/tqc.py [--rounds 7] [--device auto] [--result benchmarks/results/tqc-cpu.md]

prints a table in Markdown. sbx-rl and sb3-contrib are measured where they are installed.

Networks are 3 x 256, with 2 critics of 50 quantiles, batches of 256: the published setting. Measured are

- updates/s: calls of `train` with 16 gradient steps, sampling and transfers included;
- rollout steps/s: env steps of `learn` without training, with 8 envs that cost next to nothing;
- training steps/s: env steps of `learn` with 16 gradient steps every 8 vector steps of 8 envs, as published.

The learners take turns, round by round, so that whatever else the machine does falls on all of them; numbers are
medians over the rounds, and ratios are medians of the ratios within a round. "Bound" is the time of the matrix products
of one update alone, in JAX on the same device, over the time of the update. "Ceiling" is how many updates a second
there would be if nothing but those products were done, at the rate of one large product, the fastest there is.
"""

from __future__ import annotations

import argparse
import importlib.util
import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import gymnasium as gym
import jax
import jax.numpy as jnp
import numpy as np
from gymnasium import spaces
from stable_baselines3.common.off_policy_algorithm import OffPolicyAlgorithm
from stable_baselines3.common.vec_env import DummyVecEnv

from mvr_agents.runs.provenance import made_with

SIZES = ((39, 4), (151, 61))  # observations and actions: Meta-World and HumanoidBench
WIDTH, LAYERS, QUANTILES, CRITICS, BATCH = 256, 3, 50, 2, 256
GRADIENT_STEPS, TRAIN_FREQ, ENVS = 16, 8, 8
FILLED = 20_000  # transitions to sample from
ROLLOUT_STEPS, TRAINING_STEPS = 4_000, 256  # env steps of one measurement
LARGE = 2_048  # rows and columns of the large product
LEARNERS = {"ours": "mvr_agents", "sbx-rl": "sbx", "sb3-contrib": "sb3_contrib"}


class Table(gym.Env[Any, Any]):
    """Replays random observations and rewards, so that stepping costs next to nothing."""

    def __init__(self, observation_dim: int, action_dim: int) -> None:
        rng = np.random.default_rng(0)
        self.observation_space = spaces.Box(-np.inf, np.inf, (observation_dim,), np.float32)
        self.action_space = spaces.Box(-1.0, 1.0, (action_dim,), np.float32)
        self.rows = rng.normal(size=(1_000, observation_dim)).astype(np.float32)
        self.rewards = rng.normal(size=1_000).tolist()
        self.t = 0

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """Starts an episode where the last one ended."""
        super().reset(seed=seed)
        return self.rows[self.t], {}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        """Returns the next row; episodes last 500 steps."""
        self.t = (self.t + 1) % 1_000
        return self.rows[self.t], self.rewards[self.t], False, self.t % 500 == 0, {}


def build(package: str, observation_dim: int, action_dim: int, device: str) -> OffPolicyAlgorithm:
    """Returns a learner whose buffer is filled and whose programs are compiled."""
    module = importlib.import_module(package)
    env = DummyVecEnv([lambda: Table(observation_dim, action_dim)] * ENVS)
    model = module.TQC(
        "MlpPolicy",
        env,
        batch_size=BATCH,
        buffer_size=2 * FILLED,
        learning_starts=FILLED,
        train_freq=TRAIN_FREQ,
        gradient_steps=GRADIENT_STEPS,
        top_quantiles_to_drop_per_net=5,
        policy_kwargs={"net_arch": [WIDTH] * LAYERS, "n_quantiles": QUANTILES, "n_critics": CRITICS},
        seed=0,
        device=device,
    )
    return model.learn(FILLED + 2 * TRAIN_FREQ * ENVS)


def wait(model: OffPolicyAlgorithm) -> None:
    """Returns when the device has done all that `model` asked of it."""
    for name in ("train_state", "actor_state"):  # ours, sbx-rl's; torch on the CPU never runs ahead
        jax.block_until_ready(getattr(model.policy, name, None))


def updates(model: OffPolicyAlgorithm) -> float:
    """Returns gradient steps per second."""
    start = time.perf_counter()
    for _ in range(4):
        model.train(GRADIENT_STEPS, BATCH)
    wait(model)
    return 4 * GRADIENT_STEPS / (time.perf_counter() - start)


def rollout(model: OffPolicyAlgorithm) -> float:
    """Returns env steps per second without training."""
    return _learn(model, ROLLOUT_STEPS, gradient_steps=0)


def training(model: OffPolicyAlgorithm) -> float:
    """Returns env steps per second with training."""
    return _learn(model, TRAINING_STEPS, gradient_steps=GRADIENT_STEPS)


def _learn(model: OffPolicyAlgorithm, steps: int, gradient_steps: int) -> float:
    model.gradient_steps = gradient_steps
    start = time.perf_counter()
    model.learn(steps, reset_num_timesteps=False)
    wait(model)
    return steps / (time.perf_counter() - start)


def product_shapes(observation_dim: int, action_dim: int) -> list[tuple[int, ...]]:
    """Lists the matrix products (m, k, n) of one update; those of all critics at once are (C, m, k, n)."""
    hidden = [(WIDTH, WIDTH)] * (LAYERS - 1)
    actor = [(observation_dim, WIDTH), *hidden, (WIDTH, 2 * action_dim)]
    critic = [(observation_dim + action_dim, WIDTH), *hidden, (WIDTH, QUANTILES)]

    def forward(layers: list[tuple[int, int]]) -> list[tuple[int, ...]]:
        return [(BATCH, i, o) for i, o in layers]

    def to_inputs(layers: list[tuple[int, int]]) -> list[tuple[int, ...]]:
        return [(BATCH, o, i) for i, o in layers]

    def to_kernels(layers: list[tuple[int, int]]) -> list[tuple[int, ...]]:
        return [(i, BATCH, o) for i, o in layers]

    own = [*2 * forward(actor), *to_inputs(actor[1:]), *to_kernels(actor)]  # at s and s', then its gradient
    shared = [
        *forward(critic),
        *forward(critic),
        *to_inputs(critic[1:]),
        *to_kernels(critic),
    ]  # targets, then their loss
    shared += [*forward(critic), *to_inputs(critic)]  # the actor's loss
    return own + [(CRITICS, *shape) for shape in shared]


class Products:
    """The matrix products of an update and nothing else."""

    def __init__(self, observation_dim: int, action_dim: int, device: jax.Device) -> None:
        keys = iter(jax.random.split(jax.random.PRNGKey(0), 200))
        shapes = product_shapes(observation_dim, action_dim)
        draw = lambda *shape: jax.device_put(jax.random.normal(next(keys), shape), device)  # noqa: E731
        self.pairs = [(draw(*c, m, k), draw(*c, k, n)) for *c, m, k, n in shapes]
        self.run = jax.jit(lambda pairs: [jnp.matmul(x, kernel) for x, kernel in pairs])
        jax.block_until_ready(self.run(self.pairs))
        self.flops = sum(2 * math.prod(shape) for shape in shapes)
        self.large = jax.device_put(jnp.ones((LARGE, LARGE)), device)
        self.multiply = jax.jit(jnp.matmul)
        self.peak()

    def peak(self) -> float:
        """Returns how many updates a second they would allow at the rate of one large product."""
        start = time.perf_counter()
        for _ in range(8):
            result = self.multiply(self.large, self.large)
        jax.block_until_ready(result)
        return 8 * 2 * LARGE**3 / (time.perf_counter() - start) / self.flops

    def per_second(self) -> float:
        """Returns how many updates a second they would allow."""
        start = time.perf_counter()
        for _ in range(32):
            results = self.run(self.pairs)
        jax.block_until_ready(results)
        return 32 / (time.perf_counter() - start)


@dataclass
class Measurements:
    """Rates of one learner, one entry a round."""

    updates: list[float] = field(default_factory=list)
    rollout: list[float] = field(default_factory=list)
    training: list[float] = field(default_factory=list)


@dataclass
class Bounds:
    """What the matrix products of an update take, and how many updates a second they allow, one entry a round."""

    gigaflops: float
    products: list[float] = field(default_factory=list)
    ceiling: list[float] = field(default_factory=list)


def measure(size: tuple[int, int], rounds: int, device: str) -> tuple[dict[str, Measurements], Bounds]:
    """Returns the measurements of all installed learners, and what bounds them, for one size."""
    installed = [name for name, package in LEARNERS.items() if importlib.util.find_spec(package)]
    models = {name: build(LEARNERS[name], *size, device) for name in installed}
    bound = Products(*size, jax.tree.leaves(models["ours"].policy.train_state)[0].device)
    results, bounds = {name: Measurements() for name in installed}, Bounds(bound.flops / 1e9)
    kinds: dict[str, Callable[[OffPolicyAlgorithm], float]] = {
        "updates": updates,
        "rollout": rollout,
        "training": training,
    }
    for _ in range(rounds):
        bounds.products.append(bound.per_second())
        bounds.ceiling.append(bound.peak())
        for kind, rate in kinds.items():
            for name, model in models.items():
                getattr(results[name], kind).append(rate(model))
    return results, bounds


def table(results: dict[str, Measurements], bounds: Bounds) -> str:
    """Returns the rows of one size in Markdown."""
    lines = []
    for name, rates in results.items():
        cells = [name]
        for kind in ("updates", "rollout", "training"):
            own, ours = (np.array(getattr(r, kind)) for r in (rates, results["ours"]))
            cells.append(f"{np.median(own):,.0f}")
            cells.append("" if name == "ours" else f"{np.median(ours / own):.1f}x")
        share = np.median(np.array(rates.updates) / np.array(bounds.products))
        lines.append("| " + " | ".join([*cells, f"{share:.0%}"]) + " |")
    return "\n".join(lines)


def describe(device: str) -> str:
    """Returns date, commit, machine, how busy it is, and versions."""
    chips = ", ".join(sorted({d.device_kind for d in jax.devices()}))
    return f"{made_with('jax', 'stable-baselines3', 'sb3-contrib', 'sbx-rl')}; device {device} ({chips})"


def main() -> None:
    """Measures, prints and, if asked, writes the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--result", type=Path, help="Markdown file to write the table to")
    arguments = parser.parse_args()
    text = [f"# TQC learners\n\n{describe(arguments.device)}\n"]
    for size in SIZES:
        results, bounds = measure(size, arguments.rounds, arguments.device)
        text.append(
            f"\n{size[0]} observations, {size[1]} actions: {bounds.gigaflops:.2f} GFLOP an update. Products alone "
            f"{np.median(bounds.products):,.0f} updates/s, ceiling {np.median(bounds.ceiling):,.0f} updates/s\n\n"
            "| learner | updates/s | ours over it | rollout steps/s | ours over it | training steps/s | ours over it "
            f"| bound |\n| --- | --- | --- | --- | --- | --- | --- | --- |\n{table(results, bounds)}\n"
        )
    print("".join(text))
    if arguments.result:
        arguments.result.write_text("".join(text))


if __name__ == "__main__":
    main()
