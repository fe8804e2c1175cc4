"""The tests' own rules: what they share is in tests/support, and a run says which files it leaves out."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.paths import ROOT

TESTS = ROOT / "tests"
FILES = sorted(TESTS.rglob("*.py"))


def imported(path: Path, root: Path = ROOT) -> Iterator[str]:
    """The absolute names of what a file below `root` imports, wherever in it."""
    package = path.relative_to(root).parent.parts
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) + 1 - node.level] if node.level else ()
            yield from (".".join((*above, *filter(None, [node.module]), alias.name)) for alias in node.names)


def test_only_support_code_is_shared() -> None:
    ours = {(str(path), name) for path in FILES for name in imported(path) if name.split(".")[0] == "tests"}
    assert len(ours) > 100
    assert {(path, name) for path, name in ours if not name.startswith("tests.support.")} == set()


@pytest.mark.parametrize(
    ("line", "name"),
    [
        ("import tests.engine.test_group", "tests.engine.test_group"),
        ("from tests.engine import test_group", "tests.engine.test_group"),
        ("def f():\n    from tests.engine.test_group import x", "tests.engine.test_group.x"),
        ("from .test_group import x", "tests.engine.test_group.x"),
        ("from ..test_rigs import x", "tests.test_rigs.x"),
        ("from . import test_group", "tests.engine.test_group"),
    ],
)
def test_every_way_to_import_is_seen(line: str, name: str, tmp_path: Path) -> None:
    path = tmp_path / "tests" / "engine" / "test_engine.py"
    path.parent.mkdir(parents=True)
    path.write_text(line)
    assert list(imported(path, tmp_path)) == [name]


@pytest.mark.parametrize(
    ("option", "what"), [("-v", "test_jax_*.py, which load JAX"), ("--jax", "that do not load JAX")]
)
def test_a_run_says_what_it_leaves_out(option: str, what: str) -> None:
    words = ["-p", "no:cacheprovider", "--collect-only", option, "tests/test_rigs.py"]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *words], cwd=ROOT, capture_output=True, text=True, check=False
    )
    said = re.search(r"left out: the (\d+) files (.*): run them with", done.stdout)
    assert said is not None, done.stdout + done.stderr
    of_jax = [path for path in FILES if path.name.startswith("test_jax_")]
    others = [path for path in FILES if path.name.startswith("test_") and path not in of_jax]
    assert (int(said[1]), said[2]) == (len(of_jax if option == "-v" else others), what)
