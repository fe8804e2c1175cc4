"""The list of runs: what it says of each, in which order, which are left out, and what tells them apart."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest

from mvr_agents.sweeps.listing import Filters, differences, list_runs
from mvr_wrappers.errors import ConfigError
from tests.support.run_folders import write_run


def remove_task(document: dict[str, Any]) -> None:
    document["config"]["task"] = document["task"]["name"] = "of-yesterday"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Runs with seeds 1 to 4, started in this order."""
    folder = tmp_path_factory.mktemp("outputs")
    write_run(folder / "a" / "one", [0, 1, 2], seed=1)
    write_run(folder / "a" / "two", [0, 3], seed=2, weight=0.5, hyperparameters={"steps": 1_000}, finished=False)
    write_run(folder / "three", None, returns=[1.0, -7.0], seed=3, change=remove_task)
    write_run(folder / "four", [], seed=4, hyperparameters={"steps": 50}, agent="sb3-tqc", finished=False)
    return folder


def seeds(folder: Path, sort: Any = "started", **filters: Any) -> list[int]:
    return [run.seed for run in list_runs(folder, Filters(**filters), sort)[0]]


def test_a_run_says_how_far_it_came(folder: Path) -> None:
    four, three, two, one = list_runs(folder, Filters())[0]
    assert (one.task, one.agent, one.preset, one.path) == ("tiny", "jax-tqc", "default", folder / "a" / "one")
    assert (one.steps, one.planned, one.last_return, one.last_success) == (200, 200, 2.0, 0.5)
    assert one.finished and one.seconds == 3_600  # of finished.json
    assert (two.steps, two.planned, two.finished, two.seconds) == (100, 1_000, False, 60)  # of metrics.csv
    assert (three.task, three.last_return) == ("of-yesterday", -7.0) and math.isnan(three.last_success)
    assert (four.agent, four.steps, four.seconds) == ("sb3-tqc", 0, 0) and math.isnan(four.last_return)


def test_the_newest_comes_first_unless_asked_otherwise(folder: Path) -> None:
    assert seeds(folder) == [4, 3, 2, 1]
    assert seeds(folder, "task") == [3, 4, 2, 1]
    assert seeds(folder, "return") == [2, 1, 3, 4]
    assert seeds(folder, "success") == [2, 1, 4, 3]
    assert seeds(folder, "steps") == [1, 3, 2, 4]


def test_filters_leave_runs_out(folder: Path) -> None:
    assert seeds(folder, task="tiny") == [4, 2, 1] and seeds(folder, task="of-*") == [3]
    assert seeds(folder, finished=True) == [3, 1] and seeds(folder, finished=False) == [4, 2]
    assert seeds(folder, agent="sb3-tqc") == [4] and seeds(folder / "a", preset="default") == [2, 1]


def test_what_is_not_there_is_said_in_a_sentence(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"task tinny\. Nearest: tiny"):
        list_runs(folder, Filters(task="tinny"))
    with pytest.raises(ConfigError, match="none of the 4 runs"):
        list_runs(folder, Filters(agent="sb3-tqc", finished=True))
    with pytest.raises(ConfigError, match="no runs in"):
        list_runs(tmp_path, Filters())
    with pytest.raises(ConfigError, match="there is no folder"):
        list_runs(tmp_path / "absent", Filters())


def test_a_folder_that_cannot_be_read_is_told_and_left_out(tmp_path: Path) -> None:
    write_run(tmp_path / "good", [0, 1])
    write_run(tmp_path / "bad", [0, 1], change=lambda document: document.pop("config"))
    write_run(tmp_path / "lacking", [0, 1], change=lambda document: document["config"].pop("seed"))
    runs, unread = list_runs(tmp_path, Filters())
    assert [run.path.name for run in runs] == ["good"]
    assert len(unread) == 2 and "bad" in unread[0] and "lacks 'seed'" in unread[1]


def test_settings_that_differ_are_named_with_the_runs_that_have_them(folder: Path) -> None:
    runs = list_runs(folder / "a", Filters())[0]
    assert differences(runs) == {"hyperparameters.steps": {"1000": [0], "200": [1]}, "weight": {"0.5": [0], "0.1": [1]}}
    assert differences(runs[:1]) == {}
