"""Does the JAX TQC learn as well as sb3-contrib's? Both from the same script, with the same hyper-parameters and seeds.

    OMP_NUM_THREADS=1 python benchmarks/learning_curves.py run [--learner NAME ...] [--env ID ...] [--seeds N ...]
    python benchmarks/learning_curves.py report

`run` trains what has no file yet and writes one CSV file a run under benchmarks/results/learning/: env steps, and the
mean return of 10 deterministic episodes, every 5,000 steps. Several may run side by side with different arguments.
`report` draws the curves and prints the table in Markdown, and writes both beside them. The final return of a run is
the mean of its last three evaluations; the interval is Student's over the seeds of sb3-contrib.

Hyper-parameters are the learners' common defaults but for batches of 128 and 4 envs with 2 gradient steps a vector step
(one for every two env steps): half the updates of the defaults, which sb3-contrib would need hours for.
"""

from __future__ import annotations

import argparse
import importlib
from pathlib import Path

import curves
import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

from mvr_agents.runs.provenance import made_with

STEPS = {"Pendulum-v1": 20_000, "HalfCheetah-v5": 100_000, "Hopper-v5": 100_000}
LEARNERS = {"ours": "mvr_agents", "sb3-contrib": "sb3_contrib"}
OPTIONS = {"batch_size": 128, "gradient_steps": 2, "learning_starts": 1_000}
ENVS, EVAL_EVERY, EVAL_EPISODES, LAST = 4, 5_000, 10, 3
EVAL_SEED = 10_000
RESULTS = Path(__file__).parent / "results" / "learning"


def train(learner: str, env: str, seed: int) -> NDArray[np.float64]:
    """Trains one agent and returns its curve, float (K, 2): env steps, mean return of the evaluation episodes."""
    from stable_baselines3.common.env_util import make_vec_env
    from stable_baselines3.common.evaluation import evaluate_policy

    test = make_vec_env(env, seed=EVAL_SEED + seed)
    model = importlib.import_module(LEARNERS[learner]).TQC(
        "MlpPolicy", make_vec_env(env, ENVS, seed=seed), seed=seed, **OPTIONS
    )
    curve = []
    for step in range(0, STEPS[env] + 1, EVAL_EVERY):
        if step:
            model.learn(EVAL_EVERY, reset_num_timesteps=False)
        curve.append((step, evaluate_policy(model, test, EVAL_EPISODES)[0]))
    return np.array(curve)


def path(learner: str, env: str, seed: int) -> Path:
    """Returns where the curve of a run is kept."""
    return RESULTS / f"{env}-{learner}-{seed}.csv"


def run(arguments: argparse.Namespace) -> None:
    """Trains what is missing."""
    RESULTS.mkdir(parents=True, exist_ok=True)
    for seed in arguments.seeds:
        for env in arguments.env:
            for learner in arguments.learner:
                file = path(learner, env, seed)
                if not file.exists():
                    origin = made_with("jax", "sb3-contrib")
                    curve = train(learner, env, seed)
                    curves.save(file, curve, "step,return", origin)
                    print(file.name, f"{curve[-LAST:, 1].mean():.1f}", flush=True)


def files_of(learner: str, env: str) -> list[Path]:
    """Returns the files of a learner's runs on an env."""
    return sorted(RESULTS.glob(f"{env}-{learner}-*.csv"))


def interval(values: NDArray[np.float64]) -> tuple[float, float]:
    """Returns Student's 95% interval of the mean."""
    from scipy import stats

    low, high = stats.t.interval(0.95, len(values) - 1, loc=values.mean(), scale=stats.sem(values))
    return float(low), float(high)


def report(arguments: argparse.Namespace) -> None:
    """Draws and prints what the runs so far say."""
    import matplotlib

    matplotlib.use("agg")
    import matplotlib.pyplot as plt
    from matplotlib.ticker import MaxNLocator

    files = [file for env in arguments.env for learner in LEARNERS for file in files_of(learner, env)]
    figure, axes = plt.subplots(1, len(arguments.env), figsize=(4 * len(arguments.env), 3.2), layout="constrained")
    lines = [
        f"# Learning curves\n\n`python benchmarks/learning_curves.py run`, then `report`. {curves.origins(files)}.\n",
        "| env | steps | seeds | ours, each seed | ours | sb3-contrib | its 95% interval | ours within or above |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for axis, env in zip(np.atleast_1d(axes), arguments.env, strict=True):
        finals = {}
        for learner, color in zip(LEARNERS, ("tab:blue", "tab:orange"), strict=True):
            runs = np.array([curves.load(file) for file in files_of(learner, env)])  # seeds, evaluations, columns
            steps, returns = runs[0, :, 0], runs[:, :, 1]
            axis.plot(steps, returns.T, color=color, alpha=0.3, linewidth=0.8)
            axis.plot(steps, returns.mean(axis=0), color=color, label=f"{learner}, mean of {len(runs)} seeds")
            finals[learner] = returns[:, -LAST:].mean(axis=1)
        axis.set(title=env, xlabel="env steps", ylabel="return of 10 episodes")
        axis.xaxis.set_major_locator(MaxNLocator(4))
        low, high = interval(finals["sb3-contrib"])
        ours = finals["ours"]
        each = ", ".join(f"{value:.0f}" for value in ours)
        lines.append(
            f"| {env} | {STEPS[env]:,} | {len(ours)} | {each} | {ours.mean():.0f} | {finals['sb3-contrib'].mean():.0f} "
            f"| {low:.0f} to {high:.0f} | {'yes' if ours.mean() >= low else 'no'} |"
        )
    np.atleast_1d(axes)[0].legend(fontsize="small", loc="lower right")
    figure.savefig(RESULTS / "curves.png", dpi=130)
    text = "\n".join(lines) + "\n\n![curves](curves.png)\n"
    (RESULTS / "README.md").write_text(text)
    print(text)


def main() -> None:
    """Runs what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("run", "report"))
    parser.add_argument("--learner", nargs="+", choices=list(LEARNERS), default=list(LEARNERS))
    parser.add_argument("--env", nargs="+", choices=list(STEPS), default=list(STEPS))
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    arguments = parser.parse_args()
    gym.logger.min_level = gym.logger.ERROR
    {"run": run, "report": report}[arguments.what](arguments)


if __name__ == "__main__":
    main()
