"""metrics.csv gives back what was written, and empty cells where nothing was known."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from mvr_agents.runs.metrics import COLUMNS, MetricsRow, MetricsWriter, read_metrics
from mvr_wrappers.errors import ConfigError


def test_rows_are_read_back(tmp_path: Path) -> None:
    path = tmp_path / "metrics.csv"
    writer = MetricsWriter(path)
    writer.write(MetricsRow(step=0, seconds=0.0, eval_return=-12.5))
    writer.write(MetricsRow(step=1_000_000, seconds=3.25, vlm_reward=-0.1234567, clips_scored=7))
    table = read_metrics(path)
    assert tuple(table) == COLUMNS
    assert table["step"].tolist() == [0, 1_000_000]
    np.testing.assert_array_equal(table["eval_return"], [-12.5, np.nan])
    np.testing.assert_allclose(table["vlm_reward"], [np.nan, -0.1234567], rtol=1e-5)
    assert path.read_text().splitlines()[1].startswith("0,0,-12.5,,")


def test_each_row_is_on_disk_at_once(tmp_path: Path) -> None:
    writer = MetricsWriter(tmp_path / "metrics.csv")
    for count in (1, 2):
        writer.write(MetricsRow(step=count, seconds=1.0))
        assert len(read_metrics(tmp_path / "metrics.csv")["step"]) == count


def test_an_empty_table_has_its_columns(tmp_path: Path) -> None:
    MetricsWriter(tmp_path / "metrics.csv")
    assert {len(column) for column in read_metrics(tmp_path / "metrics.csv").values()} == {0}


def test_columns_are_read_by_name(tmp_path: Path) -> None:
    """One that this version does not know is left out; one that is missing holds what a row has without it."""
    path = tmp_path / "metrics.csv"
    path.write_text("step,future,eval_return,seconds\n0,9,1.5,0.5\n10,,,2\n")
    table = read_metrics(path)
    assert tuple(table) == COLUMNS
    assert (table["step"].tolist(), table["seconds"].tolist()) == ([0, 10], [0.5, 2])
    np.testing.assert_array_equal(table["eval_return"], [1.5, np.nan])
    assert table["updates"].tolist() == table["learner_seconds"].tolist() == [0, 0]
    assert np.isnan(table["vlm_reward"]).all()


def test_other_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"there is no .*absent\.csv"):
        read_metrics(tmp_path / "absent.csv")
    (tmp_path / "other.csv").write_text("a,b\n1,2\n")
    with pytest.raises(ConfigError, match="has the columns a, b"):
        read_metrics(tmp_path / "other.csv")
