"""The report of many runs: its files, what it warns of, and the command that writes it."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
from PIL import Image

import mvr_agents.command.report as command
from mvr_agents import cli
from mvr_agents.sweeps.report import write_report
from mvr_wrappers.errors import ConfigError
from tests.support.run_folders import write_run

PICTURES = ("curves-success.png", "curves-fade.png", "profile.png", "differences.png")
NUMBERS = ("runs.csv", "results.csv", "comparisons.csv", "lines.csv")


@pytest.fixture(scope="module")
def suite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two tasks, two arms, two seeds each; one run of eight is not finished."""
    folder = tmp_path_factory.mktemp("suite")
    for task in ("tiny", "hammer-v3"):
        for arm, last in (("a", 4), ("b", 2)):
            for seed in (0, 1):
                place = folder / task / arm / f"seed-{seed}"
                finished = (task, arm, seed) != ("tiny", "b", 1)
                write_run(place, [0, seed, last], seed=seed, task=task, finished=finished)
    return folder


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as stream:
        return list(csv.DictReader(stream))


def test_a_report_is_a_folder_of_files(suite: Path) -> None:
    written = write_report([suite])
    assert written.title == "7 runs, 2 tasks, 2 arms: success, mean over training"
    assert {path.name for path in written.files} == {"report.html", "report.md", *PICTURES, *NUMBERS}
    assert {path.parent for path in written.files} == {suite / "report"}
    for name in PICTURES:
        with Image.open(suite / "report" / name) as image:
            assert min(image.size) > 180
    text, page = ((suite / "report" / name).read_text("utf-8") for name in ("report.md", "report.html"))
    assert page.count("data:image/png;base64,") == len(PICTURES) and "://" not in page
    for part in ("2108.13264", "Processor X", "mujoco", "0123456", "tiny: seed 1"):
        assert part in text and part in page
    assert "| all |  | 7 | 7 | 1 |" in text  # an hour each
    assert write_report([suite]).files == written.files  # its own folder is no run


def test_what_is_missing_and_alone_is_said(suite: Path) -> None:
    lonely, missing, unfinished = write_report([suite]).caveats.sentences[:3]
    assert lonely == "One seed is an anecdote, and has no interval; train more seeds of b of tiny."
    assert missing == "1 run missing: b of tiny: seed 1."
    assert unfinished == "1 run not finished, and not counted: b of tiny, seed 1."


def test_few_seeds_are_said_to_give_narrow_intervals(suite: Path) -> None:
    (sentence,) = write_report([suite / "hammer-v3"]).caveats.sentences
    assert "95% intervals of 2 seeds hold the true value in 51% of cases" in sentence


def test_csv_files_hold_every_number(suite: Path) -> None:
    write_report([suite])
    runs = rows(suite / "report" / "runs.csv")
    assert [(row["task"], row["arm"], row["seed"]) for row in runs][-1] == ("tiny", "b", "0")
    assert float(runs[-1]["success_auc"]) == 0.125 and runs[-1]["steps"] == "200" and runs[-1]["seconds"] == "3600"
    assert float(runs[-1]["fade_late"]) == pytest.approx(0.1 / 3)
    results = {(row["arm"], row["metric"]): row for row in rows(suite / "report" / "results.csv")}
    assert results["a", "final_success"]["value"] == results["a", "final_success"]["low"] == "1"
    assert results["b", "final_success"]["value"] == "0.5" and results["b", "final_success"]["low"] == ""
    (probability, difference, means) = rows(suite / "report" / "comparisons.csv")
    assert probability["quantity"] == "probability of improvement"
    assert float(probability["value"]) == (3.5 / 4 + 1) / 2  # .25 and .375 against .125 and .25; against .125 alone
    assert (difference["quantity"], difference["pairs"]) == ("success_auc difference", "3")
    assert means["quantity"] == "success_auc difference of means"
    lines = rows(suite / "report" / "lines.csv")
    assert {row["quantity"] for row in lines} == {"success", "fade", "profile"}


def test_one_arm_alone_has_no_pairs(suite: Path, tmp_path: Path) -> None:
    written = write_report([suite / "tiny" / "a"], tmp_path / "out", by="task", metric="final_return")
    names = {path.name for path in written.files}
    assert not written.comparisons.rows and "differences.png" not in names and "curves-return.png" in names


def test_the_command_prints_tables_and_where_the_files_are(suite: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["report", str(suite), "--metric", "steps_to_50", "--out", str(suite / "elsewhere")]) == 0
    output = capsys.readouterr().out
    assert "an anecdote" in output and "pairs of arms" in output and str(suite / "elsewhere" / "report.html") in output


def test_mistakes_are_one_sentence_with_a_remedy(suite: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for words, said in (
        ([str(suite / "absent")], "there is no folder"),
        ([str(suite), "--metric", "final_return"], "--by task"),
        ([str(suite), "--out", str(suite / "tiny/a/seed-0/config.yaml")], "choose another folder with --out"),
    ):
        assert cli.main(["report", *words]) == 2
        error = capsys.readouterr().err
        assert said in error and error.count("\n") == 1


def test_folders_are_needed() -> None:
    with pytest.raises(ConfigError, match="no folder to report on"):
        write_report([])
    assert command.ReportArgs(()).metric == "success_auc"
