"""The documentation's table of clients names tests that exist, and every module of them."""

from __future__ import annotations

import re
from pathlib import Path

from tests.support.paths import ROOT

HERE = Path(__file__).parent


def test_the_table_names_tests_that_exist() -> None:
    table = (ROOT / "docs" / "compatibility.md").read_text()
    named = re.findall(r"`([a-z0-9_]+)::(\w+)`", table)
    for client, name in named:
        source = (HERE / f"test_{client}.py").read_text()
        assert re.search(rf"^(def|class) {name}\b", source, re.MULTILINE), (client, name)
    modules = {path.stem.removeprefix("test_") for path in HERE.glob("test_*.py")}
    assert {client for client, _ in named} == modules - {"table"}
