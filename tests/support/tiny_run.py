"""A training of MVR/tiny that takes a second, for Python and for the command line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import tests.support.tiny_task  # noqa: F401  registers MVR/tiny
from mvr_agents.runs.config import TrainConfig

HYPERPARAMETERS: dict[str, Any] = {
    **{"steps": 240, "n_envs": 2, "learning_starts": 40, "train_freq": 8, "gradient_steps": 1, "buffer_size": 400},
    **{"batch_size": 16, "net_arch": [8], "n_quantiles": 5, "top_quantiles_to_drop_per_net": 1},
    **{"eval_every": 120, "eval_episodes": 2, "checkpoint_every": 0},
}


def tiny_config(outputs: Path, **overrides: Any) -> TrainConfig:
    """Returns the configuration of such a run, changed by `overrides`."""
    hyperparameters = HYPERPARAMETERS | overrides.pop("hyperparameters", {})
    options: dict[str, Any] = {
        "agent": "sb3-tqc",
        "seed": 1,
        "device": "cpu",
        "agent_device": "cpu",
        "outputs": outputs,
        "clip": {"image_size": 32},
    } | overrides
    return TrainConfig.for_task("tiny", hyperparameters=hyperparameters, **options)


_OPTIONS = [f"--{name.replace('_', '-')}={value}" for name, value in HYPERPARAMETERS.items() if name != "net_arch"]
WORDS = ["train", "tiny", *_OPTIONS, "--net-arch", "8"]
"""The same as words of `mvr`."""

SCRIPT = """
import sys, tests.support.tiny_task
from mvr_agents.cli import main
sys.exit(main(sys.argv[1:]))
"""
"""Source of a process that runs `mvr` with the words after it."""
