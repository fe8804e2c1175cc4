"""The reward engine of a run that is over."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from mvr_agents.runs.run_dir import RunDirectory
from mvr_wrappers.engine.engine import RewardEngine


@contextmanager
def saved_engine(run: RunDirectory) -> Iterator[RewardEngine | None]:
    """Yields the engine as it was at the end of a run; None if the run was not shaped, or too short for an update."""
    if not run.engine.is_file():
        yield None
        return
    with RewardEngine.load(run.engine, device="cpu", mode="sync") as engine:
        yield engine if engine.version > 0 else None
