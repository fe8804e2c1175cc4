"""A suite of MVR/tiny in a file, and a worker that trains nothing, for tests of sweeps."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import yaml

from mvr_agents.sweeps.suites import read_suites
from mvr_agents.sweeps.trials import Trial, trials
from tests.support.tiny_run import HYPERPARAMETERS
from tests.support.tiny_task import TASKS

OPTIONS: dict[str, Any] = HYPERPARAMETERS | {
    **{"agent": "sb3-tqc", "agent_device": "cpu", "device": "cpu", "scorer": "pocket"},
    "clip": {"image_size": 32},
}
ARMS: dict[str, dict[str, Any]] = {"none": {"shaping": False}, "mvr": {"weight": 0.3, "clip": {"film_every": 2}}}


def write_suite(folder: Path, **changes: Any) -> Path:
    """Writes tasks.yaml with the task `tiny` and the suite `small`: two arms, seeds 0 and 1."""
    document = yaml.safe_load(TASKS.read_text())
    suite = {"tasks": ["tiny"], "seeds": "0..1", "options": OPTIONS, "arms": ARMS} | changes
    path = folder / "tasks.yaml"
    path.write_text(yaml.safe_dump(document | {"suites": {"small": suite}}, sort_keys=False))
    return path


def small_trials(folder: Path, **changes: Any) -> list[Trial]:
    """Returns the trials of that suite, in folder/outputs."""
    return trials([read_suites(write_suite(folder, **changes))["small"]], folder / "outputs")


_FAKE = """
import pathlib, signal, sys, time
mode = sys.argv[1]
(folder,) = (pathlib.Path(word.partition("=")[2]) for word in sys.argv if word.startswith("--run-dir="))
print("words", *sys.argv[2:], flush=True)
if mode == "waits":
    signal.signal(signal.SIGINT, lambda *of: sys.exit(0))
    (folder / "model.zip").write_text("half")
    time.sleep(60)
elif mode == "finishes" or (mode == "fails-once" and (folder / "train.log").read_text().count("words") > 1):
    (folder / "finished.json").write_text('{"steps": 240, "seconds": 1.0}')
else:
    sys.exit("it broke")
"""


def fake_worker(mode: str) -> tuple[str, ...]:
    """Returns the command of a worker that "finishes", "fails", "fails-once" or "waits" until it is told to stop."""
    return sys.executable, "-c", _FAKE, mode
