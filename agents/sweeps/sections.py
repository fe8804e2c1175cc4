"""The sections of a report: what is found, in sentences and tables."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Sequence

import numpy as np

from mvr_agents.sweeps.collect import Collection, Run
from mvr_agents.sweeps.document import Points, Table
from mvr_agents.sweeps.findings import Comparison, Findings
from mvr_agents.sweeps.groups import Group
from mvr_agents.sweeps.lines import RESAMPLES as LINE_RESAMPLES
from mvr_agents.sweeps.scores import METRICS, Metric, MetricName
from mvr_agents.sweeps.statistics import RESAMPLES, Estimate

COVERED = {2: "51%", 3: "75%", 4: "87%"}
"""Seeds of one task -> how often a 95% interval holds the true value, see benchmarks/intervals.py."""


def caveats(collection: Collection, findings: Findings) -> Points:
    """Says what stands between these numbers and belief."""
    seeds = {(run.task, run.arm): len(collection.of(run.task, run.arm)) for run in collection.runs}
    lines = [f"{note}." for note in collection.notes] + list(findings.notes)
    if lonely := [f"{arm} of {task}" for (task, arm), count in seeds.items() if count == 1]:
        lines.append(f"One seed is an anecdote, and has no interval; train more seeds of {_some(lonely)}.")
    if missing := collection.missing():
        names = [f"{arm} of {task}: {_seeds(gone)}" for (task, arm), gone in missing.items()]
        lines.append(f"{counted(sum(map(len, missing.values())), 'run')} missing: {_some(names, '; ')}.")
    if collection.unfinished:
        names = [f"{arm} of {task}, seed {seed}" for task, arm, seed in collection.unfinished]
        lines.append(f"{counted(len(names), 'run')} not finished, and not counted: {_some(names, '; ')}.")
    fewest = min(seeds.values())
    if fewest in COVERED:
        lines.append(
            f"Intervals of few seeds are too narrow: on one task, 95% intervals of {fewest} seeds hold the true value "
            f"in {COVERED[fewest]} of cases, if scores are normal (benchmarks/results/intervals.md)."
        )
    return Points(tuple(lines or ["Every task and arm has the same seeds, all finished."]))


def results(findings: Findings) -> Table:
    """Returns the scores of the arms, a row a group and an arm, the metric asked for first."""
    by_cell: dict[tuple[Group, str], dict[MetricName, tuple[Estimate, int]]] = defaultdict(dict)
    for result in findings.results:
        by_cell[result.group, result.arm][result.metric] = (result.estimate, result.runs)
    there = {metric for cells in by_cell.values() for metric in cells}
    metrics = sorted(there, key=lambda name: (name != findings.metric, list(METRICS).index(name)))
    rows = []
    for (group, arm), cells in by_cell.items():
        runs = next(iter(cells.values()))[1]
        written = (_estimate(cells[name][0], METRICS[name]) if name in cells else "-" for name in metrics)
        rows.append((group.name, arm, str(runs), *written))
    return Table(("task", "arm", "runs", *(METRICS[name].title for name in metrics)), tuple(rows))


def comparisons(findings: Findings) -> Table:
    """Returns the pairs of arms, a row each and a group."""
    metric = METRICS[findings.metric]
    columns = ("task", "arm", "beats", "probability", f"difference of {metric.title}", "pairs", "difference of means")
    return Table(columns, tuple(_comparison(found, metric) for found in findings.comparisons))


def _comparison(found: Comparison, metric: Metric) -> tuple[str, ...]:
    difference, means = (
        "-" if number is None else _estimate(number, metric, sign="+") for number in (found.difference, found.means)
    )
    probability = _interval(found.improvement, lambda value: f"{value:.2f}")
    return (found.group.name, found.arm, found.other, probability, difference, str(len(found.pairs)), means)


def fading(collection: Collection, findings: Findings) -> Table:
    """Returns the size of the shaping beside the task reward, early and late, mean over the runs of a row."""
    rows = []
    for group in findings.groups:
        for arm in group.arms:
            fades = np.array([run.fade for task in group.tasks for run in collection.of(task, arm)])
            told = np.isfinite(fades).all(axis=1)
            if told.any():
                cells = (f"{share:.1%}" for share in fades[told].mean(axis=0))
                rows.append((group.name, arm, str(told.sum()), *cells))
    return Table(("task", "arm", "runs", "early", "late"), tuple(rows))


def hours(collection: Collection, findings: Findings) -> Table:
    """Returns how long the runs took, those of each row and all."""
    rows = [
        (group.name, arm, [run for task in group.tasks for run in collection.of(task, arm)])
        for group in findings.groups
        for arm in group.arms
    ]
    cells = (_time(*row) for row in [*rows, ("all", "", list(collection.runs))])
    return Table(("task", "arm", "runs", "hours in all", "hours a run", "steps a second"), tuple(cells))


def _time(name: str, arm: str, runs: Sequence[Run]) -> tuple[str, ...]:
    seconds = sum(run.seconds for run in runs)
    steps = sum(int(run.evaluations.steps[-1]) for run in runs)
    numbers = (f"{seconds / 3600:.3g}", f"{seconds / len(runs) / 3600:.3g}", f"{steps / seconds:,.0f}")
    return (name, arm, str(len(runs)), *numbers)


def machines(collection: Collection) -> Table:
    """Returns on what, and with which versions and revision, the runs were made."""
    counts = Counter(_made_with(run) for run in collection.runs)
    return Table(("runs", "machine", "versions", "revision"), tuple((str(n), *made) for made, n in counts.items()))


def _made_with(run: Run) -> tuple[str, str, str]:
    machine, versions, git = (run.document.get(key) or {} for key in ("machine", "versions", "git"))
    gpus = Counter(machine.get("gpus") or ["no GPU"])
    parts = [f"{machine.get('cores')} cores of {machine.get('processor')}", f"{machine.get('memory')} GiB"]
    parts += [name if count == 1 else f"{count} {name}" for name, count in gpus.items()]
    module = run.document["task"]["make"].get("module")
    named = [name for name in ("mujoco", module, "gymnasium", "torch", "jax") if name in versions]
    revision = git.get("revision", "unknown")[:7] + " (files changed)" * bool(git.get("changed"))
    return (
        ", ".join(parts) if machine else "unknown",
        ", ".join(f"{name} {versions[name]}" for name in named),
        revision,
    )


def definitions(findings: Findings) -> Points:
    """Says how each kind of number is computed, and whose definition it is."""
    used = dict.fromkeys([findings.metric, *(result.metric for result in findings.results)])
    scores = [f"{METRICS[name].title}: {METRICS[name].meaning}." for name in used]
    paper = "Agarwal et al. 2021 (arXiv 2108.13264)"
    never = " Of steps, a run that never came so far counts with its whole length." * (findings.metric == "steps_to_50")
    return Points(
        (
            *scores,
            "Scores of arms are interquartile means: the mean of the middle half of all runs of all tasks "
            f"({paper}, section 4.3); of up to three runs it is the mean.",
            "In brackets: 95% percentile interval of the stratified bootstrap, seeds drawn within tasks, "
            f"{RESAMPLES:,} draws, of curves and profiles {LINE_RESAMPLES:,} ({paper}, section 4.1).",
            f"Probability: that a run of the arm beats one of the other on a task drawn at random, ties count half "
            f"({paper}, section 4.3).",
            "Difference: interquartile mean over pairs of the same task and seed, pairs drawn within tasks." + never,
            "Difference of means: mean over tasks of the mean of the one arm less that of the other. No run is left "
            "out, so that tasks which one arm alone solves count.",
            f"Performance profile: share of the runs with a score better than x, averaged over tasks ({paper}, "
            "section 4.2).",
            "Shaping beside task reward: mean |shaping| over mean |task reward| of training steps, in the first and "
            "the last fifth after the first update of the relevance model.",
        )
    )


def _estimate(estimate: Estimate, metric: Metric, sign: str = "") -> str:
    return _interval(estimate, lambda value: sign * (value > 0) + metric.written(value))


def _interval(estimate: Estimate, written: Callable[[float], str]) -> str:
    value, low, high = (float(number) for number in (estimate.value, estimate.low, estimate.high))
    return written(value) if np.isnan(low) else f"{written(value)} [{written(low)}, {written(high)}]"


def counted(count: int, thing: str) -> str:
    """Returns "1 run" or "2 runs"."""
    return f"{count} {thing}{'s' * (count != 1)}"


def _seeds(seeds: Sequence[int]) -> str:
    return f"seed{'s' * (len(seeds) > 1)} {', '.join(map(str, seeds))}"


def _some(names: Sequence[str], separator: str = ", ", most: int = 12) -> str:
    """Returns the names in a line, and how many more there are."""
    more = [f"and {len(names) - most} more"] if len(names) > most else []
    return separator.join([*names[:most], *more])
