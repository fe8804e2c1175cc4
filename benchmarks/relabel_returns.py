"""Does relabelling pay? The same training with rewards that follow the relevance model, and with those first stored.

    OMP_NUM_THREADS=1 python benchmarks/relabel_returns.py run [--seeds 0 1 2 ...] [--task NAME] [--weight W]
    python benchmarks/relabel_returns.py report

`run` trains what has no file yet, both arms of a seed one after the other, and writes one CSV file a run under
benchmarks/results/relabel_returns/: env steps, mean task return and success rate of 10 deterministic episodes, 5 times
over the training. `report` prints the table, with Student's 95% intervals over the seeds of the last evaluation and of
the mean over the curve, and of the paired differences, and writes it beside the results.

Both arms are the JAX TQC on the demo preset (Meta-World, episodes of 200 steps, pocket scorer, several updates of
relevance) with smaller networks, so that a run takes about a minute of one core; they have the same seeds, films and
schedule, and differ in `relabel` alone. The weight is the largest of the published ones: the more of the reward is
learned, the more there is to grow stale.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import curves
import numpy as np
from numpy.typing import NDArray

from mvr_agents.runs.provenance import made_with

ARMS = {"relabelled": True, "as stored": False}
STEPS, EVALUATIONS, EPISODES, EVAL_SEED = 15_000, 5, 10, 10_000
SCHEDULE = {"score_every": 1_000, "update_every": 2_000}
AGENT = {"net_arch": [128, 128], "batch_size": 128, "gradient_steps": 16, "learning_rate": (1e-3, 3e-4)}
RESULTS = Path(__file__).parent / "results" / "relabel_returns"


def train(task: str, weight: float, seed: int, relabel: bool) -> NDArray[np.float64]:
    """Trains one agent and returns its curve, float (K, 3): env steps, mean task return, success rate."""
    from mvr_agents import evaluate
    from mvr_agents.learners import jax_tqc
    from mvr_agents.runs.evaluate import agent_policy
    from mvr_wrappers import get_task
    from mvr_wrappers.envs.task_env import make_task_env
    from mvr_wrappers.sb3 import RewardLogger, make_vec_env

    spec = get_task(task, "demo", weight=weight)
    settings: Any = {**spec.agent, **AGENT}
    learning: Any = {"weight": weight, "schedule": SCHEDULE, "relabel": relabel, "device": "cpu"}
    venv = make_vec_env(task, n_envs=settings["n_envs"], seed=seed, preset="demo", **learning)
    agent = jax_tqc.make(venv, settings, seed=seed, device="cpu")
    env, curve = make_task_env(spec), []
    for _ in range(EVALUATIONS):
        agent.learn(STEPS // EVALUATIONS, RewardLogger(), reset_num_timesteps=False)
        result = evaluate(env, agent_policy(agent), EPISODES, EVAL_SEED)
        curve.append((agent.num_timesteps, result.mean_return, result.success_rate))
    venv.close()
    env.close()
    return np.array(curve)


def path(task: str, weight: float, seed: int, arm: str) -> Path:
    """Returns where the curve of a run is kept."""
    return RESULTS / f"{task}-{weight:g}-{arm.replace(' ', '-')}-{seed}.csv"


def run(arguments: argparse.Namespace) -> None:
    """Trains what is missing."""
    RESULTS.mkdir(parents=True, exist_ok=True)
    for seed in arguments.seeds:
        for arm, relabel in ARMS.items():
            file = path(arguments.task, arguments.weight, seed, arm)
            if not file.exists():
                origin = made_with("jax", "metaworld")
                curve = train(arguments.task, arguments.weight, seed, relabel)
                curves.save(file, curve, "step,return,success", origin)
                print(file.name, f"return {curve[-1, 1]:.0f}, success {curve[-1, 2]:.0%}", flush=True)


def interval(values: NDArray[np.float64], form: str = "{:.0f}") -> str:
    """Returns the mean and Student's 95% interval of the mean."""
    from scipy import stats

    if len(values) < 2 or not values.std():
        return form.format(values.mean())
    low, high = stats.t.interval(0.95, len(values) - 1, loc=values.mean(), scale=stats.sem(values))
    return f"{form.format(values.mean())} ({form.format(low)} to {form.format(high)})"


def report(arguments: argparse.Namespace) -> None:
    """Prints and writes the table of the seeds that have both arms."""
    files = {
        arm: [path(arguments.task, arguments.weight, seed, arm) for seed in range(arguments.most_seeds)] for arm in ARMS
    }
    pairs = [pair for pair in zip(*files.values(), strict=True) if all(file.exists() for file in pair)]
    if not pairs:
        raise SystemExit("no seed has both arms yet: `python benchmarks/relabel_returns.py run` trains them")
    runs = np.array([[curves.load(file) for file in pair] for pair in pairs])  # seeds, arms, evaluations, columns
    measures = {
        "task return, last": (runs[:, :, -1, 1], "{:.0f}"),
        "task return, mean of the curve": (runs[:, :, :, 1].mean(axis=2), "{:.0f}"),
        "success, last": (runs[:, :, -1, 2], "{:.0%}"),
        "success, mean of the curve": (runs[:, :, :, 2].mean(axis=2), "{:.0%}"),
    }
    lines = [
        f"# Relabelling against rewards as stored: {arguments.task}, w = {arguments.weight:g}\n",
        f"{STEPS:,} env steps, {len(pairs)} seeds; mean and 95% interval of the mean; "
        f"`python benchmarks/relabel_returns.py run`, then `report`. {curves.origins(sum(pairs, ()))}\n",
        "| | " + " | ".join(ARMS) + " | paired difference |\n| --- | --- | --- | --- |",
    ]
    for name, (values, form) in measures.items():
        columns = [values[:, 0], values[:, 1], values[:, 0] - values[:, 1]]
        lines.append(f"| {name} | " + " | ".join(interval(column, form) for column in columns) + " |")
    text = "\n".join(lines) + "\n"
    (RESULTS / "README.md").write_text(text, encoding="utf-8")
    print(text)


def main() -> None:
    """Runs what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", nargs="?", choices=("run", "report"), default="report")
    parser.add_argument("--task", default="faucet-close-v3")
    parser.add_argument("--weight", type=float, default=0.5)
    parser.add_argument("--seeds", nargs="+", type=int, default=list(range(10)))
    parser.add_argument("--most-seeds", type=int, default=100, help="seeds below this are reported")
    arguments = parser.parse_args()
    {"run": run, "report": report}[arguments.what](arguments)


if __name__ == "__main__":
    main()
