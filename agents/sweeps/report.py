"""The report of many runs: report.md, report.html, pictures and CSV files, from folders of runs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from mvr_agents.extras import require
from mvr_agents.sweeps import sections
from mvr_agents.sweeps.collect import Collection, collect
from mvr_agents.sweeps.csv_files import write_numbers
from mvr_agents.sweeps.document import Block, Heading, Picture, Points, Table, to_html, to_markdown
from mvr_agents.sweeps.figures import draw_differences, draw_lines
from mvr_agents.sweeps.findings import Findings, find
from mvr_agents.sweeps.groups import By
from mvr_agents.sweeps.scores import METRICS, MetricName
from mvr_wrappers.errors import ConfigError


@dataclass(frozen=True, slots=True)
class Written:
    """A report on disk.

    Attributes:
        title: its heading.
        caveats: what stands between its numbers and belief.
        results: the scores of the arms.
        comparisons: of pairs of arms; without rows where there is a single arm.
        files: report.html, report.md, the pictures and the CSV files.
    """

    title: str
    caveats: Points
    results: Table
    comparisons: Table
    files: tuple[Path, ...]


def write_report(
    folders: Sequence[Path],
    out: Path | None = None,
    *,
    metric: MetricName = "success_auc",
    by: By = "arm",
    mixed: bool = False,
) -> Written:
    """Compares the runs in folders and writes what is found.

    Args:
        folders: run directories, or folders of them.
        out: where to write; None is `report` in the first of the folders.
        metric: what arms are compared by.
        by: "arm" takes the tasks together, "task" keeps them apart.
        mixed: compare what differs in task, versions or steps all the same.

    Raises:
        ConfigError: no runs, none finished, some that cannot be compared, or a folder that cannot be written.
        MissingExtraError: matplotlib or scipy is missing.
    """
    require("a report", "matplotlib", "scipy")
    if not folders:
        raise ConfigError("no folder to report on; give run directories, or folders that hold some, such as outputs")
    collection = collect(folders, mixed=mixed)
    findings = find(collection, metric, by)
    out = folders[0] / "report" if out is None else out
    try:
        out.mkdir(parents=True, exist_ok=True)
        return _write(out, collection, findings)
    except OSError as error:
        raise ConfigError(f"cannot write to {out}: {error.strerror}; choose another folder with --out") from error


def _write(out: Path, collection: Collection, findings: Findings) -> Written:
    title = _title(collection, findings)
    pictures = list(_draw(out, collection.arms, findings))
    numbers = write_numbers(out, collection, findings)
    caveats, results, pairs = (
        sections.caveats(collection, findings),
        sections.results(findings),
        sections.comparisons(findings),
    )
    blocks: list[Block] = [Heading("Before you believe it"), caveats, Heading("Scores"), results]
    if pairs.rows:
        blocks += [Heading("Pairs of arms"), pairs]
    blocks += pictures
    if (fading := sections.fading(collection, findings)).rows:
        blocks += [Heading("Shaping beside task reward"), fading]
    blocks += [
        Heading("Hours"),
        sections.hours(collection, findings),
        Heading("Made with"),
        sections.machines(collection),
    ]
    blocks += [Heading("What the numbers mean"), sections.definitions(findings)]
    blocks += [Heading("All numbers"), Points(tuple(path.name for path in numbers))]
    page, text = out / "report.html", out / "report.md"
    page.write_text(to_html(title, blocks), encoding="utf-8")
    text.write_text(to_markdown(title, blocks), encoding="utf-8")
    return Written(title, caveats, results, pairs, (page, text, *(picture.path for picture in pictures), *numbers))


def _title(collection: Collection, findings: Findings) -> str:
    counts = {"run": collection.runs, "task": collection.tasks, "arm": collection.arms}
    parts = (sections.counted(len(things), name) for name, things in counts.items())
    return f"{', '.join(parts)}: {METRICS[findings.metric].title}"


def _draw(out: Path, arms: Sequence[str], findings: Findings) -> Iterator[Picture]:
    """Draws what there is to draw."""
    titles = {
        "success": ("success rate", "Learning curves: success rate in evaluations"),
        "return": ("task return", "Learning curves: task return in evaluations"),
        "fade": ("|shaping| / |task reward|", "Shaping beside task reward, in training steps"),
    }
    for quantity, (label, title) in titles.items():
        if curves := [line for line in findings.curves if line.quantity == quantity]:
            path = out / f"curves-{quantity}.png"
            draw_lines(curves, arms, path, title, "env steps", label)
            yield Picture(path, f"{title}: interquartile mean over runs, and its 95% interval.")
    metric = METRICS[findings.metric]
    if findings.profiles:
        path = out / "profile.png"
        labels = (f"x: {metric.title}", "share of runs better than x")
        draw_lines(findings.profiles, arms, path, "Performance profile", *labels)
        yield Picture(
            path, f"Share of the runs with a score better than x, and its 95% interval. Score: {metric.title}."
        )
    if found := [comparison for comparison in findings.comparisons if comparison.difference is not None]:
        path = out / "differences.png"
        draw_differences(found, path, "Paired differences", f"difference: {metric.title}")
        better = "right" if metric.more_is_better else "left"
        yield Picture(
            path,
            f"Pairs of the same task and seed (dots), their interquartile mean (diamond) and its 95% interval. Score: "
            f"{metric.title}; {better} of zero, the first arm is better.",
        )
