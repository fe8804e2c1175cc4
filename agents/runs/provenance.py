"""What a run or a table was made with: package versions, the revision of this package's own sources, the machine."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import subprocess
import sys
from datetime import date
from pathlib import Path
from typing import Any

PACKAGES = (
    *("mvr-wrappers", "gymnasium", "mujoco", "numpy", "torch", "triton", "metaworld", "dm_control"),
    *("stable-baselines3", "sb3-contrib", "jax", "flax", "optax", "transformers", "tyro"),
)
"""Distributions whose versions are recorded where they are installed."""


def package_versions() -> dict[str, str]:
    """Returns the versions of Python and of those of `PACKAGES` that are installed."""
    installed = {name: version for name in PACKAGES if (version := _version(name))}
    return {"python": platform.python_version(), **installed}


def _version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def machine() -> dict[str, Any]:
    """Returns what this computer is: its system, processor, cores, memory in GiB and GPUs (those of NVIDIA's tool)."""
    return {
        "system": f"{platform.system()} {platform.machine()}",
        "processor": _processor(),
        "cores": os.cpu_count(),
        "memory": _memory(),
        "gpus": gpu_names(),
    }


def gpu_names() -> list[str]:
    """Returns the names of the GPUs that NVIDIA's tool finds, in its order."""
    return (_output("nvidia-smi", "--query-gpu=name", "--format=csv,noheader") or "").splitlines()


def _processor() -> str:
    """Returns the processor's name where the system tells it, else its kind."""
    told = Path("/proc/cpuinfo")  # Linux
    lines = told.read_text(encoding="utf-8", errors="replace").splitlines() if told.is_file() else []
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.processor() or platform.machine())


def _memory() -> float | None:
    if sys.platform == "win32":
        return None
    return round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1)


def made_with(*packages: str) -> str:
    """Returns one line for a table of measurements: date, commit, machine, its load, and versions.

    Call it before measuring: the load average is that of the minute before.

    Args:
        packages: distributions that matter for the table, beside mujoco, gymnasium, numpy and torch.
    """
    revision = git_revision()
    commit = "unknown" if revision is None else revision["revision"][:7] + " (files changed)" * revision["changed"]
    load = "unknown" if sys.platform == "win32" else f"{os.getloadavg()[0]:.1f}"
    names = ("mujoco", "gymnasium", "numpy", "torch", *packages)
    versions = ", ".join(f"{name} {_version(name) or 'not installed'}" for name in names)
    machine = f"{os.cpu_count()} cores of {platform.machine()}, load {load} before"
    return f"{date.today()}, commit {commit}, {machine}; Python {platform.python_version()}, {versions}"


def git_revision() -> dict[str, Any] | None:
    """Returns the commit of the checkout this package runs from, and whether files were changed since; None outside."""
    here = Path(__file__)
    if _git(here.parent, "ls-files", "--error-unmatch", here.name) is None:
        return None  # not tracked: installed somewhere inside another repository, whose revision says nothing
    revision = _git(here.parent, "rev-parse", "HEAD")
    return {"revision": revision, "changed": bool(_git(here.parent, "status", "--porcelain", "--untracked-files=no"))}


def git_diff() -> str | None:
    """Returns what differs from the commit in the files of the checkout this package runs from; None where nothing."""
    revision = git_revision()
    if revision is None or not revision["changed"]:
        return None
    diff = _git(Path(__file__).parent, "diff", "HEAD", "--no-color", "--no-ext-diff")
    return None if diff is None else diff + "\n"


def _git(folder: Path, *arguments: str) -> str | None:
    """Returns what a git command prints, None where there is no git, no repository, or the command fails."""
    return _output("git", "-C", str(folder), *arguments)


def _output(*command: str) -> str | None:
    """Returns what a command prints, None where there is no such command or it fails."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=10)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip("\n")
