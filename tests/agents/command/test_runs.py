"""`mvr runs`: what it prints."""

from __future__ import annotations

from pathlib import Path

import pytest
from rich.console import Console

from mvr_agents import cli
from mvr_agents.command import runs
from tests.support.run_folders import write_run


@pytest.fixture(autouse=True)
def wide(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runs, "console", Console(width=200))


def test_runs_are_listed_and_compared(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_run(tmp_path / "one", [0, 2], seed=1)
    write_run(tmp_path / "two", [0, 1], seed=2, weight=0.5, finished=False)
    assert cli.main(["runs", str(tmp_path), "--compare"]) == 0
    printed = capsys.readouterr().out
    (one,) = [line for line in printed.splitlines() if " one " in line]
    assert one.replace("│", " ").split() == (
        "2 2026-01-01 00:00 tiny jax-tqc default 1 100 100 2.0 50% 1.00 yes one".split()
    )
    weights = [line.replace("│", " ").split() for line in printed.splitlines()]
    assert ["weight", "0.5", "1"] in weights and ["0.1", "2"] in weights


def test_runs_are_filtered(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_run(tmp_path / "one", [0, 2], seed=1)
    write_run(tmp_path / "two", [0, 1], seed=2, finished=False)
    assert cli.main(["runs", str(tmp_path), "--state", "finished", "--compare"]) == 0
    printed = capsys.readouterr().out
    assert " one " in printed and " two " not in printed and "differ in nothing" in printed
    assert cli.main(["runs", str(tmp_path), "--task", "tinny"]) == 2
    assert "Nearest: tiny" in capsys.readouterr().err
