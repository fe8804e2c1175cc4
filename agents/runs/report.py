"""The table at the end of a run, read from the files the run wrote."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from rich.columns import Columns
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from mvr_agents.runs.interval import wilson_interval
from mvr_agents.runs.metrics import read_metrics
from mvr_agents.runs.run_dir import RunDirectory

Metrics = dict[str, NDArray[np.float64]]

EARLY_LATE = 0.2  # share of the steps after the first update that counts as early, and as late
SURE_EPISODES = 20  # held-out ones from which on a share of their pairs is told without its interval


def report(run: RunDirectory) -> RenderableType:
    """Returns tables of what a run did, how its time was spent, and which files to look at."""
    metrics, config = read_metrics(run.metrics), run.read_config()
    steps = int(metrics["step"][-1])
    planned = config.hyperparameters["steps"]
    length = f"{steps:,} steps" if steps >= planned else f"stopped at {steps:,} of {planned:,} steps"
    title = Text(f"{config.task}, {config.agent}, seed {config.seed}: {length}", style="bold")
    outcome = Table("", "before", "after")
    outcome.add_row("task return (evaluation)", *_ends(metrics["eval_return"], "{:.1f}"))
    outcome.add_row("success at any step (evaluation)", *_ends(metrics["eval_success"], "{:.0%}"))
    outcome.add_row("success at the last step (evaluation)", *_ends(metrics["eval_success_last"], "{:.0%}"))
    outcome.add_row("mean VLM reward, early and late", *_numbers(early_and_late(metrics), "{:.3f}"))
    outcome.add_row("shaping beside task reward, early and late", *_numbers(fades(metrics), "{:.1%}"))
    work = Columns([_work(metrics), _time(metrics, config.schedule.mode)])
    return Group(title, outcome, work, Text(f"in {run.path}:", overflow="fold"), _files(run))


def _work(metrics: Metrics) -> Table:
    table = Table("work done", "")
    table.add_row("clips scored", f"{metrics['clips_scored'][-1]:,.0f}")
    table.add_row("relevance updates", f"{metrics['updates'][-1]:,.0f}")
    if metrics["updates"][-1]:
        table.add_row("last update", _last_update(metrics))
        table.add_row("its losses", _losses(metrics))
    accuracy, episodes = metrics["pair_accuracy"][-1], int(metrics["held_out_episodes"][-1])
    table.add_row("held-out pair accuracy", pair_accuracy(accuracy, episodes))
    return table


def _last_update(metrics: Metrics) -> str:
    """Says how many steps the last update of the relevance model took, and what ended it."""
    steps, early = metrics["update_steps"][-1], metrics["stopped_early"][-1]
    if not np.isfinite(early):
        return "-"
    return f"{steps:,.0f} steps: " + ("the held-out loss no longer fell" if early else "relevance.max_steps reached")


def _losses(metrics: Metrics) -> str:
    names = {"matching": "matching_loss", "representation": "representation_loss", "held out": "held_out_loss"}
    return ", ".join(f"{name} {_number(metrics[column][-1], '{:.3f}')}" for name, column in names.items())


def pair_accuracy(accuracy: float, episodes: int) -> str:
    """Says how many pairs of held-out clips are ordered right, and how sure that is.

    Pairs share clips, and clips of one episode are alike: an episode counts as one observation of the interval.

    Args:
        accuracy: share of the pairs; NaN before the first update.
        episodes: held out; 0 if a version wrote the metrics that did not count them.
    """
    if not np.isfinite(accuracy) or not episodes:
        return _number(accuracy, "{:.0%}")
    text = f"{accuracy:.0%} on {episodes} unseen episode{'s' * (episodes > 1)}"
    if episodes >= SURE_EPISODES:
        return text
    low, high = wilson_interval(accuracy, episodes)
    return f"{text} (95% interval: {low:.0%} to {high:.0%})"


def _time(metrics: Metrics, mode: str) -> Table:
    """Splits the wall time; what no clock covers is the envs' and SB3's own."""
    last = {name: float(metrics[name][-1]) for name in metrics if name.endswith("seconds")}
    total = last.pop("seconds")
    names = {
        "learner_seconds": "learner's updates",
        "film_seconds": "filming",
        "score_seconds": "scoring",
        "update_seconds": "relevance updates",
        "eval_seconds": "evaluation",
    }
    beside = {"film_seconds", "score_seconds", "update_seconds"} if mode == "async" else set()
    table = Table("wall time", "seconds", "share")
    rest = total - sum(value for name, value in last.items() if name not in beside)
    table.add_row("envs and the rest", f"{rest:.1f}", _share(rest, total))
    for name, label in names.items():
        table.add_row(label, f"{last[name]:.1f}", "in parallel" if name in beside else _share(last[name], total))
    table.add_section()
    table.add_row("training and evaluation", f"{total:.1f}", _share(total, total))
    return table


def _files(run: RunDirectory) -> Table:
    table = Table("file", "contents")
    contents = {
        run.curve: "task return, success and mean VLM reward over steps",
        run.filmstrip: "the best and the worst clip of each view, by score",
        run.relevance: "state relevance and shaping along an evaluation episode",
        run.film: "the same episode from all views, f(s) below",
        run.metrics: "all numbers of the run",
        run.evaluations: "every episode of every evaluation",
        run.tensorboard: "the same and more, for tensorboard --logdir",
        run.config: "all values, versions, seed, git revision",
        run.model: "the agent",
        run.engine: "the reward engine",
    }
    for path, content in contents.items():
        if path.exists():
            table.add_row(path.name, content)
    return table


def _ends(column: NDArray[np.float64], form: str) -> tuple[str, str]:
    known = column[np.isfinite(column)]
    return _numbers((known[0], known[-1]), form) if len(known) else ("-", "-")


def early_and_late(metrics: Metrics, column: str = "vlm_reward", share: float = EARLY_LATE) -> tuple[float, float]:
    """Returns the mean of a column over the first and the last `share` of the rows after the first relevance update.

    Before it the VLM reward is zero by definition. Rows without a value do not count; NaN where there is no other.
    """
    rows = (metrics["updates"] >= 1) & np.isfinite(metrics[column])
    values = metrics[column][rows]
    if not len(values):
        return float("nan"), float("nan")
    count = max(1, round(share * len(values)))
    return float(values[:count].mean()), float(values[-count:].mean())


def fades(metrics: Metrics) -> tuple[float, float]:
    """Returns mean |shaping| over mean |task reward|, early and late; NaN where the task paid nothing all that time."""
    shaping, task = (early_and_late(metrics, column) for column in ("abs_shaping", "abs_task_reward"))
    early, late = (a / b if b else float("nan") for a, b in zip(shaping, task, strict=True))
    return early, late


def _numbers(values: tuple[float, float], form: str) -> tuple[str, str]:
    return _number(values[0], form), _number(values[1], form)


def _share(part: float, total: float) -> str:
    return f"{part / total:.0%}" if total else "-"


def _number(value: float, form: str) -> str:
    return form.format(value) if np.isfinite(value) else "-"
