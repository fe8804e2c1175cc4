"""Do the nine HumanoidBench tasks of the paper run? Each is made, stepped, filmed from four views and trained on.

    OMP_NUM_THREADS=1 python benchmarks/humanoidbench.py [TASK ...]

prints a table in Markdown. Needs a clone of HumanoidBench and the extras `humanoid-bench` and `train`.

Steps/s are of the task's own env under random actions, resets included. Frames/s are of whole episodes filmed after the
fact from the four views of the rig: 224 pixels, fast quality, every tenth state. Training is
`mvr train --agent sb3-tqc`, shaped by the pocket scorer, for 2,000 environment steps (up to the end of a round), with
clips of 16 states, as an untrained humanoid falls within 64; the return is the task's own, the mean of two episodes of
the policy that training left. 2,000 steps teach nothing: published trainings take 10,000,000.
"""

from __future__ import annotations

import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mvr_agents.runs.config import TrainConfig
from mvr_agents.runs.metrics import read_metrics
from mvr_agents.runs.provenance import made_with
from mvr_agents.training import train
from mvr_wrappers import get_task
from mvr_wrappers.envs.task_env import make_task_env
from mvr_wrappers.errors import MissingExtraError
from mvr_wrappers.filming import CameraRig, Recorder, Renderer, film, find_mujoco

TASKS = ("balance_hard", "balance_simple", "run", "sit_hard", "sit_simple", "slide", "stair", "stand", "walk")
STEPS, TRAINING_STEPS, EVERY = 1_000, 2_000, 10
COLUMNS = ("task", "observation", "action", "steps/s", "film frames/s", "trained", "mean return")


@dataclass(frozen=True, slots=True)
class Row:
    """What one task did: see the module's text."""

    task: str
    observation: int
    action: int
    steps_per_second: float
    frames_per_second: float
    trained: str
    mean_return: float

    def __str__(self) -> str:
        """Returns a row of the table."""
        cells = (
            *(self.task, self.observation, self.action, f"{self.steps_per_second:.0f}"),
            *(f"{self.frames_per_second:.0f}", self.trained, f"{self.mean_return:.1f}"),
        )
        return f"| {' | '.join(map(str, cells))} |"


def main() -> None:
    """Prints the table, row by row."""
    names = sys.argv[1:] or [f"h1hand-{task}-v0" for task in TASKS]
    try:
        make_task_env(get_task(names[0])).close()
    except MissingExtraError as error:
        print(f"not measured: {error}")
        return
    print(f"{made_with('dm_control')}\n\n| {' | '.join(COLUMNS)} |\n|{' --- |' * len(COLUMNS)}")
    for name in names:
        print(measure(name), flush=True)


def measure(name: str) -> Row:
    """Makes, steps, films and trains on one task."""
    spec = get_task(name)
    env = make_task_env(spec)
    env.action_space.seed(0)
    model, data = find_mujoco(env)
    states = Recorder(model)
    observation, _ = env.reset(seed=0)
    states.start(data, observation)
    stepping = 0.0
    for _ in range(STEPS):
        action = env.action_space.sample()
        began = time.perf_counter()
        observation, _, terminated, truncated, _ = env.step(action)
        if terminated or truncated:
            observation, _ = env.reset()
        stepping += time.perf_counter() - began
        states.append(data, observation)
    began = time.perf_counter()
    with Renderer(model, 224, "fast") as renderer:
        frames = film(renderer, states.physics, np.arange(0, STEPS, EVERY), CameraRig.from_config(spec.rig or {}).views)
    filming = time.perf_counter() - began
    views, times = frames.shape[:2]
    if len(np.unique(frames.reshape(views * times, -1).mean(axis=1))) < views:
        raise RuntimeError(f"the views of {name} show nothing: all frames are alike")
    sizes = observation.size, env.action_space.sample().size
    env.close()
    return Row(name, *sizes, STEPS / stepping, views * times / filming, *trained(name))


def trained(name: str) -> tuple[str, float]:
    """Trains, and returns what happened and the mean task return of the policy that is left."""
    with tempfile.TemporaryDirectory() as outputs:
        config = TrainConfig.for_task(
            name,
            agent="sb3-tqc",
            outputs=Path(outputs),
            clip={"length": 16, "film_every": 2},
            schedule={"score_every": 500, "update_every": 1_000},
            relevance={"max_steps": 50},
            hyperparameters={
                "steps": TRAINING_STEPS,
                "learning_starts": 1_000,
                "buffer_size": TRAINING_STEPS,
                "eval_every": TRAINING_STEPS,
                "eval_episodes": 2,
            },
        )
        metrics = read_metrics(train(config, progress=False).metrics)
    steps, clips, updates = (int(metrics[key][-1]) for key in ("step", "clips_scored", "updates"))
    return f"{steps:,} steps, {clips} clips, {updates} updates", float(metrics["eval_return"][-1])


if __name__ == "__main__":
    main()
