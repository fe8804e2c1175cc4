from __future__ import annotations

import numpy as np
import pytest

from mvr_wrappers.registry import load_registry
from tools.pocket.captions import PAPER_TASKS, RIVAL_TASKS, STAGES, TASKS, caption, prompt_or_paraphrase, third_person
from tools.pocket.evaluate import PARAPHRASES


def test_prompts_are_the_published_ones() -> None:
    registry = load_registry()
    assert {name: registry[name].prompt for name in PAPER_TASKS} == {n: w.prompt for n, w in PAPER_TASKS.items()}
    assert len(PAPER_TASKS) == 10 and not PAPER_TASKS.keys() & RIVAL_TASKS.keys()


@pytest.mark.parametrize("task", TASKS)
def test_every_stage_has_sentences_of_its_own(task: str, rng: np.random.Generator) -> None:
    drawn = {stage: {caption(task, stage, rng) for _ in range(200)} for stage in STAGES}
    for sentences in drawn.values():
        assert len(sentences) > 5
        assert not any(mark in sentence for sentence in sentences for mark in "{}")
    shared = drawn["success"] & set().union(*(drawn[s] for s in ("partial", "approach", "failed", "random", "idle")))
    assert not shared


def test_success_of_one_task_is_never_success_of_another(rng: np.random.Generator) -> None:
    drawn = {task: {caption(task, "success", rng) for _ in range(400)} for task in TASKS}
    for a in TASKS:
        for b in TASKS:
            assert a == b or not drawn[a] & drawn[b]


def test_the_same_seed_draws_the_same_sentences() -> None:
    first, second = (np.random.default_rng(3) for _ in range(2))
    for stage in STAGES:
        assert caption("hammer-v3", stage, first) == caption("hammer-v3", stage, second)


def test_third_person() -> None:
    assert third_person("push and close a window") == "pushes and closes a window"
    assert {third_person(act) for _, act in TASKS["hammer-v3"].acts} >= {"hits the screw with a hammer"}


def test_prompt_or_paraphrase(rng: np.random.Generator) -> None:
    prompt = TASKS["push-v3"].prompt
    assert prompt_or_paraphrase("push-v3", rng, published=1.0) == prompt
    assert len({prompt_or_paraphrase("push-v3", rng, published=0.0) for _ in range(50)}) > 10


def test_reworded_prompts_of_the_evaluation_cannot_be_drawn(rng: np.random.Generator) -> None:
    assert PARAPHRASES.keys() == PAPER_TASKS.keys()
    for task, sentence in PARAPHRASES.items():
        assert sentence not in {caption(task, stage, rng) for stage in ("success", "held") for _ in range(500)}
