"""Scripted, disturbed and random episodes of every MetaWorld task."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from metaworld.env_dict import ALL_V3_ENVIRONMENTS_GOAL_OBSERVABLE
from metaworld.policies import ENV_POLICY_MAP
from numpy.typing import NDArray

from mvr_wrappers.filming.recorder import Recorder
from mvr_wrappers.tasks import metaworld_patches
from tools.pocket.films import Facts

Array = NDArray[np.float64]
Kind = Literal["expert", "missed", "random", "idle"]

OBJECT = slice(4, 7)  # of the observation: where the object is, metres
MOVED = 0.01  # metres by which the object must leave its place to count as touched
SETTLING = 15  # steps in which objects fall onto the table after a reset


@dataclass(frozen=True, slots=True)
class Behaviour:
    """How an episode is played.

    Attributes:
        kind: "expert" follows the scripted policy, "missed" does so towards a displaced object, "random" and "idle" do
            not, but may follow the policy for `prelude` steps first.
        noise: standard deviation of Gaussian noise on the four actions, which lie in [-1, 1].
        speed: factor on the gripper's motion.
        delay: steps of rest before anything happens.
        prelude: steps of the scripted policy before random or idle behaviour begins.
        hold: steps an expert episode goes on after its first success.
        redraw: steps for which one random action is kept.
        offset: displacement of the object as the "missed" policy sees it, metres (3,).
        steps: length of an episode without success; none is longer than the env allows, 500.
    """

    kind: Kind
    noise: float = 0.0
    speed: float = 1.0
    delay: int = 0
    prelude: int = 0
    hold: int = 10
    redraw: int = 1
    offset: tuple[float, float, float] = (0.0, 0.0, 0.0)
    steps: int = 400


@dataclass(frozen=True, slots=True, eq=False)
class Episode:
    """One episode, T states.

    Attributes:
        behaviour: how it was played.
        physics: float64 (T, P), as `Recorder` keeps it.
        success: bool (T,).
        touched: first state at which the object had been moved; T if it was not.
        begun: first state of the behaviour itself, after delay and prelude.
    """

    behaviour: Behaviour
    physics: Array
    success: NDArray[np.bool_]
    touched: int
    begun: int

    @property
    def solved(self) -> int:
        """First state of success; T if there is none."""
        return int(np.argmax(self.success)) if self.success.any() else len(self.success)

    @property
    def facts(self) -> Facts:
        """What the labels of its films are made from."""
        behaviour = self.behaviour
        return Facts(behaviour.kind, behaviour.noise, len(self.success), self.begun, self.touched, self.solved)


class Scene:
    """One MetaWorld task with object positions drawn anew for every seed."""

    def __init__(self, task: str) -> None:
        self.task = task
        metaworld_patches.load()
        self.env: Any = ALL_V3_ENVIRONMENTS_GOAL_OBSERVABLE[f"{task}-goal-observable"](seed=0)
        self.env._freeze_rand_vec, self.env.seeded_rand_vec = False, True
        self.model = self.env.model
        self._policy = ENV_POLICY_MAP[task]()

    def play(self, behaviour: Behaviour, seed: int) -> Episode:
        """Plays one episode; the same seed and behaviour give the same episode."""
        rng = np.random.default_rng(seed)
        self.env.seed(seed)
        observation, _ = self.env.reset()
        act = self._actor(behaviour, rng)
        recorder, success, objects = Recorder(self.env.model), [False], [observation[OBJECT].copy()]
        recorder.start(self.env.data, observation.astype(np.float32))
        stop = behaviour.steps
        for step in range(min(stop + behaviour.hold, self.env.max_path_length - 1)):
            if step >= stop:
                break
            observation, _, _, _, info = self.env.step(act(step, observation))
            success.append(bool(info["success"]))
            recorder.append(self.env.data, observation.astype(np.float32))
            objects.append(observation[OBJECT].copy())
            if success[-1] and behaviour.kind in ("expert", "missed") and stop == behaviour.steps:
                stop = step + 1 + behaviour.hold
        begun = behaviour.delay + (behaviour.prelude if behaviour.kind in ("random", "idle") else 0)
        return Episode(behaviour, recorder.physics, np.array(success), _first_moved(np.array(objects)), begun)

    def _actor(self, behaviour: Behaviour, rng: np.random.Generator) -> Callable[[int, Array], Array]:
        held = np.zeros(4)
        offset = np.asarray(behaviour.offset)

        def act(step: int, observation: Array) -> Array:
            nonlocal held
            step -= behaviour.delay
            if step < 0:
                return np.zeros(4)
            if behaviour.kind in ("random", "idle") and step >= behaviour.prelude:
                if behaviour.kind == "random" and (step - behaviour.prelude) % behaviour.redraw == 0:
                    held = rng.uniform(-1, 1, 4)
                action = held
            else:
                seen = observation.copy()
                seen[4:7] += offset
                action = self._scripted(seen)
                action[:3] *= behaviour.speed
            return np.clip(action + behaviour.noise * rng.normal(size=4), -1, 1)

        return act

    def _scripted(self, observation: Array) -> Array:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="Constant")  # the policies exceed [-1, 1] on purpose
            return np.clip(np.asarray(self._policy.get_action(observation), np.float64), -1, 1)


def _first_moved(objects: Array) -> int:
    moved = np.linalg.norm(objects - objects[min(SETTLING, len(objects) - 1)], axis=1) > MOVED
    moved[: SETTLING + 1] = False
    return int(np.argmax(moved)) if moved.any() else len(moved)
