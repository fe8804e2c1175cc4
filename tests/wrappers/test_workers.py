"""A sub-process that dies is an error that says which and how, within seconds, and closing ends."""

from __future__ import annotations

import functools
import os
import signal
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from gymnasium.vector import AsyncVectorEnv
from stable_baselines3.common.vec_env import SubprocVecEnv

from mvr_wrappers import FilmedEnv, MultiViewVLMRewardVectorWrapper
from mvr_wrappers.errors import WorkerError
from mvr_wrappers.sb3 import MultiViewVLMRewardVecEnv
from tests.support.dying_env import DyingEnv
from tests.support.fake_scorer import FakeScorer

HOW = {"exits": r"exit code 3", "crashes": "SIGSEGV", "raises": "exit code 1"}


def make(how: str) -> FilmedEnv:
    return FilmedEnv(DyingEnv(how))


def vec_env(how: str) -> MultiViewVLMRewardVecEnv:
    thunks: list[Callable[[], Any]] = [functools.partial(make, each) for each in ("lives", how)]
    return MultiViewVLMRewardVecEnv(SubprocVecEnv(thunks), "a ball", scorer=FakeScorer(), device="cpu")


def vector(how: str) -> MultiViewVLMRewardVectorWrapper:
    thunks: list[Callable[[], Any]] = [functools.partial(make, each) for each in ("lives", how)]
    env = AsyncVectorEnv(thunks, context="forkserver")
    return MultiViewVLMRewardVectorWrapper(env, "a ball", scorer=FakeScorer(), device="cpu")


def play(env: Any, steps: int = 8) -> None:
    env.reset()
    for _ in range(steps):
        env.step(np.zeros((2, 2), np.float32))


@pytest.mark.parametrize("how", HOW)
def test_stable_baselines3(how: str, capfd: pytest.CaptureFixture[str]) -> None:
    env = vec_env(how)
    with pytest.raises(WorkerError, match=f"sub-env 1 died .{HOW[how]}"):
        play(env)
    began = time.monotonic()
    with pytest.raises(WorkerError, match="sub-env 1"):  # whatever is asked of the env from now on
        env.reset()
    env.close()
    assert time.monotonic() - began < 5
    sub_envs = env.venv.unwrapped
    assert isinstance(sub_envs, SubprocVecEnv)
    for process in sub_envs.processes:  # killed; on a busy machine that is known a while later
        process.join(30)
        assert not process.is_alive()
    env.close()  # as it may be, twice


def test_gymnasium() -> None:
    env = vector("exits")
    with pytest.raises(WorkerError, match=r"sub-env 1 died .exit code 3"):
        play(env)
    began = time.monotonic()
    env.close()
    assert time.monotonic() - began < 5


@pytest.mark.filterwarnings("ignore::UserWarning")  # Gymnasium tells each error so, too
def test_gymnasium_passes_errors_on(capfd: pytest.CaptureFixture[str]) -> None:
    env = vector("raises")
    with pytest.raises(RuntimeError, match="broken on purpose"):
        play(env)
    env.close()


@pytest.mark.parametrize("kind", [vec_env, vector])
def test_killed_between_steps(kind: Callable[[str], Any]) -> None:
    env = kind("lives")
    play(env, 2)
    process = (env.venv if kind is vec_env else env.env).unwrapped.processes[1]
    os.kill(process.pid, signal.SIGKILL)
    process.join(5)
    with pytest.raises(WorkerError, match=r"sub-env 1 died .SIGKILL"):
        play(env, 2)
    env.close()


@pytest.mark.parametrize("kind", [vec_env, vector])
def test_killed_and_not_asked_again(kind: Callable[[str], Any]) -> None:
    env = kind("lives")
    play(env, 1)
    process = (env.venv if kind is vec_env else env.env).unwrapped.processes[0]
    process.kill()
    process.join(5)
    began = time.monotonic()
    env.close()
    assert time.monotonic() - began < 5
