"""TrainConfig: everything a run depends on, typed once for Python, the command line and config.yaml."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Annotated, Any

import tyro

from mvr_agents.learners import LearnerName
from mvr_wrappers.errors import ConfigError
from mvr_wrappers.settings import (
    AgentSettings,
    ClipSettings,
    Method,
    RelevanceSettings,
    RewardSettings,
    ScheduleSettings,
)
from mvr_wrappers.tasks.registry import TaskSpec, get_task

_SEEDS = 2**31
_OF_TASK = (
    *("prompt", "scorer", "method", "weight", "baseline_prompt", "alpha"),
    *("clip", "relevance", "reward", "schedule"),
)


@dataclass(frozen=True, slots=True)
class TrainConfig:
    """Train an agent on the shaped reward of a task.

    The values shown are those of the task and the preset: `mvr train hammer-v3 --preset paper --help`.

    Attributes:
        task: a name that `mvr tasks` lists, or FILE.yaml:NAME for a task of your own file.
        prompt: one sentence that says what the behaviour looks like.
        hyperparameters: of the agent.
        agent: the learner: TQC in JAX, or of sb3-contrib.
        preset: a preset of the task file; it decides the defaults of all other options.
        scorer: the video-language model that scores clips.
        method: how clips become reward.
        weight: w, the weight of the VLM reward.
        baseline_prompt: what is seen whatever the agent does, such as "a humanoid robot": scores then leave out part of
            what does not lie between it and the prompt.
        alpha: strength of that, from 0 to 1.
        shaping: train on the shaped reward; without it, on the task's own, and nothing is filmed.
        seed: of everything random in the run.
        subproc: step each sub-env in a process of its own.
        device: of the scorer and the relevance model: auto, cpu, cuda, cuda:N.
        agent_device: of the learner, likewise.
        threads: of torch on the CPU. One is the fastest for networks this small, by far where other programs run too.
        outputs: where run directories are written.
        clip: what is filmed.
        relevance: how state relevance is learned.
        reward: how relevance becomes reward.
        schedule: when clips are scored and relevance is updated.
    """

    task: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="TASK")]
    prompt: str
    hyperparameters: Annotated[AgentSettings, tyro.conf.arg(name="")]
    agent: LearnerName = "jax-tqc"
    preset: str = "default"
    scorer: str = "pocket"
    method: Method = "mvr"
    weight: float = 0.1
    baseline_prompt: str | None = None
    alpha: float = 0.0
    shaping: bool = True
    seed: int = 0
    subproc: bool = False
    device: str = "auto"
    agent_device: str = "auto"
    threads: int = 1
    outputs: Path = Path("outputs")
    clip: ClipSettings = field(default_factory=ClipSettings)
    relevance: RelevanceSettings = field(default_factory=RelevanceSettings)
    reward: RewardSettings = field(default_factory=RewardSettings)
    schedule: ScheduleSettings = field(default_factory=ScheduleSettings)

    def __post_init__(self) -> None:
        """Refuses a seed or a number of threads that cannot work."""
        if self.threads < 1:
            raise ConfigError(f"threads is {self.threads}; give at least 1")
        if not 0 <= self.seed < _SEEDS:
            raise ConfigError(f"seed is {self.seed}; give a whole number from 0 to {_SEEDS - 1}")

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
        given = {key: overrides.pop(key) for key in _OF_TASK if key in overrides}
        spec = get_task(task, preset, agent=overrides.pop("hyperparameters", None), **given)
        values = {key: getattr(spec, key) for key in _OF_TASK}
        return cls(task=task, preset=preset, hyperparameters=spec.agent, **values, **overrides)

    def task_options(self) -> dict[str, Any]:
        """Returns what this configuration says about the task besides its name and preset, as keywords of the task."""
        return {key: getattr(self, key) for key in _OF_TASK}

    def task_spec(self) -> TaskSpec:
        """Returns the task as this configuration changes it, checked.

        Raises:
            UnknownNameError: no such task or preset.
            ConfigError: a value that cannot work.
        """
        return get_task(self.task, self.preset, agent=self.hyperparameters, **self.task_options())
