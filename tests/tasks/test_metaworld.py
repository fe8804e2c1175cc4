"""Meta-World's envs keep to Gymnasium's rules, and their object positions are drawn when and as the user says."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

from mvr_wrappers.errors import ConfigError, UnknownNameError
from mvr_wrappers.filming import FilmedEnv
from mvr_wrappers.tasks.base_envs import make_base_env
from mvr_wrappers.tasks.registry import get_task, load_registry
from tests.support.known import present

pytest.importorskip("metaworld")

PAPER = [
    *("faucet-close-v3", "hammer-v3", "handle-press-side-v3", "peg-unplug-side-v3", "push-back-v3", "push-v3"),
    *("push-wall-v3", "shelf-place-v3", "stick-pull-v3", "window-close-v3"),
]

TASKS = sorted(name for name, spec in load_registry().items() if spec.family == "metaworld")
SOME_TASKS = ["assembly-v3", "drawer-close-v3", *PAPER]  # for the slow checks: what may differ between tasks


def _make(task: str = "push-v3", **kwargs: Any) -> gym.Env[Any, Any]:
    return make_base_env(get_task(task), **kwargs)


def _drawn(env: gym.Env[Any, Any], **kwargs: Any) -> list[float]:
    """The positions an env shows after a reset: objects and goal."""
    observation, _ = env.reset(**kwargs)
    return [*observation[4:18], *observation[36:]]


def _trajectory(env: gym.Env[Any, Any], seed: int, steps: int = 20) -> np.ndarray:
    """A seeded episode and the observation after the unseeded reset that follows it."""
    env.action_space.seed(0)
    rows = [np.append(env.reset(seed=seed)[0], 0.0)]
    for _ in range(steps):
        observation, reward, *_ = env.step(env.action_space.sample())
        rows.append(np.append(observation, float(reward)))
    rows.append(np.append(env.reset()[0], 0.0))
    return np.array(rows)


def test_every_task_of_metaworld_is_there_with_a_prompt_of_its_own() -> None:
    from metaworld.env_dict import ALL_V3_ENVIRONMENTS

    assert set(ALL_V3_ENVIRONMENTS) == set(TASKS)
    prompts = {get_task(name).prompt for name in TASKS}
    assert len(prompts) == len(TASKS) == 50
    assert all(prompt.startswith("a robot gripper ") for prompt in prompts)


@pytest.mark.slow
@pytest.mark.parametrize("task", TASKS)
def test_every_task_is_drawn_by_its_seed_played_to_its_end_and_filmed(task: str) -> None:
    env = FilmedEnv(_make(task), rig=get_task(task).rig, clip={"length": 501, "image_size": 32})
    draws = [_drawn(env, seed=seed) for seed in range(4)]
    assert len({tuple(draw) for draw in draws}) == 4
    assert _drawn(env, seed=0) == draws[0]
    first, _ = env.reset(seed=0)
    env.film_next()
    env.reset(seed=0)
    env.action_space.seed(0)
    for step in range(500):
        observation, reward, terminated, truncated, info = env.step(env.action_space.sample())
        assert type(reward) is float and not terminated
        assert truncated == (step == 499)
    assert observation[36:].any()  # the goal is seen
    np.testing.assert_array_equal(observation[36:], first[36:])
    assert info["success"] in (0.0, 1.0)
    (clip,) = env.pop_clips()
    assert clip.frames.std() > 10  # a picture, not a blank
    assert np.abs(clip.frames[0, 0].astype(int) - clip.frames[0, -1]).max() > 20  # in which something moves


@pytest.mark.parametrize("task", SOME_TASKS)
@pytest.mark.filterwarnings("ignore:.*The environment .* is different from the unwrapped version")
@pytest.mark.filterwarnings("ignore:.*A Box observation space m..imum value is -?infinity")
def test_tasks_pass_the_env_checker_and_repeat_for_one_seed(task: str) -> None:
    env = _make(task)
    check_env(env, skip_render_check=True, skip_close_check=True)
    assert env.observation_space.shape == (39,)
    assert env.spec is not None
    assert env.spec.max_episode_steps == 500
    first = _trajectory(env, seed=3)
    np.testing.assert_array_equal(_trajectory(_make(task), seed=3), first)  # another instance
    np.testing.assert_array_equal(_trajectory(env, seed=3), first)  # the same one, used
    assert not np.array_equal(_trajectory(env, seed=4)[0], first[0])


@pytest.mark.parametrize("task", SOME_TASKS)
def test_tasks_pass_sb3s_env_checker(task: str) -> None:
    checker = pytest.importorskip("stable_baselines3.common.env_checker")
    checker.check_env(_make(task), skip_render_check=True)


@pytest.mark.parametrize("task", SOME_TASKS)
def test_the_goal_shown_at_reset_is_the_goal_of_the_episode(task: str) -> None:
    env = _make(task)
    for seed in range(5):
        observation, _ = env.reset(seed=seed)
        assert observation in env.observation_space
        following, *_, info = env.step(np.zeros(4, np.float32))
        np.testing.assert_array_equal(following[36:], observation[36:])
        assert info["success"] in (0.0, 1.0)


@pytest.mark.parametrize("task", ["window-close-v3", "faucet-close-v3"])
def test_positions_drawn_at_a_reset_are_those_the_reward_is_scaled_with(task: str) -> None:
    """Thawed, Meta-World shows the object where the draw before last had put it."""
    env = _make(task)
    for seed in range(5):
        observation, _ = env.reset(seed=seed)
        following, *_ = env.step(np.zeros(4, np.float32))
        np.testing.assert_allclose(following[5:7], observation[5:7], atol=2e-3)  # y and z of the handle, metres


def test_positions_reset_draws_at_each_reset() -> None:
    env = _make()
    draws = [_drawn(env, seed=1), _drawn(env), _drawn(env), _drawn(env, seed=2)]
    assert len({tuple(draw) for draw in draws}) == 4
    assert [_drawn(env, seed=1), _drawn(env), _drawn(env)] == draws[:3]


def test_positions_fixed_draws_once_an_instance() -> None:
    env, other, same = (_make(positions="fixed") for _ in range(3))
    first = _drawn(env, seed=1)
    assert _drawn(env) == _drawn(env, seed=2) == first
    assert _drawn(other, seed=2) != first
    assert _drawn(same, seed=1) == first
    env.reset(seed=7)
    other.reset(seed=7)
    assert env.np_random.random() == other.np_random.random()


def test_the_paper_preset_fixes_positions() -> None:
    env = make_base_env(get_task("push-v3", preset="paper"))
    assert _drawn(env, seed=1) == _drawn(env)


def test_making_and_resetting_leave_numpys_global_generator_alone() -> None:
    before = np.random.get_state(legacy=False)["state"]["key"].tolist()  # noqa: NPY002 - Meta-World draws from it unless told otherwise
    env = _make()
    env.reset(seed=0)
    env.reset()
    assert np.random.get_state(legacy=False)["state"]["key"].tolist() == before  # noqa: NPY002


def test_instances_explore_differently_until_seeded() -> None:
    one, two = _make(), _make()
    assert not np.array_equal(one.action_space.sample(), two.action_space.sample())


def test_an_episode_ends_at_the_time_limit_whether_below_or_above_metaworlds_own() -> None:
    for limit in (500, 3, 503):
        env = _make("window-close-v3", max_episode_steps=limit)
        env.reset(seed=0)
        ends = [env.step(np.zeros(4, np.float32))[2:4] for _ in range(limit)]
        assert ends == [(False, False)] * (limit - 1) + [(False, True)]


@pytest.mark.filterwarnings("ignore:Constant.s. may be too high")
def test_a_scripted_policy_meets_success_in_info() -> None:
    from metaworld.policies import SawyerWindowCloseV3Policy

    env, policy = _make("window-close-v3"), SawyerWindowCloseV3Policy()
    observation, _ = env.reset(seed=0)
    successes = []
    for _ in range(150):
        action = np.clip(policy.get_action(observation), -1, 1).astype(np.float32)
        observation, *_, info = env.step(action)
        successes.append(info["success"])
    assert successes[0] == 0.0
    assert successes[-1] == 1.0


@pytest.mark.filterwarnings("ignore:Constant.s. may be too high")
@pytest.mark.parametrize("task", ["window-close-v3", "drawer-close-v3"])
def test_a_sparse_reward_is_1_at_success_and_0_elsewhere(task: str) -> None:
    from metaworld.policies import ENV_POLICY_MAP

    sparse, dense, policy = _make(task, reward="sparse"), _make(task), ENV_POLICY_MAP[task]()
    observation, _ = sparse.reset(seed=0)
    dense.reset(seed=0)
    paid = []
    for _ in range(120):
        action = np.clip(policy.get_action(observation), -1, 1).astype(np.float32)
        _, full, *_ = dense.step(action)
        observation, reward, *_, info = sparse.step(action)
        assert type(reward) is type(full) is float
        assert reward == info["success"] and 0 <= full <= 10
        paid.append((reward, full))
    assert {reward for reward, _ in paid} == {0.0, 1.0}
    assert len({full for _, full in paid}) > 50


@pytest.mark.filterwarnings("ignore:.*precision lowered:UserWarning")
@pytest.mark.parametrize(
    "word", [{"task_reward": "sparse"}, {"env_kwargs": {"reward": "sparse"}}, {"preset": "sparse"}]
)
def test_a_sparse_reward_by_each_of_its_doors(word: dict[str, Any]) -> None:
    env = gym.make("MVR/hammer-v3", shaping=False, **word)
    again = gym.make(gym.envs.registration.EnvSpec.from_json(present(env.spec).to_json()))
    for each in (env, again):
        each.reset(seed=0)
        assert each.step(np.zeros(4, np.float32))[1] == 0.0
    env = gym.make("MVR/hammer-v3", shaping=False)
    env.reset(seed=0)
    assert float(env.step(np.zeros(4, np.float32))[1]) > 0


def test_a_sparse_task_of_ones_own_file(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text(
        "tasks:\n  sparse-push:\n    family: metaworld\n    prompt: a robot gripper pushing a cylinder\n"
        "    make: {kwargs: {env_name: push-v3-goal-observable, reward: sparse}}\n"
    )
    env = make_base_env(get_task(f"{file}:sparse-push"))
    env.reset(seed=0)
    assert env.step(np.zeros(4, np.float32))[1] == 0.0


def test_render_mode_is_passed_on() -> None:
    assert _make(render_mode="rgb_array").render_mode == "rgb_array"
    assert _make().render_mode is None


def test_nothing_is_warned_about() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        env = gym.wrappers.PassiveEnvChecker(_make())
        env.reset(seed=0)
        for _ in range(3):
            env.step(env.action_space.sample())
        env.close()


def test_what_metaworld_does_not_know_is_refused() -> None:
    with pytest.raises(UnknownNameError, match=r"no env 'pusch-v3-goal-observable'. Nearest names: push-v3"):
        _make(env_name="pusch-v3-goal-observable")
    with pytest.raises(ConfigError, match="positions is 'random'; give one of reset, fixed"):
        _make(positions="random")
    with pytest.raises(ConfigError, match="reward is 'spare'; give one of dense, sparse"):
        gym.make("MVR/push-v3", task_reward="spare")
    with pytest.raises(ConfigError, match="task_reward is 'sparse', and env_kwargs says 'dense'"):
        gym.make("MVR/push-v3", task_reward="sparse", env_kwargs={"reward": "dense"})
    with pytest.raises(ConfigError, match="task_reward is 'sparse', but the base env of Ant-v5 pays one reward only"):
        gym.make("MVR/Ant-v5", task_reward="sparse")
    with pytest.raises(ConfigError, match=r"reward is 'sparse'; it takes settings .* is task_reward='sparse'"):
        gym.make("MVR/push-v3", reward="sparse")
    with pytest.raises(ConfigError, match=r"hammer-v3 cannot be made so: .*'colour'"):
        _make("hammer-v3", colour="red")
