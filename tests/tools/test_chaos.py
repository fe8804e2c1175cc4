"""The short form of `tools/chaos.py`: a run killed, and one that meets a full disk."""

from __future__ import annotations

import pytest

from tools import chaos


@pytest.mark.slow
def test_broken_runs_end_like_the_whole_one(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--kills", "1", "--seed", "3", "--cases", "SIGKILL", "disk full at checkpoint"]
    code = chaos.main(words)
    out = capsys.readouterr().out
    assert code == 0, out
    assert "| SIGKILL | 1 | 1 |" in out and "| disk full at checkpoint | 1 | 1 |" in out
