"""PPO, SAC and TQC of Stable-Baselines3 on our ids, with its vectors and its wrappers of vectors."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("sb3_contrib", reason="the extra sb3 is not installed")

from sb3_contrib import TQC
from stable_baselines3 import PPO, SAC
from stable_baselines3.common import env_util
from stable_baselines3.common.evaluation import evaluate_policy
from stable_baselines3.common.vec_env import DummyVecEnv, SubprocVecEnv, VecEnv, VecMonitor, VecNormalize

from mvr_wrappers import FilmedEnv
from mvr_wrappers.sb3 import MultiViewVLMRewardVecEnv, make_vec_env
from tests.support.conformance import FAST, METAWORLD_ACTIONS, SEPARATE_ENGINES, need_packages

OFF_POLICY: dict[str, Any] = {"learning_starts": 20, "batch_size": 16, "buffer_size": 1000}
AGENTS: dict[str, Any] = {
    "PPO": partial(PPO, n_steps=32, batch_size=16, n_epochs=1),
    "SAC": partial(SAC, **OFF_POLICY),
    "TQC": partial(TQC, **OFF_POLICY),
}
LEARNING = {key: FAST[key] for key in ("relevance", "schedule", "weight")}
STEPS = 128

# VecMonitor's totals take the place of those of the Monitor that SB3's make_vec_env, and ours, puts around each env.
pytestmark = pytest.mark.filterwarnings("ignore:The environment is already wrapped with a `Monitor`:UserWarning")


def agent(name: str, env: Any) -> Any:
    return AGENTS[name]("MlpPolicy", env, policy_kwargs={"net_arch": [8]}, device="cpu", seed=0)


@pytest.fixture(scope="module", params=[DummyVecEnv, SubprocVecEnv], ids=lambda kind: kind.__name__)
def hoppers(request: pytest.FixtureRequest) -> Iterator[VecEnv]:
    """Two Hoppers with one engine; made once for all agents, because starting processes takes seconds."""
    venv = make_vec_env("MVR/Hopper-v5", n_envs=2, seed=0, vec_env_cls=request.param, **FAST)
    assert isinstance(venv, MultiViewVLMRewardVecEnv) and type(venv.venv) is request.param
    yield venv
    venv.close()


@pytest.mark.parametrize("name", AGENTS)
def test_agents_with_vec_monitor_and_vec_normalize(hoppers: Any, name: str, tmp_path: Path) -> None:
    version = hoppers.engine.version
    model = agent(name, VecNormalize(VecMonitor(hoppers), gamma=0.9))
    model.learn(STEPS)
    assert model.num_timesteps == STEPS and hoppers.engine.version > version
    path = tmp_path / "statistics"
    model.get_vec_normalize_env().save(str(path))
    model.save(tmp_path / "model")
    venv = VecNormalize.load(str(path), make_vec_env("MVR/Hopper-v5", shaping=False, seed=0))
    venv.training = venv.norm_reward = False
    again = type(model).load(tmp_path / "model", env=venv, device="cpu")
    ours, theirs = (evaluate_policy(each, venv, n_eval_episodes=1)[0] for each in (model, again))
    assert np.isfinite([ours, theirs]).all()


@pytest.mark.filterwarnings(METAWORLD_ACTIONS)
def test_the_agent_of_the_paper_on_meta_world() -> None:
    need_packages("MVR/window-close-v3")
    venv = make_vec_env("MVR/window-close-v3", n_envs=2, seed=0, **FAST)
    agent("TQC", VecNormalize(venv)).learn(STEPS)
    assert venv.engine.version >= 1
    venv.close()


class TestVecMonitor:
    def test_outside_it_sees_what_the_agent_is_paid_and_monitor_the_task(self) -> None:
        venv = VecMonitor(make_vec_env("MVR/Hopper-v5", n_envs=2, seed=0, **FAST))
        for info in self._ends(venv):
            assert info["episode"]["r"] == pytest.approx(info["mvr_episode"]["shaped_return"], rel=1e-3)
        tasks = [venv.get_attr("get_episode_rewards")[i]() for i in range(2)]
        assert all(np.isfinite(task).all() and len(task) >= 2 for task in tasks)
        venv.close()

    def test_inside_it_sees_the_task(self) -> None:
        words = {"wrapper_class": FilmedEnv, "wrapper_kwargs": {"clip": FAST["clip"]}, "env_kwargs": FAST["env_kwargs"]}
        venv = VecMonitor(env_util.make_vec_env("Hopper-v5", 2, seed=0, **words))
        shaped = MultiViewVLMRewardVecEnv(venv, "a one-legged robot hopping forward", **LEARNING)
        for info in self._ends(shaped):
            assert info["episode"]["r"] == pytest.approx(info["mvr_episode"]["task_return"], rel=1e-3)
        shaped.close()

    def _ends(self, venv: VecEnv) -> list[dict[str, Any]]:
        venv.reset()
        rng = np.random.default_rng(0)
        ends = []
        for _ in range(75):
            _, _, dones, infos = venv.step(rng.uniform(-1, 1, (2, 3)).astype(np.float32))
            ends += [infos[i] for i in np.flatnonzero(dones)]
        last = ends[-1]["mvr_episode"]
        assert len(ends) >= 4 and last["task_return"] != pytest.approx(last["shaped_return"], rel=1e-3)
        return ends


@pytest.mark.parametrize("name", AGENTS)
@pytest.mark.filterwarnings("ignore:an episode ended after:UserWarning")  # an untrained Hopper falls before a clip ends
def test_an_id_instead_of_an_env(name: str) -> None:
    model = agent(name, "MVR/Hopper-v5")
    model.learn(40)
    assert {"task_reward", "vlm_reward", "shaping"} <= set(model.env.step(np.zeros((1, 3), np.float32))[3][0])
    model.env.close()


@pytest.mark.filterwarnings(SEPARATE_ENGINES)
def test_sb3_s_own_make_vec_env() -> None:
    venv = env_util.make_vec_env("MVR/Hopper-v5", 2, seed=0, env_kwargs=FAST)
    agent("TQC", VecNormalize(VecMonitor(venv))).learn(STEPS)
    assert all(engine.version >= 1 for engine in venv.get_attr("engine"))
    venv.close()
