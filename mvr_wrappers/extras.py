"""The command that installs an extra of this distribution, which is on no package index."""

from __future__ import annotations

import importlib.metadata
import json
import re
import shlex
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

NAME = "mvr-wrappers"
_ROOT = Path(__file__).resolve().parents[1]
_METAWORLDS_MUJOCO = "3.3."  # what Meta-World pins, and does not need: see tasks/metaworld_patches
_BESIDE_NEWER_MUJOCO = "pip install imageio scipy && pip install --no-deps metaworld"
_OF_EXTRA = re.compile(r"""\bextra\s*==\s*["']([\w.-]+)["']""")


def install_command(extra: str) -> str:
    """Returns a shell command that installs `extra`, by where this package itself came from.

    From a checkout, or a wheel or folder that is still there, it installs the same again with the extra; what came from
    a repository or an address comes from there again; where the source is gone, the extra's packages are named.

    The extra `metaworld` beside another MuJoCo than Meta-World pins is installed without dependencies: to go from
    MuJoCo 4 back to 3 in place leaves neither working.
    """
    if extra == "metaworld" and not (_version("mujoco") or _METAWORLDS_MUJOCO).startswith(_METAWORLDS_MUJOCO):
        return _BESIDE_NEWER_MUJOCO
    project = _ROOT / "pyproject.toml"
    if project.is_file() and f'name = "{NAME}"' in project.read_text("utf-8"):
        return f"pip install -e {shlex.quote(f'{_ROOT}[{extra}]')}"
    wanted = [requirement] if (requirement := _from_source(extra)) else requirements(extra)
    return f"pip install {shlex.join(wanted)}"


def requirements(extra: str) -> list[str]:
    """Returns what `extra` requires, the extras it consists of taken apart; empty where nothing is known of it."""
    try:
        lines = importlib.metadata.requires(NAME) or []
    except importlib.metadata.PackageNotFoundError:
        return []
    found: dict[str, None] = {}
    for line in lines:
        requirement, _, marker = line.partition(";")
        if extra not in _OF_EXTRA.findall(marker):
            continue
        own = re.fullmatch(rf"{NAME}\[(.*)\]", requirement.strip())
        inner = own[1].split(",") if own else ()
        found |= dict.fromkeys(name for part in inner for name in requirements(part))
        if not own:
            found[requirement.strip()] = None
    return list(found)


def _from_source(extra: str) -> str:
    """Returns this package with `extra`, from where pip installed it; empty if that is not known or gone."""
    try:
        text = importlib.metadata.distribution(NAME).read_text("direct_url.json")
    except importlib.metadata.PackageNotFoundError:
        return ""
    origin: dict[str, Any] = json.loads(text or "{}")
    url = str(origin.get("url", ""))
    if url.startswith("file:"):
        path = unquote(urlsplit(url).path)
        return f"{path}[{extra}]" if Path(path).exists() else ""
    vcs = origin.get("vcs_info", {})
    address = f"{vcs['vcs']}+{url}@{vcs['commit_id']}" if vcs else url
    return f"{NAME}[{extra}] @ {address}" if address else ""


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return ""
