"""Which tasks numbers are taken over, and the scores of their runs as samples."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from mvr_agents.sweeps.collect import Collection, Run
from mvr_agents.sweeps.scores import METRICS, MetricName
from mvr_agents.sweeps.statistics import Array
from mvr_wrappers.errors import ConfigError

By = Literal["task", "arm"]


@dataclass(frozen=True, slots=True)
class Group:
    """Tasks over which numbers are taken together.

    Attributes:
        name: of the task, or how many they are.
        tasks: their names.
        arms: that have runs of all of them.
    """

    name: str
    tasks: tuple[str, ...]
    arms: tuple[str, ...]


def make_groups(collection: Collection, by: By) -> tuple[list[Group], list[str]]:
    """Returns the groups, and a sentence on the tasks that are left out because an arm has no runs of them."""
    has = {task: tuple(arm for arm in collection.arms if collection.of(task, arm)) for task in collection.tasks}
    if by == "task" or len(has) == 1:
        return [Group(task, (task,), arms) for task, arms in has.items()], []
    shared = tuple(task for task, arms in has.items() if arms == collection.arms)
    if not shared:
        raise ConfigError(f"no task has runs of all arms ({', '.join(collection.arms)}); give --by task")
    left = [task for task in has if task not in shared]
    notes = [f"Left out, as an arm has no runs of it: {', '.join(left)}."] if left else []
    return [Group(shared[0] if len(shared) == 1 else f"{len(shared)} tasks", shared, collection.arms)], notes


def one_scale(collection: Collection, group: Group) -> bool:
    """Returns whether the returns of a group are of one task and one reward."""
    return len(group.tasks) == 1 and len(_rewards(collection, group.tasks[0])) == 1


def _rewards(collection: Collection, task: str) -> set[str]:
    return {
        run.document["config"].get("task_reward") or "the task's own" for run in collection.runs if run.task == task
    }


def require_one_scale(collection: Collection, groups: Sequence[Group]) -> None:
    """Refuses groups whose returns cannot be compared.

    Raises:
        ConfigError: a group of several tasks, or of runs that are paid different rewards.
    """
    for group in groups:
        if len(group.tasks) > 1:
            raise ConfigError("returns of different tasks are not on one scale; give --by task, or a metric of success")
        if not one_scale(collection, group):
            rewards = " and ".join(sorted(_rewards(collection, group.name)))
            raise ConfigError(f"the returns of {group.name} are of different rewards, {rewards}; compare by success")


def scores_of(runs: Sequence[Run], metric: MetricName) -> Array:
    """Returns the scores of runs, float64 (N,)."""
    return np.array([METRICS[metric].compute(run.evaluations) for run in runs], np.float64)


def sign_of(metric: MetricName) -> float:
    """Returns what scores are multiplied by, so that more is better."""
    return 1.0 if METRICS[metric].more_is_better else -1.0


def sample_of(collection: Collection, group: Group, arm: str, metric: MetricName) -> list[Array]:
    """Returns the scores of an arm, an array a task."""
    return [scores_of(collection.of(task, arm), metric) for task in group.tasks]
