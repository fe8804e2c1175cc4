"""Does the term fade? Measured on finished runs of `mvr train`.

    python benchmarks/fading.py RUN [RUN ...]

prints one row a run, in Markdown: mean r_vlm over the states of the reference set, which is 0 by definition where
`reward.baseline` is "reference"; over the states of all clips kept; over the training episodes of the last steps and
over as many evaluation episodes of the agent as it ended, with their success; and mean |shaping| over mean |task
reward| at the beginning and at the end.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mvr_agents.runs.evaluate import Policy
from mvr_agents.runs.metrics import read_metrics
from mvr_agents.runs.provenance import made_with
from mvr_agents.runs.saved_run import SavedRun
from mvr_wrappers.engine.arrays_file import read_arrays
from mvr_wrappers.engine.engine import RewardEngine
from mvr_wrappers.envs.task_env import make_task_env

EPISODES = 20
HEADER = (
    *("run", "reference states", "all clips", f"last {EPISODES} training episodes"),
    *(f"{EPISODES} evaluation episodes", "success", "fade, first tenth of the steps with a reward", "last tenth"),
)


def played(run: SavedRun, policy: Policy) -> tuple[NDArray[np.float32], float]:
    """Returns the states (N, D) that actions were taken in, and the share of episodes with success."""
    states, solved = [], 0
    env = make_task_env(run.spec)
    for i in range(EPISODES):
        observation, _ = env.reset(seed=run.seed + i)
        over = success = False
        while not over:
            states.append(observation)
            observation, _, terminated, truncated, info = env.step(policy(observation))
            success |= bool(info.get("is_success", False))
            over = terminated or truncated
        solved += success
    env.close()
    return np.array(states, np.float32), solved / EPISODES


def clip_states(run: SavedRun, part: str) -> NDArray[np.float32]:
    """Returns the states of a part of the engine's file, (N, D)."""
    states: NDArray[np.float32] = read_arrays(run.directory.engine)[1][f"reward_model/{part}/states"]
    return states.reshape(-1, states.shape[-1])


def row(path: Path) -> list[str]:
    """Measures one run."""
    run = SavedRun.open(path)
    metrics = read_metrics(run.directory.metrics)
    with RewardEngine.load(run.directory.engine, device="cpu") as engine:
        states, success = played(run, run.policy)
        means = [
            float(engine.vlm_reward(part).mean())
            for part in (clip_states(run, "reference/clips"), clip_states(run, "dataset/train"), states)
        ]
    length = len(states) // EPISODES
    late = metrics["step"] > metrics["step"][-1] - EPISODES * length
    training = float(np.nanmean(metrics["vlm_reward"][late]))
    shaped = np.flatnonzero((metrics["updates"] > 0) & np.isfinite(metrics["abs_shaping"]))
    tenth = max(1, len(shaped) // 10)
    fades = [
        metrics["abs_shaping"][rows].mean() / metrics["abs_task_reward"][rows].mean()
        for rows in (shaped[:tenth], shaped[-tenth:])
    ]
    reference, clips, evaluation = means
    numbers = [f"{value:.3f}" for value in (reference, clips, training, evaluation)]
    return [f"{run.config.task}, seed {run.config.seed}", *numbers, f"{success:.0%}", *(f"{it:.0%}" for it in fades)]


def main(paths: list[str]) -> None:
    """Prints the table."""
    print(f"{made_with()}\n\n| {' | '.join(HEADER)} |\n{'| --- ' * len(HEADER)}|")
    for path in paths:
        print(f"| {' | '.join(row(Path(path)))} |", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
