"""What `task_reward` says is what our wrapper received, whatever changes rewards below it; above it nothing counts."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, NamedTuple

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.vector import AutoresetMode, SyncVectorEnv
from gymnasium.wrappers import vector as vector_wrappers

pytest.importorskip("stable_baselines3")

from stable_baselines3 import SAC
from stable_baselines3.common.vec_env import DummyVecEnv

from mvr_wrappers import FilmedEnv, MultiViewVLMRewardVectorWrapper, MultiViewVLMRewardWrapper
from mvr_wrappers.sb3 import MultiViewVLMRewardVecEnv, RelabelReplayBuffer
from mvr_wrappers.wrappers.task_info import TaskInfo
from tests.support.known import of_type
from tests.support.reward_wrappers import ABOVE, BELOW, BOUND, ClippedVecEnv, Tenfold, check_stored, tiny_rewards
from tests.support.tiny_task import CLIP, EndingEnv, learned_engine
from tests.support.vec_drives import actions_of, small_agent

LASTS, STEPS = (9, 12), 40
Change = Callable[[Any], Any]


class Step(NamedTuple):
    """One step of one env: where it led, what the agent was given, what info said, the totals where it was the last."""

    after: np.ndarray
    reward: float
    task_reward: float
    shaping: float
    totals: dict[str, Any] | None


def tenfold(reward: Any) -> Any:
    return 10 * reward


def clipped(reward: Any) -> Any:
    return np.clip(reward, -BOUND, BOUND)


def unchanged(reward: Any) -> Any:
    return reward


def sub_env(last: int, inside: bool, outside: bool) -> gym.Env[Any, Any]:
    """A filmed env as an id makes it, with a wrapper that changes rewards inside or outside of filming."""
    own: gym.Env[Any, Any] = TaskInfo(EndingEnv(last))
    filmed = FilmedEnv(Tenfold(own) if inside else own, clip=CLIP)
    return Tenfold(filmed) if outside else filmed


SUB_ENVS: list[tuple[bool, bool, Change]] = [
    (False, False, unchanged),
    (True, False, tenfold),
    (False, True, tenfold),
]


def in_one_env(last: int, below: gym.Env[Any, Any], above: Any = None) -> list[Step]:
    env: gym.Env[Any, Any] = MultiViewVLMRewardWrapper(below, engine=learned_engine(), clip=CLIP)
    if above is not None:
        env = gym.wrappers.TransformReward(env, above)
    env.reset(seed=0)
    steps = []
    for action in actions_of(STEPS, 1)[:, 0]:
        after, reward, terminated, truncated, info = env.step(action)
        steps.append(Step(after, float(reward), info["task_reward"], info["shaping"], info.get("mvr_episode")))
        if terminated or truncated:
            env.reset()
    return steps


def in_a_vector(mode: AutoresetMode, below: Any, above: Any = None) -> Iterator[list[Step]]:
    env: Any = MultiViewVLMRewardVectorWrapper(below, engine=learned_engine())
    if above is not None:
        env = vector_wrappers.TransformReward(env, above)
    env.reset(seed=0)
    streams: list[list[Step]] = [[] for _ in LASTS]
    for actions in actions_of(STEPS, len(LASTS)):
        after, rewards, terminated, truncated, infos = env.step(actions)
        over = terminated | truncated
        if mode is AutoresetMode.DISABLED and over.any():
            env.reset(options={"reset_mask": over.copy()})
        for i, steps in enumerate(streams):
            if not infos["_task_reward"][i]:
                continue
            said = infos["task_reward"][i], infos["shaping"][i]
            totals = infos["mvr_episode"] if over[i] else {}
            last = infos["final_obs"][i] if over[i] and mode is AutoresetMode.SAME_STEP else after[i]
            steps.append(Step(last, rewards[i], *said, {key: value[i] for key, value in totals.items()} or None))
            if over[i] and mode is AutoresetMode.SAME_STEP:  # where Gymnasium keeps the infos of the last step
                assert infos["final_info"]["task_reward"][i] == infos["task_reward"][i]
    yield from streams


def in_a_vec_env(below: Any, above: Any = None) -> Iterator[list[Step]]:
    venv: Any = MultiViewVLMRewardVecEnv(below, engine=learned_engine())
    if above is not None:
        venv = above(venv)
    venv.seed(0)
    venv.reset()
    streams: list[list[Step]] = [[] for _ in LASTS]
    for actions in actions_of(STEPS, len(LASTS)):
        after, rewards, _, infos = venv.step(actions)
        for i, (steps, info) in enumerate(zip(streams, infos, strict=True)):
            last = info.get("terminal_observation", after[i])
            steps.append(Step(last, rewards[i], info["task_reward"], info["shaping"], info.get("mvr_episode")))
    yield from streams


def check(steps: list[Step], below: Change = unchanged, above: Change = unchanged) -> None:
    """Checks a stream of steps against the rewards of the tiny env, changed by hand."""
    earned, ends = 0.0, 0
    for step in steps:
        assert step.task_reward == pytest.approx(below(tiny_rewards(step.after)), rel=1e-5)
        assert step.reward == pytest.approx(above(step.task_reward + step.shaping), rel=1e-5, abs=1e-6)
        earned += step.task_reward
        if step.totals is not None:
            assert step.totals["task_return"] == earned  # the same sum, to the bit
            earned, ends = 0.0, ends + 1
    assert ends >= 3 and np.ptp([step.shaping for step in steps]) > 0.1


@pytest.mark.parametrize(("inside", "outside", "change"), SUB_ENVS)
def test_one_env(inside: bool, outside: bool, change: Change) -> None:
    own: gym.Env[Any, Any] = TaskInfo(EndingEnv(9))
    check(in_one_env(9, Tenfold(own) if inside or outside else own), change)


@pytest.mark.parametrize("mode", list(AutoresetMode))
@pytest.mark.parametrize(("inside", "outside", "change"), SUB_ENVS)
def test_a_vector(inside: bool, outside: bool, change: Change, mode: AutoresetMode) -> None:
    below = SyncVectorEnv([partial(sub_env, last, inside, outside) for last in LASTS], autoreset_mode=mode)
    for steps in in_a_vector(mode, below):
        check(steps, change)


@pytest.mark.parametrize(("inside", "outside", "change"), SUB_ENVS)
def test_a_vec_env(inside: bool, outside: bool, change: Change) -> None:
    for steps in in_a_vec_env(DummyVecEnv([partial(sub_env, last, inside, outside) for last in LASTS])):
        check(steps, change)


def test_vectors_that_change_rewards_below() -> None:
    makers: list[Any] = [partial(sub_env, last, False, False) for last in LASTS]
    for mode in AutoresetMode:
        below = vector_wrappers.ClipReward(SyncVectorEnv(makers, autoreset_mode=mode), -BOUND, BOUND)
        for steps in in_a_vector(mode, below):
            check(steps, clipped)
    for steps in in_a_vec_env(ClippedVecEnv(DummyVecEnv(makers))):
        check(steps, clipped)


def test_wrappers_above_change_what_the_agent_is_given_and_no_more() -> None:
    check(in_one_env(9, TaskInfo(EndingEnv(9)), tenfold), above=tenfold)
    makers: list[Any] = [partial(sub_env, last, False, False) for last in LASTS]
    for mode in AutoresetMode:
        for steps in in_a_vector(mode, SyncVectorEnv(makers, autoreset_mode=mode), tenfold):
            check(steps, above=tenfold)
    for steps in in_a_vec_env(DummyVecEnv(makers), ClippedVecEnv):
        check(steps, above=clipped)


def test_a_normalised_reward_is_what_was_received() -> None:
    received: list[float] = []
    below = gym.wrappers.TransformReward(
        gym.wrappers.NormalizeReward(TaskInfo(EndingEnv(9))), lambda reward: received.append(float(reward)) or reward
    )
    steps = in_one_env(9, below)
    assert [step.task_reward for step in steps] == received


@pytest.mark.parametrize("above", ABOVE)
@pytest.mark.parametrize("below", BELOW)
def test_the_relabelling_buffer_of_sb3(below: str, above: str) -> None:
    def make(venv: Any, engine: Any) -> SAC:
        buffer: Any = {"replay_buffer_class": RelabelReplayBuffer, "replay_buffer_kwargs": {"engine": engine}}
        return SAC("MlpPolicy", venv, **buffer, **small_agent())

    def read(agent: SAC) -> tuple[np.ndarray, ...]:
        buffer = of_type(RelabelReplayBuffer, agent.replay_buffer)
        parts = (buffer.observations, buffer.next_observations, buffer.rewards, buffer.shaping)
        return tuple(part[: buffer.size()] for part in parts)

    check_stored(make, read, below, above)
