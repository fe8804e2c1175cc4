"""Data sets of our ids with Minari, and what of our envs travels by cloudpickle."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cloudpickle
import gymnasium as gym
import numpy as np
import pytest

from mvr_wrappers import FilmedEnv
from mvr_wrappers.errors import EngineError
from tests.support.conformance import FAST, IDS, METAWORLD_ACTIONS, actions_of, need_packages
from tests.support.known import present

TERMS = ("task_reward", "vlm_reward", "shaping")
DATA_SET = "mvr/random-v0"


def play(env: gym.Env[Any, Any], steps: int) -> list[float]:
    env.reset(seed=0)
    rewards = []
    for action in actions_of(steps, *present(env.action_space.shape)):
        _, reward, terminated, truncated, _ = env.step(action)
        rewards.append(float(reward))
        if terminated or truncated:
            env.reset()
    return rewards


@pytest.mark.parametrize("env_id", IDS)
@pytest.mark.filterwarnings(METAWORLD_ACTIONS)
@pytest.mark.filterwarnings("ignore:Implicitly cleaning up:ResourceWarning")  # of Minari's own temporary folders
def test_a_data_set_holds_rewards_and_their_terms_and_makes_its_env_again(
    env_id: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    need_packages(env_id)
    minari: Any = pytest.importorskip("minari", reason="pip install 'minari[hdf5]'")
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path))

    class Terms(minari.StepDataCallback):  # type: ignore[misc]
        """Minari keeps infos whose keys are the same at every step, which not even Gymnasium's Hopper gives."""

        def __call__(self, env: Any, **step: Any) -> Any:
            data = super().__call__(env, **step)
            data["info"] = {name: data["info"].get(name, 0.0) for name in TERMS}
            return data

    base = gym.make(env_id, **FAST)
    env = minari.DataCollector(base, step_data_callback=Terms, record_infos=True)
    rewards = play(env, 75)
    about = {"algorithm_name": "random", "code_permalink": "-", "author": "-", "author_email": "-", "description": "-"}
    env.create_dataset(DATA_SET, eval_env=gym.spec(env_id), **about)
    env.close()
    data_set = minari.load_dataset(DATA_SET)
    episodes = list(data_set.iterate_episodes())
    assert len(episodes) >= 3
    np.testing.assert_allclose(np.concatenate([episode.rewards for episode in episodes]), rewards)
    for episode in episodes:
        task_reward, _, shaping = (episode.infos[name][1:] for name in TERMS)  # the first ones are of the reset
        np.testing.assert_allclose(episode.rewards, task_reward + shaping)
    assert np.ptp(np.concatenate([episode.infos["shaping"] for episode in episodes])) > 0.01
    again = data_set.recover_environment()
    assert again.spec == base.spec and again.spec.kwargs["weight"] == FAST["weight"]
    again.close()


@pytest.mark.parametrize("env_id", IDS)
@pytest.mark.filterwarnings(METAWORLD_ACTIONS)
def test_cloudpickle_takes_what_makes_an_env_and_envs_that_do_not_score(env_id: str) -> None:
    need_packages(env_id)
    spec = present(gym.make(env_id, **FAST).spec)
    for make in (lambda: gym.make(env_id, **FAST), lambda: gym.make(spec)):
        env = cloudpickle.loads(cloudpickle.dumps(make))()
        assert env.spec == spec
        env.close()
    for env in (gym.make(env_id, shaping=False), FilmedEnv(gym.make(env_id, shaping=False), clip=FAST["clip"])):
        expected = play(env, 10)
        assert play(cloudpickle.loads(cloudpickle.dumps(env)), 10) == expected
        env.close()


def test_cloudpickle_refuses_an_engine_and_names_the_calls_that_share_one() -> None:
    env = gym.make("MVR/Hopper-v5", **FAST)
    with pytest.raises(EngineError, match=r"mvr_wrappers\.sb3\.make_vec_env .* gym\.make_vec"):
        cloudpickle.dumps(env)
    env.close()
