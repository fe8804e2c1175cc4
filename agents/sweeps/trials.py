"""Trials: the runs that suites come to."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from mvr_agents.runs.config import TrainConfig
from mvr_agents.runs.run_dir import RunDirectory
from mvr_agents.sweeps.suites import Arm, Suite, as_overrides
from mvr_wrappers.errors import ConfigError, MVRError, UnknownNameError
from mvr_wrappers.options import EngineSettings, names_of
from mvr_wrappers.parsing import parse
from mvr_wrappers.tasks.files import Layer
from mvr_wrappers.tasks.registry import merged_layers

_SHAPING_ONLY = {*names_of(EngineSettings), "rig", "clip"} - {"seed", "device"}


@dataclass(frozen=True, slots=True)
class Trial:
    """One run of a suite: its folder is that of its configuration.

    Attributes:
        suite: name of the suite.
        task: name of the task, without the file it stands in.
        arm: name of the arm.
        config: of the run.
    """

    suite: str
    task: str
    arm: str
    config: TrainConfig

    @property
    def run(self) -> RunDirectory:
        """Where it is written: OUTPUTS/<suite>/<task>/<arm>/seed-<n>/."""
        assert self.config.run_dir is not None
        return RunDirectory(self.config.run_dir)

    @property
    def folder_of_suite(self) -> Path:
        """OUTPUTS/<suite>/."""
        return self.run.path.parents[2]

    @property
    def name(self) -> str:
        """Task, arm and seed."""
        return f"{self.task} {self.arm} seed {self.config.seed}"


def crossed(arms: Iterable[Arm], changes: Mapping[str, Sequence[Any]]) -> tuple[Arm, ...]:
    """Returns each arm with each combination of values, named after them: "mvr-weight=0.3".

    Options of shaping do not multiply arms that are not shaped.

    Args:
        arms: to change.
        changes: option of `mvr train`, parts joined by points -> values.

    Raises:
        ConfigError: no such option.
    """
    made: list[Arm] = []
    for arm in arms:
        shaped = arm.options.get("shaping", True)
        count = {name: values for name, values in changes.items() if shaped or _first(name) not in _SHAPING_ONLY}
        made.extend(
            changed(arm, dict(zip(count, values, strict=True)), "--set")
            for values in itertools.product(*count.values())
        )
    return tuple(made)


def _first(name: str) -> str:
    return name.replace("-", "_").split(".")[0]


def changed(arm: Arm, values: Mapping[str, Any], where: str) -> Arm:
    """Returns an arm with other options, named after them.

    Args:
        arm: to change.
        values: option of `mvr train`, parts joined by points -> value.
        where: the place they stand at, for errors.

    Raises:
        ConfigError: no such option.
    """
    options, name = arm.options, arm.name
    for option, value in values.items():
        first, *below = option.replace("-", "_").split(".")
        inner = value
        for part in reversed(below):
            inner = {part: inner}
        options = merged_layers(options, as_overrides({first: inner}, where))
        name += f"-{option}=" + re.sub(r"[^\w.+-]+", "_", str(value)).strip("_")
    options = dict(options)
    return Arm(name, options.pop("preset", arm.preset), options)


def trials(suites: Iterable[Suite], outputs: Path, *, steps: int | None = None) -> list[Trial]:
    """Returns the runs of suites, checked, all tasks and arms of one seed before the next seed.

    Args:
        suites: to run.
        outputs: folder of their folders.
        steps: of each run, in place of what suite, preset and task say.

    Raises:
        UnknownNameError: no such task or preset.
        ConfigError: a value that cannot work, or two runs of one folder.
    """
    found: dict[Path, Trial] = {}
    for suite in suites:
        for seed, task, arm in itertools.product(suite.seeds, suite.tasks, suite.arms):
            trial = _trial(suite, task, arm, seed, outputs, {} if steps is None else {"steps": steps})
            if found.setdefault(trial.run.path, trial) is not trial:
                raise ConfigError(f"{suite.where}: {task}, arm {arm.name}, seed {seed} stands twice; remove one")
    return list(found.values())


def _trial(suite: Suite, task: str, arm: Arm, seed: int, outputs: Path, hyperparameters: Layer) -> Trial:
    name = task.rpartition(":")[2].removeprefix("MVR/")
    folder = outputs / suite.name / name / arm.name / f"seed-{seed}"
    options = merged_layers(arm.options, {"hyperparameters": hyperparameters})
    try:
        config = TrainConfig.for_task(task, arm.preset, seed=seed, outputs=outputs, run_dir=folder, **options)
        config = parse(TrainConfig, asdict(config), "")
    except (ConfigError, UnknownNameError) as error:
        kind: type[MVRError] = ConfigError if isinstance(error, ConfigError) else UnknownNameError
        raise kind(f"{suite.where}, arm {arm.name}, {name}: {error}") from error
    return Trial(suite.name, name, arm.name, config)
