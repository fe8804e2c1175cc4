"""finished.json: read back as written, and what is no such file is named."""

from __future__ import annotations

from pathlib import Path

import pytest

from mvr_agents.runs.finished import Finished, read_finished, write_finished
from mvr_wrappers.errors import ConfigError


def test_what_was_written_is_read_back(tmp_path: Path) -> None:
    write_finished(tmp_path / "finished.json", Finished(240, 1.5))
    assert read_finished(tmp_path / "finished.json") == Finished(240, 1.5)
    assert [path.name for path in tmp_path.iterdir()] == ["finished.json"]  # no draft is left


def test_other_files_are_named(tmp_path: Path) -> None:
    path = tmp_path / "finished.json"
    with pytest.raises(ConfigError, match="that run is not finished"):
        read_finished(path)
    path.write_text("{")
    with pytest.raises(ConfigError, match="is no JSON"):
        read_finished(path)
    path.write_text('{"steps": 3}')
    with pytest.raises(ConfigError, match=r"finished\.json"):
        read_finished(path)
