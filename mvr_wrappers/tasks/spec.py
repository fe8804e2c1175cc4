"""What is known about a task, checked."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

from pydantic import Field

from mvr_wrappers.option_docs import documented
from mvr_wrappers.options import TaskSettings
from mvr_wrappers.parsing import Int, StrictFields
from mvr_wrappers.settings import AgentSettings


@dataclass(frozen=True, slots=True)
class MakeSpec(StrictFields):
    """How the base env is made. `{task}` in `id` and in the text values of `kwargs` stands for the task's name.

    Attributes:
        id: a Gymnasium id.
        module: package to import first because it registers the id.
        adapter: which adapter of `tasks/base_envs.py` makes and fixes the env; None is plain `gymnasium.make`.
        max_episode_steps: time limit; None takes the id's own.
        kwargs: further arguments of the env.
    """

    id: str
    module: str | None = None
    adapter: Literal["metaworld", "humanoid_bench"] | None = None
    max_episode_steps: Annotated[Int, Field(gt=0)] | None = None
    kwargs: dict[str, Any] = field(default_factory=dict)


@documented(TaskSettings)
@dataclass(frozen=True, slots=True, kw_only=True)
class TaskSpec(TaskSettings):
    """Everything known about a task: the base env, what to look for, from where, and how to learn from it.

    Attributes:
        name: the part of the Gymnasium id after `MVR/`.
        make: how the base env is made.
        family: the family it took values from, or None.
        agent: hyper-parameters of the TQC agent.
        source: where prompt and numbers come from.
        {options}
    """

    name: str
    make: MakeSpec
    agent: AgentSettings
    family: str | None = None
    source: str = ""
