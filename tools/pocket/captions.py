"""Sentences for what a MetaWorld clip shows: a small grammar with paraphrases, one word list a task.

The success caption of a task of the paper is its published prompt or a paraphrase of it. Every other stage of the same
scene has captions of its own; they share its nouns, so a scorer cannot tell them from the prompt by the scene alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

Stage = Literal["success", "held", "partial", "approach", "failed", "random", "idle"]
STAGES: tuple[Stage, ...] = get_args(Stage)


@dataclass(frozen=True, slots=True)
class Words:
    """What one task is called.

    Attributes:
        prompt: the published prompt (MVR, arXiv 2603.01694), or one of the same form for the other tasks.
        acts: verb phrases of success, present participle first, infinitive second.
        objects: what the gripper works on.
        done: what is so once the task is solved.
    """

    prompt: str
    acts: tuple[tuple[str, str], ...]
    objects: tuple[str, ...]
    done: tuple[str, ...]


PAPER_TASKS: dict[str, Words] = {
    "faucet-close-v3": Words(
        "a robot gripper rotating the faucet clockwise",
        (
            ("rotating the faucet clockwise", "rotate the faucet clockwise"),
            ("turning the faucet clockwise", "turn the faucet clockwise"),
            ("closing the faucet", "close the faucet"),
            ("shutting the tap", "shut the tap"),
            ("turning off the tap", "turn off the tap"),
        ),
        ("the faucet", "a faucet", "the faucet handle", "a tap", "the tap"),
        ("the faucet is closed", "the tap is turned off", "the faucet has been rotated clockwise"),
    ),
    "hammer-v3": Words(
        "a robot gripper hammering a screw on the wall",
        (
            ("hammering a screw on the wall", "hammer a screw on the wall"),
            ("hammering a nail into the wall", "hammer a nail into the wall"),
            ("hitting the screw with a hammer", "hit the screw with a hammer"),
            ("driving a nail into the wall with a hammer", "drive a nail into the wall with a hammer"),
            ("using a hammer to strike the nail", "use a hammer to strike the nail"),
        ),
        ("a hammer", "the hammer", "the handle of the hammer"),
        ("the nail is in the wall", "the screw is hammered into the wall", "the nail has been driven in"),
    ),
    "handle-press-side-v3": Words(
        "a robot gripper pressing a handle down sideways",
        (
            ("pressing a handle down sideways", "press a handle down sideways"),
            ("pressing the handle down from the side", "press the handle down from the side"),
            ("pushing a lever down", "push a lever down"),
            ("pushing the handle downwards", "push the handle downwards"),
            ("lowering the handle", "lower the handle"),
        ),
        ("a handle", "the handle", "a lever", "the lever of the box"),
        ("the handle is down", "the handle is pressed", "the lever has been pushed down"),
    ),
    "peg-unplug-side-v3": Words(
        "a robot gripper unpluging a peg sideways",
        (
            ("unpluging a peg sideways", "unplug a peg sideways"),
            ("unplugging a peg sideways", "unplug the peg sideways"),
            ("pulling a peg out of the hole", "pull a peg out of the hole"),
            ("pulling the plug out of its socket", "pull the plug out of its socket"),
            ("removing the peg from the box", "remove the peg from the box"),
        ),
        ("a peg", "the peg", "the plug", "a peg in a box"),
        ("the peg is unplugged", "the peg is out of the hole", "the plug has been pulled out"),
    ),
    "push-back-v3": Words(
        "a robot gripper pushing the wooden block backward",
        (
            ("pushing the wooden block backward", "push the wooden block backward"),
            ("pushing the wooden block back", "push the wooden block back"),
            ("moving a block backwards", "move a block backwards"),
            ("sliding the wooden cube towards the robot", "slide the wooden cube towards the robot"),
            ("dragging the wooden block back", "drag the wooden block back"),
        ),
        ("the wooden block", "a wooden block", "a wooden cube", "the block"),
        ("the wooden block is back at the target", "the block has been moved backward"),
    ),
    "push-v3": Words(
        "a robot gripper pushing a cylinder",
        (
            ("pushing a cylinder", "push a cylinder"),
            ("pushing the puck", "push the puck"),
            ("sliding a cylinder over the table", "slide a cylinder over the table"),
            ("pushing the red cylinder forward", "push the red cylinder forward"),
            ("shoving a puck across the table", "shove a puck across the table"),
        ),
        ("a cylinder", "the cylinder", "a puck", "the red cylinder"),
        ("the cylinder is at the target", "the puck has been pushed to the goal"),
    ),
    "push-wall-v3": Words(
        "a robot gripper bypassing a wall and pushing a cylinder",
        (
            ("bypassing a wall and pushing a cylinder", "bypass a wall and push a cylinder"),
            ("pushing a cylinder around a wall", "push a cylinder around a wall"),
            ("moving around the wall with a cylinder", "move around the wall with a cylinder"),
            ("sliding the puck past the wall", "slide the puck past the wall"),
            ("pushing a puck behind the wall", "push a puck behind the wall"),
        ),
        ("a cylinder in front of a wall", "the cylinder near the wall", "a puck beside a wall"),
        ("the cylinder is behind the wall", "the puck has been pushed past the wall"),
    ),
    "shelf-place-v3": Words(
        "a robot gripper picking and placing a cube onto a shelf",
        (
            ("picking and placing a cube onto a shelf", "pick and place a cube onto a shelf"),
            ("putting a cube on the shelf", "put a cube on the shelf"),
            ("placing the block onto a shelf", "place the block onto a shelf"),
            ("lifting a cube up to the shelf", "lift a cube up to the shelf"),
            ("setting a box down on a shelf", "set a box down on a shelf"),
        ),
        ("a cube in front of a shelf", "the cube", "the block near the shelf"),
        ("the cube is on the shelf", "the block has been placed onto the shelf"),
    ),
    "stick-pull-v3": Words(
        "a robot gripper grasping a cuboid and pulling a kettle with the cuboid",
        (
            (
                "grasping a cuboid and pulling a kettle with the cuboid",
                "pull a kettle with the cuboid",
            ),
            ("grasping a stick and pulling a kettle with it", "grasp a stick and pull a kettle with it"),
            ("pulling a kettle with a stick", "pull a kettle with a stick"),
            ("using a stick to drag the thermos", "use a stick to drag the thermos"),
            ("hooking the kettle with a rod and pulling it", "hook the kettle with a rod and pull it"),
        ),
        ("a cuboid beside a kettle", "a stick", "the cuboid", "the stick and the kettle"),
        ("the kettle has been pulled to the target", "the thermos is at the goal"),
    ),
    "window-close-v3": Words(
        "a robot gripper pushing and closing a window",
        (
            ("pushing and closing a window", "push and close a window"),
            ("closing the window", "close the window"),
            ("sliding the window shut", "slide the window shut"),
            ("shutting a window", "shut a window"),
            ("pushing the window handle to close it", "push the window handle to close it"),
        ),
        ("a window", "the window", "the window handle"),
        ("the window is closed", "the window is shut", "the window has been closed"),
    ),
}

# The same scenes with another goal: what tells them from the tasks of the paper is the motion, not the furniture.
RIVAL_TASKS: dict[str, Words] = {
    "faucet-open-v3": Words(
        "a robot gripper rotating the faucet counterclockwise",
        (
            ("rotating the faucet counterclockwise", "rotate the faucet counterclockwise"),
            ("turning the faucet anticlockwise", "turn the faucet anticlockwise"),
            ("opening the faucet", "open the faucet"),
            ("turning on the tap", "turn on the tap"),
        ),
        ("the faucet", "a faucet", "the faucet handle", "a tap", "the tap"),
        ("the faucet is open", "the tap is turned on"),
    ),
    "window-open-v3": Words(
        "a robot gripper pushing and opening a window",
        (
            ("pushing and opening a window", "push and open a window"),
            ("opening the window", "open the window"),
            ("sliding the window open", "slide the window open"),
        ),
        ("a window", "the window", "the window handle"),
        ("the window is open", "the window has been opened"),
    ),
    "handle-pull-side-v3": Words(
        "a robot gripper pulling a handle up sideways",
        (
            ("pulling a handle up sideways", "pull a handle up sideways"),
            ("lifting the handle", "lift the handle"),
            ("pulling a lever up", "pull a lever up"),
        ),
        ("a handle", "the handle", "a lever", "the lever of the box"),
        ("the handle is up", "the lever has been pulled up"),
    ),
    "peg-insert-side-v3": Words(
        "a robot gripper inserting a peg sideways",
        (
            ("inserting a peg sideways", "insert a peg sideways"),
            ("putting a peg into the hole", "put a peg into the hole"),
            ("plugging the peg into the box", "plug the peg into the box"),
        ),
        ("a peg", "the peg", "a peg beside a box"),
        ("the peg is in the hole", "the peg has been inserted"),
    ),
    "stick-push-v3": Words(
        "a robot gripper grasping a cuboid and pushing a kettle with the cuboid",
        (
            (
                "grasping a cuboid and pushing a kettle with the cuboid",
                "push a kettle with the cuboid",
            ),
            ("pushing a kettle with a stick", "push a kettle with a stick"),
            ("using a stick to shove the thermos", "use a stick to shove the thermos"),
        ),
        ("a cuboid beside a kettle", "a stick", "the cuboid", "the stick and the kettle"),
        ("the kettle has been pushed to the target", "the thermos is at the goal"),
    ),
    "pick-place-v3": Words(
        "a robot gripper picking up a cylinder and holding it in the air",
        (
            ("picking up a cylinder and holding it in the air", "pick up a cylinder and hold it in the air"),
            ("lifting the puck to the goal", "lift the puck to the goal"),
            ("picking and placing a cylinder", "pick and place a cylinder"),
        ),
        ("a cylinder", "the cylinder", "a puck", "the red cylinder"),
        ("the cylinder is in the air", "the puck has been lifted to the goal"),
    ),
}

TASKS: dict[str, Words] = PAPER_TASKS | RIVAL_TASKS

_SUBJECTS = ("a robot gripper",) * 4 + (
    *("the robot gripper", "a robotic gripper", "a gripper", "a robot arm", "the robot arm"),
    *("a robot", "the robot", "a manipulator", "a robot hand"),
)

_TEMPLATES: dict[Stage, tuple[str, ...]] = {
    # Every form of the verb appears here and below, lest the form tell success from failure.
    "success": ("{who} {acting}",) * 6
    + ("{who} successfully {acting}", "a video of {who} {acting}", "{acting}")
    + ("{act}", "{who} manages to {act}", "{who} can be seen to {act}", "{who} {acts}", "{who} {acts}"),
    "held": ("{who} {acting}",) * 4 + ("{done}", "{who} has finished {acting}", "{done}, {who} at rest"),
    "partial": (
        "{who} starting to {act}",
        "{who} not done with {acting} yet",
        "{who} touching {thing}",
        "{who} touches {thing}",
        "{who} halfway through {acting}",
        "{who} about to {act}",
        "{who} has just begun to {act}",
    ),
    "approach": (
        "{who} reaching towards {thing}",
        "{who} approaching {thing}",
        "{who} reaches for {thing}",
        "{who} moving towards {thing}",
        "{who} getting close to {thing}",
        "{who} going to {thing}, not touching it yet",
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


def caption(task: str, stage: Stage, rng: np.random.Generator) -> str:
    """Draws one sentence for a stage of a task.

    Args:
        task: name in `TASKS`.
        stage: what the clip shows.
        rng: source of every choice.
    """
    words = TASKS[task]
    acting, act = words.acts[rng.integers(len(words.acts))]
    return _pick(_TEMPLATES[stage], rng).format(
        who=_pick(_SUBJECTS, rng),
        acting=acting,
        act=act,
        acts=third_person(act),
        thing=_pick(words.objects, rng),
        done=_pick(words.done, rng),
    )


def third_person(act: str) -> str:
    """Turns "push and close a window" into "pushes and closes a window"."""
    words = act.split()
    verbs = {0} | {i + 1 for i, word in enumerate(words[:-1]) if word == "and"}
    return " ".join(
        word + ("es" if word.endswith(("s", "sh", "ch", "x")) else "s") if i in verbs else word
        for i, word in enumerate(words)
    )


def prompt_or_paraphrase(task: str, rng: np.random.Generator, published: float = 0.5) -> str:
    """Draws the published prompt with probability `published`, else a paraphrase of it."""
    return TASKS[task].prompt if rng.random() < published else caption(task, "success", rng)


def _pick(choices: tuple[str, ...], rng: np.random.Generator) -> str:
    return choices[rng.integers(len(choices))]
