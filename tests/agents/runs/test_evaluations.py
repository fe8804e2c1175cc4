"""evaluations.npz: what goes in comes out, and each way in which it cannot be read is told."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from mvr_agents.runs.evaluate import Evaluation
from mvr_agents.runs.evaluations import EvaluationsWriter, read_evaluations
from mvr_wrappers.engine.arrays_file import write_arrays
from mvr_wrappers.errors import ConfigError
from tests.support.known import present


def result(returns: list[float], lengths: list[int], solved: list[bool] | None = None) -> Evaluation:
    successes = None if solved is None else np.array(solved)
    last = None if solved is None else np.zeros(len(solved), np.bool_)
    return Evaluation(np.array(returns), np.array(lengths, np.int64), successes, last)


def test_evaluations_are_read_back_as_they_were_added(tmp_path: Path) -> None:
    writer = EvaluationsWriter(tmp_path / "evaluations.npz")
    writer.add(0, 0.5, result([1.0, 2.0], [40, 30], [False, True]))
    assert read_evaluations(tmp_path / "evaluations.npz").steps.tolist() == [0]  # on disk at once
    writer.add(120, 3.25, result([3.0, 4.0], [20, 10], [True, True]))
    kept = read_evaluations(tmp_path / "evaluations.npz")
    assert kept.steps.tolist() == [0, 120] and kept.seconds.tolist() == [0.5, 3.25]
    assert kept.returns.tolist() == [[1, 2], [3, 4]] and kept.lengths.tolist() == [[40, 30], [20, 10]]
    assert present(kept.successes).tolist() == [[False, True], [True, True]]
    assert not present(kept.last_successes).any()
    arrays = (kept.steps, kept.seconds, kept.returns, kept.lengths, present(kept.successes))
    assert [array.dtype.name for array in arrays] == ["int64", "float64", "float64", "int64", "bool"]
    assert [path.name for path in tmp_path.iterdir()] == ["evaluations.npz"]  # no draft is left


def test_an_env_that_never_says_success_has_none(tmp_path: Path) -> None:
    writer = EvaluationsWriter(tmp_path / "evaluations.npz")
    writer.add(0, 0.5, result([1.0], [40]))
    assert read_evaluations(tmp_path / "evaluations.npz").successes is None
    writer.add(10, 1.0, result([1.0], [40], [True]))  # one that says so only once there is something to say
    assert present(read_evaluations(tmp_path / "evaluations.npz").successes).tolist() == [[False], [True]]


def test_files_that_are_no_evaluations_are_named(tmp_path: Path) -> None:
    path = tmp_path / "evaluations.npz"
    with pytest.raises(ConfigError, match="there is no"):
        read_evaluations(path)
    path.write_bytes(b"PK\x03\x04 cut off")
    with pytest.raises(ConfigError, match="is damaged"):
        read_evaluations(path)
    write_arrays(path, {"format": 1}, {"steps": np.zeros(1, np.int64)})
    with pytest.raises(ConfigError, match="is damaged"):
        read_evaluations(path)
    write_arrays(path, {"format": 2}, {})
    with pytest.raises(ConfigError, match="has format 2, and this version reads 1"):
        read_evaluations(path)
