"""Runs that are killed and resumed, beside the run that was not, and what must be equal of them."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from mvr_agents.runs.config import TrainConfig
from mvr_agents.runs.evaluations import read_evaluations
from mvr_agents.runs.metrics import read_metrics
from mvr_agents.runs.monitor import Monitor
from mvr_agents.runs.run_dir import RunDirectory
from mvr_agents.training import resume, train
from mvr_wrappers.engine.arrays_file import read_arrays

CHECKPOINT_EVERY = 64


class Killed(BaseException):
    """Stands for SIGKILL: nothing handles it."""


@contextmanager
def killed_at(step: int, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Has a training in the block end at a step with `Killed`."""
    on_step = Monitor._on_step

    def die(self: Monitor) -> bool:
        if self.num_timesteps >= step:
            raise Killed
        return on_step(self)

    with monkeypatch.context() as patch:
        patch.setattr(Monitor, "_on_step", die)
        with pytest.raises(Killed):
            yield


def run_killed(config: TrainConfig, steps: Sequence[int], monkeypatch: pytest.MonkeyPatch) -> RunDirectory:
    """Returns a run that was killed at each of `steps`, and resumed each time."""
    first, *others = steps
    with killed_at(first, monkeypatch):
        train(config, progress=False)
    (path,) = (found.parent for found in Path(config.outputs).rglob("config.yaml"))
    for step in others:
        with killed_at(step, monkeypatch):
            resume(path, progress=False)
    return resume(path, progress=False)


def assert_same(one: RunDirectory, other: RunDirectory) -> None:
    """Compares metrics and evaluations but for times, the agents and the engines, bit for bit."""
    _assert_equal(numbers(read_metrics(one.metrics)), numbers(read_metrics(other.metrics)))
    kept, other_kept = read_evaluations(one.evaluations), read_evaluations(other.evaluations)
    for name in ("steps", "returns", "lengths", "successes"):
        np.testing.assert_array_equal(getattr(kept, name), getattr(other_kept, name), err_msg=name)
    _assert_equal(parameters(one.model), parameters(other.model))
    assert one.engine.is_file() == other.engine.is_file()
    if one.engine.is_file():
        (header, arrays), (other_header, other_arrays) = read_arrays(one.engine), read_arrays(other.engine)
        assert json.dumps(header) == json.dumps(other_header)
        _assert_equal(numbers(arrays), numbers(other_arrays))


def numbers(columns: dict[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    """Returns all but times."""
    return {name: column for name, column in columns.items() if not name.endswith("seconds")}


def parameters(path: Path) -> dict[str, NDArray[Any]]:
    """Returns all tensors of a saved agent, optimisers included."""
    found: dict[str, NDArray[Any]] = {}
    with zipfile.ZipFile(path) as archive:
        if "header.npy" in archive.namelist():  # of the learner in JAX
            return {name: array for name, array in read_arrays(path)[1].items() if not name.startswith("data/")}
        for name in archive.namelist():
            if name.endswith(".pth"):
                with archive.open(name) as stream:
                    _collect(name, torch.load(stream, weights_only=True), found)
    return found


def _collect(name: str, value: Any, found: dict[str, NDArray[Any]]) -> None:
    if isinstance(value, dict):
        for key, item in value.items():
            _collect(f"{name}/{key}", item, found)
    elif isinstance(value, list | tuple):
        for i, item in enumerate(value):
            _collect(f"{name}/{i}", item, found)
    elif isinstance(value, torch.Tensor):
        found[name] = value.detach().numpy()


def _assert_equal(one: dict[str, NDArray[Any]], other: dict[str, NDArray[Any]]) -> None:
    assert one.keys() == other.keys() and one
    for name, array in one.items():
        np.testing.assert_array_equal(array, other[name], err_msg=name)
