from __future__ import annotations

import numpy as np
import pytest
from metaworld.policies import ENV_POLICY_MAP

from mvr_wrappers.tasks.registry import load_registry
from tools.pocket.captions import (
    BODIES,
    HELD_OUT,
    MOTIONS,
    PAPER_TASKS,
    STAGES,
    TASKS,
    TRAINED,
    Words,
    caption,
    motion_caption,
    motion_prompt,
    participle,
    prompt,
    prompt_or_paraphrase,
    third_person,
)
from tools.pocket.motions import BODY_MOTIONS

GYMNASIUM = {"humanoid": ("Humanoid-v5", "run"), "half_cheetah": ("HalfCheetah-v5", "run")} | {
    **{"hopper": ("Hopper-v5", "hop"), "walker2d": ("Walker2d-v5", "walk"), "ant": ("Ant-v5", "walk")},
}


def test_every_task_with_a_scripted_policy_has_words() -> None:
    assert TASKS.keys() == ENV_POLICY_MAP.keys()
    assert set(HELD_OUT) | set(TRAINED) == TASKS.keys() and len(TRAINED) == 45
    assert not set(HELD_OUT) & set(PAPER_TASKS) and len(PAPER_TASKS) == 10


def test_prompts_are_the_registry_s() -> None:
    registry = load_registry()
    for task in PAPER_TASKS:
        assert prompt(task) == registry[task].prompt
    for body, (name, motion) in GYMNASIUM.items():
        assert motion_prompt(body, motion) == registry[name].prompt


@pytest.mark.parametrize("task", TASKS)
def test_every_stage_has_sentences_of_its_own(task: str, rng: np.random.Generator) -> None:
    drawn = {stage: {caption(task, stage, rng) for _ in range(200)} for stage in STAGES}
    for sentences in drawn.values():
        assert len(sentences) > 5
        assert not any(mark in sentence for sentence in sentences for mark in "{}")
    shared = drawn["success"] & set().union(*(drawn[s] for s in STAGES if s not in ("success", "held")))
    assert not shared


def test_success_of_one_task_is_never_success_of_another(rng: np.random.Generator) -> None:
    drawn = {task: {caption(task, "success", rng) for _ in range(300)} for task in TASKS}
    shared = {(a, b): drawn[a] & drawn[b] for a in TASKS for b in TASKS if a < b and drawn[a] & drawn[b]}
    assert not shared


def test_motions_have_sentences_of_their_own(rng: np.random.Generator) -> None:
    assert BODY_MOTIONS.keys() == BODIES.keys()
    for body, motions in BODY_MOTIONS.items():
        drawn = [{motion_caption(body, motion, rng) for _ in range(100)} for motion in motions]
        assert len(set().union(*drawn)) == sum(map(len, drawn))
    assert set().union(*BODY_MOTIONS.values()) == MOTIONS.keys()


def test_the_same_seed_draws_the_same_sentences() -> None:
    first, second = (np.random.default_rng(3) for _ in range(2))
    for stage in STAGES:
        assert caption("hammer-v3", stage, first) == caption("hammer-v3", stage, second)


def test_forms_of_the_verb() -> None:
    assert third_person("push and close a window") == "pushes and closes a window"
    assert participle("push and close a window") == "pushing and closing a window"
    assert participle("put a ring on") == "putting a ring on"
    assert participle("lie on the ground") == "lying on the ground"
    assert third_person("carry the puck") == "carries the puck"
    assert third_person("be upside down") == "is upside down"


def test_one_of_each_group_of_words_is_drawn(rng: np.random.Generator) -> None:
    acts = ("(press/push down) a (red /)button",)
    words = Words(acts, ("it",), ("done",), "never drawn", "scene")
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(TASKS, "tiny", words)
        drawn = {caption("tiny", "success", rng) for _ in range(400)}
    for sentence in ("press a button", "pushing down a red button"):
        assert sentence in drawn
    assert not any(mark in sentence for sentence in drawn for mark in "()/")


def test_prompt_or_paraphrase(rng: np.random.Generator) -> None:
    assert prompt_or_paraphrase("push-v3", rng, published=1.0) == prompt("push-v3")
    assert len({prompt_or_paraphrase("push-v3", rng, published=0.0) for _ in range(50)}) > 10


def test_reworded_prompts_of_the_evaluation_cannot_be_drawn(rng: np.random.Generator) -> None:
    for task, words in TASKS.items():
        assert words.reworded not in {caption(task, stage, rng) for stage in ("success", "held") for _ in range(300)}
