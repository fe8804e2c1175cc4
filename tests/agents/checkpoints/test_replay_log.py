"""A replay buffer on disk: new rows alone are written, old ones forgotten, and the buffer comes back as it was."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from gymnasium import spaces
from stable_baselines3.common.buffers import DictReplayBuffer, ReplayBuffer

from mvr_agents.checkpoints import replay_log
from mvr_agents.checkpoints.replay_log import ReplayLog, read_columns
from mvr_wrappers.errors import ConfigError

BOX = spaces.Box(-1.0, 1.0, (3,), np.float32)


def add(buffer: ReplayBuffer, rows: range) -> None:
    for row in rows:
        values: Any = np.full((buffer.n_envs, 3), row, np.float32)
        if isinstance(buffer, DictReplayBuffer):
            values = {"a": values, "b": -values}
        action = np.full((buffer.n_envs, 3), row, np.float32)
        rewards = np.full(buffer.n_envs, row, np.float32)
        buffer.add(values, values, action, rewards, np.zeros(buffer.n_envs), [{}] * buffer.n_envs)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def same(one: ReplayBuffer, other: ReplayBuffer) -> None:
    assert (one.pos, one.full) == (other.pos, other.full)
    mine, theirs = replay_log._arrays(one), replay_log._arrays(other)
    assert mine.keys() == theirs.keys() >= {"rewards", "actions"}
    for name, column in mine.items():
        np.testing.assert_array_equal(column, theirs[name], err_msg=name)


def test_new_rows_are_written_and_old_ones_forgotten(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replay_log, "AT_ONCE", 4)
    buffer, log = ReplayBuffer(20, BOX, BOX, "cpu", n_envs=2), ReplayLog(tmp_path)  # ten rows of two
    add(buffer, range(6))
    state = log.append(buffer, 6)
    assert names(tmp_path) == ["rows-0000000000-0000000004.npz", "rows-0000000004-0000000006.npz"]
    add(buffer, range(6, 8))
    state = log.append(buffer, 2)
    assert len(names(tmp_path)) == 3 and [file["first"] for file in state["files"]] == [0, 4, 6]
    add(buffer, range(8, 15))  # round: rows 0 to 4 are written over
    state = log.append(buffer, 7)
    log.forget({file["name"] for file in state["files"]})
    assert [file["first"] for file in state["files"]] == [4, 6, 8, 12] and len(names(tmp_path)) == 4
    np.testing.assert_array_equal(read_columns(tmp_path / state["files"][-1]["name"])["rewards"][:, 0], [12, 13, 14])
    again = ReplayBuffer(20, BOX, BOX, "cpu", n_envs=2)
    new = ReplayLog(tmp_path)
    new.fill(again, state, {})
    same(buffer, again)
    for each in (buffer, again):
        add(each, range(15, 16))
    assert log.append(buffer, 1) == new.append(again, 1)  # both go on alike


def test_rows_that_were_not_counted_are_all_new(tmp_path: Path) -> None:
    buffer, log = ReplayBuffer(8, BOX, BOX, "cpu"), ReplayLog(tmp_path)
    add(buffer, range(3))
    log.append(buffer, 3)
    add(buffer, range(3, 30))
    state = log.append(buffer, 5)  # 27, in truth
    again = ReplayBuffer(8, BOX, BOX, "cpu")
    ReplayLog(tmp_path).fill(again, state, {})
    same(buffer, again)


def test_observations_may_be_dictionaries(tmp_path: Path) -> None:
    space = spaces.Dict({"a": BOX, "b": BOX})
    buffer, again = (DictReplayBuffer(8, space, BOX, "cpu") for _ in range(2))
    add(buffer, range(5))
    log = ReplayLog(tmp_path)
    log.fill(again, log.append(buffer, 5), {})
    same(buffer, again)


def test_other_buffers_are_refused(tmp_path: Path) -> None:
    kwargs: dict[str, Any] = {"optimize_memory_usage": True, "handle_timeout_termination": False}
    frugal = ReplayBuffer(8, BOX, BOX, "cpu", **kwargs)
    with pytest.raises(ConfigError, match="cannot be saved row by row"):
        ReplayLog(tmp_path).append(frugal, 0)
    buffer, log = ReplayBuffer(8, BOX, BOX, "cpu"), ReplayLog(tmp_path)
    add(buffer, range(2))
    state = log.append(buffer, 2)
    with pytest.raises(ConfigError, match="holds 9 rows, and the saved one 8"):
        log.fill(ReplayBuffer(9, BOX, BOX, "cpu"), state, {})
    (path,) = tmp_path.iterdir()
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(ConfigError, match="is damaged"):
        read_columns(path)
