"""A run knows the versions it was made with, and the revision of this package only where that is meant."""

from __future__ import annotations

import importlib.metadata
import os
import re
import shutil
import subprocess
from datetime import date
from pathlib import Path

import pytest

from mvr_agents.runs import provenance
from tests.support.paths import ROOT


def test_installed_packages_are_listed_and_absent_ones_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(provenance, "PACKAGES", ("numpy", "no-such-package"))
    assert set(provenance.package_versions()) == {"python", "numpy"}


@pytest.mark.skipif(shutil.which("git") is None, reason="no git")
def test_the_revision_is_that_of_a_tracked_file_and_tells_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def git(*words: str) -> str:
        identity = ["-c", "user.name=a", "-c", "user.email=a@b.c"]
        done = subprocess.run(["git", *identity, *words], cwd=tmp_path, check=True, capture_output=True, text=True)
        return done.stdout.strip()

    source = tmp_path / "module.py"
    source.write_text("one\n")
    monkeypatch.setattr(provenance, "__file__", str(source))
    assert provenance.git_revision() is None  # no repository
    git("init", "-q")
    git("commit", "-q", "--allow-empty", "-m", "empty")
    assert provenance.git_revision() is None  # a repository, but somebody else's
    git("add", "module.py")
    git("commit", "-q", "-m", "module")
    assert provenance.git_revision() == {"revision": git("rev-parse", "HEAD"), "changed": False}
    assert provenance.git_diff() is None
    source.write_text("two\n")
    assert provenance.git_revision() == {"revision": git("rev-parse", "HEAD"), "changed": True}
    diff = provenance.git_diff()
    git("checkout", "module.py")
    subprocess.run(["git", "apply"], cwd=tmp_path, check=True, input=diff, text=True)
    assert source.read_text() == "two\n"


def test_a_table_s_line_names_date_commit_machine_load_and_versions(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(provenance, "git_revision", lambda: {"revision": "0123456789abcdef", "changed": True})
    monkeypatch.setattr(os, "getloadavg", lambda: (1.25, 2.0, 3.0))
    line = provenance.made_with("no-such-package")
    assert line.startswith(f"{date.today()}, commit 0123456 (files changed), {os.cpu_count()} cores of ")
    assert "load 1.2 before" in line
    assert f"mujoco {importlib.metadata.version('mujoco')}" in line and "no-such-package not installed" in line
    monkeypatch.setattr(provenance, "git_revision", lambda: None)
    assert "commit unknown" in provenance.made_with()


def test_a_machine_is_told_with_its_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(provenance, "_output", lambda *command: "A card\nAnother card")
    here = provenance.machine()
    assert here["cores"] == os.cpu_count() and here["gpus"] == ["A card", "Another card"]
    assert here["processor"] and here["memory"] > 0.1
    monkeypatch.setattr(provenance, "_output", lambda *command: None)
    assert provenance.machine()["gpus"] == []


def test_a_run_s_versions_hold_that_of_mujoco() -> None:
    assert provenance.package_versions()["mujoco"] == importlib.metadata.version("mujoco")


RESULTS = sorted(file for file in (ROOT / "benchmarks/results").rglob("*") if file.suffix in (".md", ".csv"))
assert RESULTS


@pytest.mark.parametrize("file", RESULTS, ids=lambda file: file.name)
def test_every_results_file_names_its_mujoco(file: Path) -> None:
    assert re.search(r"mujoco \d+\.\d+\.\d+", file.read_text("utf-8"), re.IGNORECASE)


@pytest.mark.parametrize(
    "file",
    sorted(file for file in ROOT.glob("benchmarks/*.py") if "__main__" in file.read_text("utf-8")),
    ids=lambda file: file.name,
)
def test_every_benchmark_says_what_its_table_was_made_with(file: Path) -> None:
    assert "made_with(" in file.read_text("utf-8")
