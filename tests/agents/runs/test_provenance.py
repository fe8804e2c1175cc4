"""A run knows the versions it was made with, and the revision of this package only where that is meant."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from mvr_agents.runs import provenance


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
    source.write_text("two\n")
    assert provenance.git_revision() == {"revision": git("rev-parse", "HEAD"), "changed": True}
