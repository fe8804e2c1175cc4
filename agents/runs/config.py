"""TrainConfig: everything a run depends on, typed once for Python, the command line and config.yaml."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Annotated, Any, Literal

import tyro
import yaml
from tyro.constructors import PrimitiveConstructorSpec

from mvr_agents.learners import LearnerName
from mvr_wrappers.errors import ConfigError
from mvr_wrappers.option_docs import documented
from mvr_wrappers.options import TaskSettings, names_of, values_of
from mvr_wrappers.settings import AgentSettings
from mvr_wrappers.tasks.registry import TaskSpec, get_task

_SEEDS = 2**31

TrackerName = Literal["none", "wandb"]


def _mapping(words: list[str]) -> dict[str, Any]:
    """Reads a mapping written as YAML in one word of a command line."""
    try:
        found = yaml.safe_load(words[0])
    except yaml.YAMLError as error:
        raise ValueError(f"{words[0]!r} is not YAML") from error
    if not isinstance(found, dict):
        raise ValueError(f"{words[0]!r} is no mapping; write it as '{{key: value}}'")
    return found


Mapped = Annotated[
    dict[str, Any],
    PrimitiveConstructorSpec(
        nargs=1,
        metavar="'{key: value}'",
        instance_from_str=_mapping,
        is_instance=lambda value: isinstance(value, dict),
        str_from_instance=lambda value: [yaml.safe_dump(value, default_flow_style=True, width=math.inf).strip()],
    ),
]


@documented(TaskSettings)
@dataclass(frozen=True, slots=True, kw_only=True)
class TrainConfig(TaskSettings):
    """Train an agent on the shaped reward of a task.

    The values shown are those of the task and the preset: `mvr train hammer-v3 --preset paper --help`.

    Attributes:
        task: a name that `mvr tasks` lists, or FILE.yaml:NAME for a task of your own file.
        hyperparameters: of the agent.
        agent: the learner: TQC in JAX, or of sb3-contrib.
        preset: a preset of the task file; it decides the defaults of all other options.
        shaping: train on the shaped reward; without it, on the task's own, and nothing is filmed.
        subproc: step each sub-env in a process of its own.
        agent_device: where the agent computes: "auto", "cpu", "cuda", "cuda:N".
        threads: of torch on the CPU. One is the fastest for networks this small, by far where other programs run too.
        checkpoint_replay: keep the replay buffer in checkpoints; without it they are small, and a run that is resumed
            begins with an empty one.
        outputs: where run directories are written: OUTPUTS/<task>/<agent>/<time>-seed-<seed>.
        run_dir: the directory of this run itself, in place of one below outputs.
        track: tell the run to an experiment tracker as well: wandb writes into the run's directory and sends nothing,
            unless the variable WANDB_MODE says online.
        seed: of everything random in the run: envs, filming, learning and the agent.
        {options}
    """

    task: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="TASK")]
    hyperparameters: Annotated[AgentSettings, tyro.conf.arg(name="")]
    agent: LearnerName = "jax-tqc"
    preset: str = "default"
    shaping: bool = True
    subproc: bool = False
    agent_device: str = "auto"
    threads: int = 1
    checkpoint_replay: bool = True
    outputs: Path = Path("outputs")
    run_dir: Path | None = None
    track: TrackerName = "none"
    rig: Mapped | None = None
    env_kwargs: Mapped = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Refuses values that cannot work; gives the potential rule the discount of the agent."""
        if self.threads < 1:
            raise ConfigError(f"threads is {self.threads}; give at least 1")
        if not 0 <= self.seed < _SEEDS:
            raise ConfigError(f"seed is {self.seed}; give a whole number from 0 to {_SEEDS - 1}")
        if self.reward.rule == "potential":
            gamma, own = self.hyperparameters["gamma"], self.reward.gamma
            if own not in (None, gamma):
                raise ConfigError(
                    f"reward.gamma is {own}, and the gamma of the agent {gamma}: the potential rule leaves the optimal "
                    "policy unchanged only where both are the same; leave reward.gamma out"
                )
            object.__setattr__(self, "reward", replace(self.reward, gamma=gamma))

    @classmethod
    def for_task(cls, task: str, preset: str = "default", **overrides: Any) -> TrainConfig:
        """Returns the configuration of a task, the rest as the task and the preset say.

        Args:
            task: a registered name, or `FILE.yaml:NAME`.
            preset: a preset of the task file.
            overrides: any attribute of this class; settings and `hyperparameters` as mappings of the fields to change.

        Raises:
            UnknownNameError: no such task or preset.
            ConfigError: an unknown attribute, or a value that cannot work.
        """
        known = {item.name for item in fields(cls)}
        for key in overrides:
            if key not in known:
                raise ConfigError(f"{key} is no attribute of TrainConfig. Valid: {', '.join(sorted(known))}")
        given = {key: overrides.pop(key) for key in names_of(TaskSettings) if key in overrides}
        spec = get_task(task, preset, agent=overrides.pop("hyperparameters", None), **given)
        return cls(task=task, preset=preset, hyperparameters=spec.agent, **values_of(TaskSettings, spec), **overrides)

    @property
    def checkpoint_every(self) -> int:
        """Env steps between two checkpoints, 0 for none."""
        every = self.hyperparameters["checkpoint_every"]
        return max(1, self.hyperparameters["steps"] // 20) if every is None else every

    def task_options(self) -> dict[str, Any]:
        """Returns what this configuration says about the task besides its name and preset, as keywords of the task."""
        return values_of(TaskSettings, self)

    def task_spec(self) -> TaskSpec:
        """Returns the task as this configuration changes it, checked.

        Raises:
            UnknownNameError: no such task or preset.
            ConfigError: a value that cannot work.
        """
        return get_task(self.task, self.preset, agent=self.hyperparameters, **self.task_options())
