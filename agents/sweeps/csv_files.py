"""Every number of a report as CSV; an empty cell where there is none, inf where a run never came so far."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterable, Iterator
from pathlib import Path

from mvr_agents.sweeps.collect import Collection
from mvr_agents.sweeps.findings import Findings
from mvr_agents.sweeps.scores import METRICS

Cell = str | int | float
INTERVAL = ("value", "low", "high")


def write_numbers(folder: Path, collection: Collection, findings: Findings) -> list[Path]:
    """Writes runs.csv, results.csv, comparisons.csv and lines.csv, and returns where they lie."""
    runs = ("task", "arm", "seed", *METRICS, "fade_early", "fade_late", "steps", "seconds", "folder")
    comparisons = ("tasks", "arm", "other", "quantity", *INTERVAL, "pairs")
    return [
        _write(folder / "runs.csv", runs, _runs(collection)),
        _write(folder / "results.csv", ("tasks", "arm", "metric", *INTERVAL, "runs"), _results(findings)),
        _write(folder / "comparisons.csv", comparisons, _comparisons(findings)),
        _write(folder / "lines.csv", ("tasks", "arm", "quantity", "x", *INTERVAL), _lines(findings)),
    ]


def _runs(collection: Collection) -> Iterator[tuple[Cell, ...]]:
    for run in collection.runs:
        scores = (
            metric.compute(run.evaluations)
            if run.evaluations.successes is not None or not metric.of_success
            else math.nan
            for metric in METRICS.values()
        )
        steps = int(run.evaluations.steps[-1])
        yield (run.task, run.arm, run.seed, *scores, *run.fade, steps, run.seconds, str(run.path))


def _results(findings: Findings) -> Iterator[tuple[Cell, ...]]:
    for result in findings.results:
        number = result.estimate
        yield (
            *(result.group.name, result.arm, result.metric),
            *(float(number.value), float(number.low), float(number.high), result.runs),
        )


def _comparisons(findings: Findings) -> Iterator[tuple[Cell, ...]]:
    for found in findings.comparisons:
        numbers = {
            "probability of improvement": found.improvement,
            f"{findings.metric} difference": found.difference,
            f"{findings.metric} difference of means": found.means,
        }
        for quantity, number in numbers.items():
            if number is not None:
                values = (float(number.value), float(number.low), float(number.high))
                yield (found.group.name, found.arm, found.other, quantity, *values, len(found.pairs))


def _lines(findings: Findings) -> Iterator[tuple[Cell, ...]]:
    for line in (*findings.curves, *findings.profiles):
        number = line.estimate
        for x, *values in zip(line.x, number.value, number.low, number.high, strict=True):
            yield (line.group.name, line.arm, line.quantity, float(x), *map(float, values))


def _write(path: Path, columns: Iterable[str], rows: Iterable[tuple[Cell, ...]]) -> Path:
    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows([_cell(value) for value in row] for row in rows)
    return path


def _cell(value: Cell) -> Cell:
    if isinstance(value, float):
        return "" if math.isnan(value) else f"{value:.10g}"
    return value
