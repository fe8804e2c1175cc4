"""Sentences for what a clip shows: a small grammar with paraphrases; the words themselves are in words.yaml.

The success caption of a Meta-World task is its prompt in the registry or a paraphrase of it. Every other stage of the
same scene has captions of its own; they share its nouns and every form of its verbs, so a scorer cannot tell them from
the prompt by the scene or by one word. The motions of all bodies are named by the same verbs.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import yaml

from mvr_wrappers.tasks.registry import load_registry

Stage = Literal["success", "held", "partial", "approach", "shaky", "failed", "random", "idle"]
STAGES: tuple[Stage, ...] = get_args(Stage)

# Never trained on: neither their clips nor their sentences. Chosen before any result was seen.
HELD_OUT = ("button-press-wall-v3", "coffee-pull-v3", "drawer-open-v3", "plate-slide-back-v3", "sweep-into-v3")
PAPER_TASKS = (  # of MVR, arXiv 2603.01694
    *("faucet-close-v3", "hammer-v3", "handle-press-side-v3", "peg-unplug-side-v3", "push-back-v3"),
    *("push-v3", "push-wall-v3", "shelf-place-v3", "stick-pull-v3", "window-close-v3"),
)


@dataclass(frozen=True, slots=True)
class Words:
    """What one task is called.

    Attributes:
        acts: infinitives of success; every verb comes first or after "and", and one of the words (in/between/slashes)
            is drawn.
        things: what the gripper works on.
        done: what is so once the task is solved.
        reworded: a sentence for success by hand, kept out of training to judge the scorer by.
        scene: tasks of one scene look alike at rest.
    """

    acts: tuple[str, ...]
    things: tuple[str, ...]
    done: tuple[str, ...]
    reworded: str
    scene: str


def _read() -> dict[str, Any]:
    words: dict[str, Any] = yaml.safe_load((Path(__file__).parent / "words.yaml").read_text("utf-8"))
    return words


TASKS: dict[str, Words] = {
    name: Words(tuple(w["acts"]), tuple(w["things"]), tuple(w["done"]), w["reworded"], w.get("scene", name))
    for name, w in _read()["tasks"].items()
}
TRAINED = tuple(task for task in TASKS if task not in HELD_OUT)
BODIES: dict[str, tuple[str, ...]] = {name: tuple(words) for name, words in _read()["bodies"].items()}
MOTIONS: dict[str, tuple[str, ...]] = {name: tuple(acts) for name, acts in _read()["motions"].items()}

_SUBJECTS = ("a robot gripper",) * 4 + (
    *("the robot gripper", "a robotic gripper", "a gripper", "a robot arm", "the robot arm"),
    *("a robot", "the robot", "a manipulator", "a robot hand", "the arm", "the machine", "the robot's hand"),
    *("robot", "an arm", "the hand", "the fingers", "a machine"),
)

_TEMPLATES: dict[Stage, tuple[str, ...]] = {
    # Every form of the verb appears here and below, lest the form tell success from failure.
    "success": ("{who} {acting}",) * 6
    + ("{who} successfully {acting}", "a video of {who} {acting}", "{acting}", "{who} is {acting}")
    + ("{act}", "{who} manages to {act}", "{who} can be seen to {act}")
    + ("{who} {acts}",) * 4,
    "held": ("{who} {acting}",) * 4 + ("{done}", "{who} has finished {acting}", "{done}, {who} at rest"),
    "partial": (
        "{who} starting to {act}",
        "{who} not done with {acting} yet",
        "{who} touching {thing}",
        "{who} touches {thing}",
        "{who} halfway through {acting}",
        "{who} about to {act}",
        "{who} has just begun to {act}",
        "{who} begins to {act}, not there yet",
    ),
    "approach": (
        "{who} reaching towards {thing}",
        "{who} approaching {thing}",
        "{who} reaches for {thing}",
        "{who} moving towards {thing}",
        "{who} getting close to {thing}",
        "{who} going to {thing}, not touching it yet",
        "{who} is on its way to {act}",
    ),
    "shaky": (
        "{who} shakily trying to {act}",
        "{who} trembling near {thing}",
        "{who} struggles to {act}",
        "{who} moving unsteadily while {acting}",
        "{who} shaking wildly beside {thing}",
        "{who} jittering around {thing}",
    ),
    "failed": (
        "{who} failing to {act}",
        "{who} missing {thing}",
        "{who} fails to {act}",
        "{who} trying in vain to {act}",
        "{who} attempting but not able to {act}",
        "{who} not {acting}",
        "an unsuccessful attempt to {act}",
    ),
    "random": (
        "{who} moving at random near {thing}",
        "{who} moving randomly beside {thing}",
        "{who} moves at random near {thing}",
        "{who} waving around aimlessly next to {thing}",
        "{who} jerking about without purpose near {thing}",
        "{who} making random movements around {thing}",
    ),
    "idle": (
        "{who} standing still near {thing}",
        "{who} not moving beside {thing}",
        "{who} stands still near {thing}",
        "{who} doing nothing next to {thing}",
        "{who} waiting motionless near {thing}",
    ),
}

_MOTION_TEMPLATES = ("{who} {acting}",) * 5 + (
    *("a video of {who} {acting}", "{who} {acts}", "{who} is {acting}", "{who} can be seen to {act}"),
)

_DOUBLING = frozenset(
    "put set hit grab drag plug unplug shut slot dip spin flip trip step hop run sit get drop fit transfer".split()
    + "slip let cut stop slam".split()
)
_IRREGULAR = {"lie": "lying", "be": "being"}


@cache
def prompt(task: str) -> str:
    """Returns the sentence a task is judged by: the registry's, where the registry knows the task."""
    registry = load_registry()
    return registry[task].prompt if task in registry else f"a robot gripper {participle(TASKS[task].acts[0])}"


def motion_prompt(body: str, motion: str) -> str:
    """Returns the sentence a motion is judged by: "a humanoid robot" and "running forward"."""
    return f"{BODIES[body][0]} {participle(MOTIONS[motion][0])}"


def caption(task: str, stage: Stage, rng: np.random.Generator) -> str:
    """Draws one sentence for a stage of a task; never one that the scorer is judged by.

    Args:
        task: name in `TASKS`.
        stage: what the clip shows.
        rng: source of every choice.
    """
    words, sentence = TASKS[task], TASKS[task].reworded
    while sentence == words.reworded:
        template, act = _pick(_TEMPLATES[stage], rng), _chosen(_pick(words.acts, rng), rng)
        sentence = _fill(template, _pick(_SUBJECTS, rng), act, _pick(words.things, rng), _pick(words.done, rng))
    return sentence


def motion_caption(body: str, motion: str, rng: np.random.Generator) -> str:
    """Draws one sentence for a motion of a body."""
    return _fill(_pick(_MOTION_TEMPLATES, rng), _pick(BODIES[body], rng), _pick(MOTIONS[motion], rng))


def prompt_or_paraphrase(task: str, rng: np.random.Generator, published: float = 0.5) -> str:
    """Draws the task's prompt with probability `published`, else a paraphrase of it."""
    return prompt(task) if rng.random() < published else caption(task, "success", rng)


def participle(act: str) -> str:
    """Turns "push and close a window" into "pushing and closing a window"."""
    return _inflect(act, _ing)


def third_person(act: str) -> str:
    """Turns "push and close a window" into "pushes and closes a window"."""
    return _inflect(act, _s)


def _inflect(act: str, form: Callable[[str], str]) -> str:
    words = act.split()
    verbs = {0} | {i + 1 for i, word in enumerate(words[:-1]) if word == "and"}
    return " ".join(form(word) if i in verbs else word for i, word in enumerate(words))


def _ing(verb: str) -> str:
    if verb in _IRREGULAR:
        return _IRREGULAR[verb]
    if verb in _DOUBLING:
        return f"{verb}{verb[-1]}ing"
    return f"{verb[:-1] if verb.endswith('e') and not verb.endswith('ee') else verb}ing"


def _s(verb: str) -> str:
    if verb == "be":
        return "is"
    if verb.endswith("y") and verb[-2] not in "aeiou":
        return f"{verb[:-1]}ies"
    return verb + ("es" if verb.endswith(("s", "sh", "ch", "x", "do", "go")) else "s")


def _fill(template: str, who: str, act: str, thing: str = "", done: str = "") -> str:
    return template.format(who=who, act=act, acting=participle(act), acts=third_person(act), thing=thing, done=done)


def _chosen(text: str, rng: np.random.Generator) -> str:
    """Draws one of each group of words: "(push/press) a button" becomes "press a button"."""
    return re.sub(r"\(([^()]*)\)", lambda group: _pick(group[1].split("/"), rng), text)


def _pick(choices: Sequence[str], rng: np.random.Generator) -> str:
    return choices[int(rng.integers(len(choices)))]
