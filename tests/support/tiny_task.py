"""The task MVR/tiny, its scorer, and an engine that has learned something known; import it to register them."""

from __future__ import annotations

import dataclasses
import multiprocessing
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np

import mvr_wrappers
from mvr_wrappers.engine.engine import RewardEngine
from mvr_wrappers.filming import FilmedEnv
from mvr_wrappers.relevance_net import RelevanceNet
from mvr_wrappers.settings import RewardSettings
from mvr_wrappers.snapshot import RewardSnapshot
from tests.support.fake_scorer import FakeScorer
from tests.support.tiny_env import TinyEnv

TASKS = Path(__file__).parent / "tiny_tasks.yaml"
CLIP = {"length": 8, "stride": 4, "frames": 4, "film_every": 1, "image_size": 32}
RELEVANCE = {"hidden": 16, "pairs": 16, "steps_per_epoch": 5, "max_steps": 10, "patience": 2, "references": 3}
SCHEDULE = {"score_every": 40, "update_every": 80}
NEVER = {"score_every": 10**9, "update_every": 10**9}


def fake_scorer(**arguments: Any) -> FakeScorer:
    return FakeScorer()


mvr_wrappers.register_scorer("fake", fake_scorer)
mvr_wrappers.register_tasks(TASKS)


class EndingEnv(TinyEnv):
    """Terminates after `last` steps, or is truncated then if told so."""

    def __init__(self, last: int = 5, truncates: bool = False) -> None:
        super().__init__()
        self.last, self.truncates = last, truncates

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        observation, reward, _, _, info = super().step(action)
        over = self._t >= self.last
        return observation, reward, over and not self.truncates, over and self.truncates, info


def filmed(last: int, truncates: bool = False) -> FilmedEnv:
    return FilmedEnv(EndingEnv(last, truncates), clip=CLIP)


class DictEnv(gym.ObservationWrapper[Any, Any, Any]):
    """The tiny env with observations in a Dict."""

    def __init__(self, env: Any = None) -> None:
        super().__init__(env or TinyEnv())
        self.observation_space = gym.spaces.Dict({"all": self.env.observation_space})

    def observation(self, observation: Any) -> dict[str, Any]:
        return {"all": observation}


def read_dict(observation: dict[str, Any]) -> Any:
    return observation["all"]


def read_without_torch(observation: Any) -> Any:
    in_child = multiprocessing.parent_process() is not None
    assert not (in_child and "torch" in sys.modules)
    return observation


def learned_engine(rule: str = "additive", weight: float = 0.5, **options: Any) -> RewardEngine:
    """An engine that never works, with f(s) = cos of the angle between (relu(s), relu(-s)) and a fixed direction."""
    reward = RewardSettings(rule=rule, gamma=0.9)  # type: ignore[arg-type]
    engine = RewardEngine(
        "anything", scorer=FakeScorer(), weight=weight, reward=reward, **{"schedule": NEVER, **options}
    )
    eye = np.eye(4)
    net = RelevanceNet(
        *(np.zeros(4), np.ones(4), np.hstack([eye, -eye]), np.zeros(8), np.eye(8), np.zeros(8), np.eye(8)[0])
    )
    engine.publish(RewardSnapshot.build(net, [0.2, 0.7], tau=0.1, weight=weight, reward=reward, version=1))
    return engine


def waiting(engines: Mapping[str, RewardEngine]) -> dict[str, float]:
    """How many clips of each prompt wait for scoring."""
    return {prompt: engine.metrics()["clips_waiting"] for prompt, engine in engines.items()}


def publish(engine: RewardEngine, rule: str = "additive", weight: float = 0.5) -> None:
    """Gives an engine of `learned_engine` another snapshot, of the same network turned round."""
    snapshot = learned_engine(rule, weight).snapshot
    assert snapshot.net is not None
    net = snapshot.net._replace(direction=np.roll(snapshot.net.direction, 5))
    engine.publish(dataclasses.replace(snapshot, net=net))
