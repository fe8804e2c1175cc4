"""A run is evaluated in as many envs as it is trained in, each with its own positions."""

from __future__ import annotations

from contextlib import closing
from typing import Any

import numpy as np
import pytest

import tests.support.tiny_task  # noqa: F401  registers MVR/tiny
from mvr_agents.runs.eval_envs import EvalEnvs
from mvr_agents.runs.evaluate import evaluate
from mvr_wrappers.envs.task_env import make_task_env
from mvr_wrappers.tasks.registry import get_task


def first_observations(task: str, episodes: int, seed: int, **options: Any) -> list[bytes]:
    """Evaluates a policy that stands still and returns the first observation of each episode."""
    seen: list[list[bytes]] = [[]]
    with closing(EvalEnvs(get_task(task, **options))) as envs:
        stay = np.zeros_like(envs[0].action_space.sample())

        def stand(observation: Any) -> Any:
            seen[-1].append(observation.tobytes())
            return stay

        evaluate(envs, stand, episodes, seed, tick=lambda: seen.append([]))
    return [episode[0] for episode in seen[:episodes]]


@pytest.mark.parametrize(
    ("settings", "count"),
    [
        ({"n_envs": 8, "eval_episodes": 10}, 8),
        ({"n_envs": 8, "eval_episodes": 5}, 5),
        ({"n_envs": 8, "eval_episodes": 10, "eval_envs": 2}, 2),
    ],
)
def test_there_are_as_many_as_train_unless_told_otherwise(settings: dict[str, Any], count: int) -> None:
    assert len(EvalEnvs(get_task("tiny", agent=settings))) == count


def test_an_env_is_made_when_it_is_needed_once_and_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[Any] = []
    closed: list[Any] = []

    def noted(spec: Any) -> Any:
        env = make_task_env(spec)
        made.append(env)
        monkeypatch.setattr(env, "close", lambda: closed.append(env))
        return env

    monkeypatch.setattr("mvr_agents.runs.eval_envs.make_task_env", noted)
    envs = EvalEnvs(get_task("tiny", agent={"n_envs": 8, "eval_episodes": 10}))
    assert made == []
    for episodes in (2, 3, 2):
        evaluate(envs, lambda observation: np.zeros_like(envs[0].action_space.sample()), episodes)
    assert len(made) == 3
    envs.close()
    assert closed == made


@pytest.mark.parametrize(("positions", "distinct"), [("fixed", 8), ("reset", 10)])
def test_each_env_has_positions_of_its_own(positions: str, distinct: int) -> None:
    """Eight envs, ten episodes: with positions that an env draws once, eight scenes; else a scene an episode."""
    pytest.importorskip("metaworld")
    options: dict[str, Any] = {"env_kwargs": {"positions": positions, "max_episode_steps": 2}}
    first = first_observations("push-v3", 10, seed=10_000, **options)
    assert len(set(first)) == distinct
    assert first == first_observations("push-v3", 10, seed=10_000, **options)
    assert first[:3] == first_observations("push-v3", 3, seed=10_000, **options)
    if positions == "reset":  # episode i is what it was in one env
        assert first == first_observations("push-v3", 10, seed=10_000, agent={"eval_envs": 1}, **options)
