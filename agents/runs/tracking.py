"""Runs told to an experiment tracker while they train: Weights & Biases, offline unless the user says otherwise."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from typing import Any, Protocol

from mvr_agents.extras import require
from mvr_agents.runs.config import TrackerName
from mvr_agents.runs.config_file import read_document
from mvr_agents.runs.metrics import MetricsRow
from mvr_agents.runs.run_dir import RunDirectory

PROJECT = "mvr"


class Tracker(Protocol):
    """What a run tells while it trains and at its end."""

    def add_row(self, row: MetricsRow, /) -> None:
        """Tells a row of metrics.csv."""

    def add_pictures(self, step: int, /) -> None:
        """Tells the pictures that the run has drawn after `step` env steps."""


class NoTracker:
    """Tells nobody."""

    def add_row(self, row: MetricsRow) -> None:
        """Does nothing."""

    def add_pictures(self, step: int) -> None:
        """Does nothing."""


def check_tracker(name: TrackerName) -> None:
    """Checks that a tracker could be used.

    Raises:
        MissingExtraError: its package is not installed.
    """
    if name == "wandb":
        require("tracking runs with Weights & Biases", "wandb")


@contextmanager
def tracked(name: TrackerName, run: RunDirectory) -> Iterator[Tracker]:
    """Yields what tells a run to a tracker, and closes it; as failed where the block ends with an error.

    Args:
        name: "wandb" writes into the directory of the run and sends nothing, unless the variable WANDB_MODE says
            online; `wandb sync` sends later what was written. The project is "mvr" unless WANDB_PROJECT names another.
        run: whose config.yaml is told.
    """
    if name == "none":
        yield NoTracker()
        return
    tracker = WandbTracker(run)
    try:
        yield tracker
    except BaseException:
        tracker.close(failed=True)
        raise
    tracker.close(failed=False)


class WandbTracker:
    """A run of Weights & Biases.

    Args:
        run: its directory, with config.yaml; wandb writes in it.
    """

    def __init__(self, run: RunDirectory) -> None:
        import wandb

        document = read_document(run.config)
        self._run, self._wandb = run, wandb
        self._told = wandb.init(
            project=os.environ.get("WANDB_PROJECT", PROJECT),
            mode=os.environ.get("WANDB_MODE", "offline"),
            dir=str(run.path),
            name=run.path.name,
            group=document["task"]["name"],
            config=document,
            settings=wandb.Settings(silent=True, console="off"),  # nothing between training and its bar
        )

    def add_row(self, row: MetricsRow) -> None:
        """Logs what the row knows at its own step."""
        known = {name: value for name, value in asdict(row).items() if not math.isnan(value)}
        self._told.log(known, step=row.step)

    def add_pictures(self, step: int) -> None:
        """Logs curve, filmstrip, relevance and the episode's animation, those that there are."""
        pictures: dict[str, Any] = {
            path.stem: self._wandb.Image(str(path))
            for path in (self._run.curve, self._run.filmstrip, self._run.relevance)
            if path.is_file()
        }
        if self._run.film.is_file():
            pictures[self._run.film.stem] = self._wandb.Video(str(self._run.film), format="gif")
        self._told.log(pictures, step=step)

    def close(self, *, failed: bool) -> None:
        """Ends the run."""
        self._told.finish(exit_code=int(failed))
