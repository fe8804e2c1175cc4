"""What is known about a task, checked."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field

from mvr_wrappers.parsing import Float, Int, StrictFields
from mvr_wrappers.prompts import checked_prompt
from mvr_wrappers.rigs import CameraRig
from mvr_wrappers.settings import (
    AgentSettings,
    ClipSettings,
    Method,
    RelevanceSettings,
    RewardSettings,
    ScheduleSettings,
    checked_weight,
)


def _known_rig(rig: dict[str, Any] | None) -> dict[str, Any] | None:
    if rig is not None:
        CameraRig.from_config(rig)  # so that a mistake is found where it stands, before an env is made
    return rig


@dataclass(frozen=True, slots=True)
class MakeSpec(StrictFields):
    """How the base env is made. `{task}` in `id` and in the text values of `kwargs` stands for the task's name.

    Attributes:
        id: a Gymnasium id.
        module: package to import first because it registers the id.
        adapter: which adapter of `tasks/base_envs.py` makes and mends the env; None is plain `gymnasium.make`.
        max_episode_steps: time limit; None takes the id's own.
        kwargs: further arguments of the env.
    """

    id: str
    module: str | None = None
    adapter: Literal["metaworld", "humanoid_bench"] | None = None
    max_episode_steps: Annotated[Int, Field(gt=0)] | None = None
    kwargs: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class TaskSpec(StrictFields):
    """Everything known about a task: the base env, what to look for, from where, and how to learn from it.

    Attributes:
        name: the part of the Gymnasium id after `MVR/`.
        make: how the base env is made.
        prompt: one sentence that says what the behaviour looks like.
        family: the family it took values from, or None.
        rig: configuration of a `CameraRig`; None is the rig the model suggests.
        scorer: a name `load_scorer` knows.
        method: how clips become reward.
        weight: w, the weight of the VLM reward.
        baseline_prompt: what is seen whatever the agent does, for the regularisation of scores; None has none.
        alpha: strength of the regularisation, in [0, 1].
        clip: what is filmed.
        relevance: how state relevance is learned.
        reward: how relevance becomes reward.
        schedule: when the engine works.
        agent: hyper-parameters of the TQC agent.
        source: where prompt and numbers come from.
    """

    name: str
    make: MakeSpec
    prompt: Annotated[str, AfterValidator(checked_prompt)]
    agent: AgentSettings
    family: str | None = None
    rig: Annotated[dict[str, Any] | None, AfterValidator(_known_rig)] = None
    scorer: str = "pocket"
    method: Method = "mvr"
    weight: Annotated[Float, AfterValidator(checked_weight)] = 0.1
    baseline_prompt: Annotated[str, AfterValidator(checked_prompt)] | None = None
    alpha: Annotated[Float, Field(ge=0, le=1)] = 0.0
    clip: ClipSettings = field(default_factory=ClipSettings)
    relevance: RelevanceSettings = field(default_factory=RelevanceSettings)
    reward: RewardSettings = field(default_factory=RewardSettings)
    schedule: ScheduleSettings = field(default_factory=ScheduleSettings)
    source: str = ""
