"""The examples run, each with few steps, and print what they promise."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.paths import ROOT

PROMISED = {
    "custom_mjcf.py": (900, ("'vlm_return'", "'success': 0")),
    "custom_scorer.py": (400, ("clips scored, mean score 0.4",)),
    "sb3_tqc.py": (210, ("'env_steps': 212", "task return: ")),
    "torchrl_collector.py": (450, ("450 {'reward':", "'shaping': -")),
}
NEEDS = {"sb3_tqc.py": ("sb3_contrib", "metaworld"), "torchrl_collector.py": ("torchrl",)}
TESTED_ELSEWHERE = {"single_file_sac.py"}


@pytest.mark.slow
@pytest.mark.parametrize("name", PROMISED)
def test_an_example_runs(name: str, tmp_path: Path) -> None:
    for package in NEEDS.get(name, ()):
        pytest.importorskip(package, reason=f"examples/{name} needs {package}")
    steps, lines = PROMISED[name]
    words = [sys.executable, str(ROOT / "examples" / name), str(steps)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        words, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False, timeout=300
    )
    assert done.returncode == 0, done.stderr
    for line in lines:
        assert line in done.stdout, done.stdout
    assert list(tmp_path.iterdir()) == []


def test_every_example_is_tested() -> None:
    assert {path.name for path in (ROOT / "examples").glob("*.py")} - {
        "__init__.py"
    } == PROMISED.keys() | TESTED_ELSEWHERE
