"""Folders of finished runs that nobody trained: what a report reads, with numbers that a test chooses."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import yaml

import tests.support.tiny_task  # noqa: F401  registers MVR/tiny
from mvr_agents.runs.config import TrainConfig
from mvr_agents.runs.config_file import write_config
from mvr_agents.runs.evaluate import Evaluation
from mvr_agents.runs.evaluations import EvaluationsWriter
from mvr_agents.runs.finished import Finished, write_finished
from mvr_agents.runs.metrics import NAN, MetricsRow, MetricsWriter
from mvr_agents.runs.run_dir import RunDirectory

EVERY = 100  # env steps between evaluations
EPISODES = 4


def write_run(
    folder: Path,
    solved: Sequence[int] | None,
    *,
    seed: int = 0,
    task: str = "tiny",
    returns: Sequence[float] | None = None,
    finished: bool = True,
    change: Callable[[dict[str, Any]], object] = lambda document: None,
    **options: Any,
) -> RunDirectory:
    """Writes a run.

    Args:
        folder: where.
        solved: how many of four episodes succeed in each evaluation, one every 100 steps; None: the env never says.
        seed: of the run.
        task: a registered one.
        returns: mean task return of each evaluation; without it, what is solved.
        finished: write finished.json.
        change: of the document of config.yaml.
        options: of `TrainConfig`.
    """
    folder.mkdir(parents=True)
    run = RunDirectory(folder)
    heights = returns if returns is not None else solved or ()
    hyperparameters = {"steps": EVERY * (len(heights) - 1)} | options.pop("hyperparameters", {})
    config = TrainConfig.for_task(task, seed=seed, hyperparameters=hyperparameters, **options)
    write_config(run.config, config, datetime(2026, 1, 1, 0, 0, seed).astimezone())
    document = yaml.safe_load(run.config.read_text())
    document["machine"] = {"cores": 2, "processor": "Processor X", "memory": 8.0, "gpus": []}
    document["git"] = {"revision": "0123456789", "changed": False}
    change(document)
    run.config.write_text(yaml.safe_dump(document))
    evaluations, metrics = EvaluationsWriter(run.evaluations), MetricsWriter(run.metrics)
    for k, height in enumerate(heights):
        successes = None if solved is None else np.arange(EPISODES) < solved[k]
        lengths = np.full(EPISODES, 50, np.int64)
        evaluations.add(
            k * EVERY, 60.0 * k, Evaluation(np.full(EPISODES, float(height)), lengths, successes, successes)
        )
        share = NAN if solved is None else solved[k] / EPISODES
        shaped: dict[str, Any] = {"abs_shaping": 0.1, "fade": 0.1 / (1 + k)} if config.shaping else {}
        found: dict[str, Any] = {"eval_return": float(height), "eval_success": share}
        metrics.write(MetricsRow(k * EVERY, 60.0 * k, **found, abs_task_reward=1.0 + k, updates=min(k, 1), **shaped))
    if finished:
        write_finished(run.finished, Finished(EVERY * (len(heights) - 1), 3600.0))
    return run
