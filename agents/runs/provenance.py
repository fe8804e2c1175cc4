"""What a run was made with: versions of packages, and the revision of this package's own sources."""

from __future__ import annotations

import importlib.metadata
import platform
import subprocess
from pathlib import Path
from typing import Any

PACKAGES = (
    *("mvr-wrappers", "gymnasium", "mujoco", "numpy", "torch", "metaworld"),
    *("stable-baselines3", "sb3-contrib", "jax", "flax", "optax", "transformers", "tyro"),
)
"""Distributions whose versions are recorded where they are installed."""


def package_versions() -> dict[str, str]:
    """Returns the versions of Python and of those of `PACKAGES` that are installed."""
    versions = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return versions


def git_revision() -> dict[str, Any] | None:
    """Returns the commit of the checkout this package runs from, and whether files were changed since; None outside."""
    here = Path(__file__)
    if _git(here.parent, "ls-files", "--error-unmatch", here.name) is None:
        return None  # not tracked: installed somewhere inside another repository, whose revision says nothing
    revision = _git(here.parent, "rev-parse", "HEAD")
    return {"revision": revision, "changed": bool(_git(here.parent, "status", "--porcelain", "--untracked-files=no"))}


def _git(folder: Path, *arguments: str) -> str | None:
    """Returns what a git command prints, None where there is no git, no repository, or the command fails."""
    try:
        command = ["git", "-C", str(folder), *arguments]
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=10)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()
