"""The README's table of clients names tests that exist, and every module of them."""

from __future__ import annotations

import re
from pathlib import Path

TESTS = Path(__file__).parent


def test_the_table_names_tests_that_exist() -> None:
    readme = (TESTS.parent / "README.md").read_text()
    table = readme.split("## Tested with\n")[1].split("\n## ")[0]
    named = re.findall(r"`([a-z0-9_]+)::(\w+)`", table)
    for client, name in named:
        source = (TESTS / f"test_conformance_{client}.py").read_text()
        assert re.search(rf"^(def|class) {name}\b", source, re.MULTILINE), (client, name)
    modules = {path.stem.removeprefix("test_conformance_") for path in TESTS.glob("test_conformance_*.py")}
    assert {client for client, _ in named} == modules - {"table"}
