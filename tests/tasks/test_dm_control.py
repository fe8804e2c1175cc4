"""dm_control's tasks, through shimmy: their simulation is found, their Dict observations become states."""

from __future__ import annotations

import functools
from typing import Any

import gymnasium as gym
import mujoco
import numpy as np
import pytest

from mvr_wrappers import MultiViewVLMRewardVectorWrapper, MultiViewVLMRewardWrapper
from mvr_wrappers.filming import FilmedEnv, Renderer, film_episode, find_mujoco
from tests.support.fake_scorer import FakeScorer
from tests.support.marks import may_fork
from tests.support.tiny_task import RELEVANCE

dm_control = pytest.importorskip(
    "dm_control.suite", reason="dm_control is not installed: pip install dm_control shimmy"
)
pytest.importorskip("shimmy", reason="shimmy is not installed: pip install dm_control shimmy")

try:
    dm_control.load("reacher", "easy")
except AttributeError as error:  # 1.0.50, the newest, reads arrays that MuJoCo 4.0 no longer has
    pytest.skip(f"dm_control itself does not run on mujoco {mujoco.__version__}: {error}", allow_module_level=True)

# dm_control 1.0.28 does what NumPy 2.5 says it will not allow for ever.
pytestmark = pytest.mark.filterwarnings("ignore:Setting the shape on a NumPy array:DeprecationWarning")

CLIP = {"length": 8, "stride": 8, "frames": 4, "film_every": 1, "image_size": 48, "views": "all"}
LEARNING: Any = {"relevance": RELEVANCE, "schedule": {"score_every": 12, "update_every": 12}}
ARM = "dm_control/reacher-easy-v0"  # moves and resizes its target in the model at each reset


def make(task: str = ARM, steps: int = 12, **options: Any) -> gym.Env[Any, Any]:
    return gym.make(task, max_episode_steps=steps, disable_env_checker=True, **options)


def flatten(space: gym.Space[Any]) -> Any:
    return functools.partial(gym.spaces.utils.flatten, space)


def filmed(**options: Any) -> FilmedEnv:
    env = make()
    return FilmedEnv(env, clip=CLIP, state_fn=flatten(env.observation_space), **options)


def play(env: gym.Env[Any, Any], seed: int, steps: int = 12) -> list[float]:
    rng = np.random.default_rng(seed)
    env.reset(seed=seed)
    space: Any = env.action_space
    return [float(env.step(rng.uniform(-1, 1, space.shape).astype(space.dtype))[1]) for _ in range(steps)]


@pytest.mark.parametrize("task", [ARM, "dm_control/reach_site_features-v0"], ids=["suite", "composer"])
def test_what_is_filmed_is_what_the_physics_showed(task: str) -> None:
    env = FilmedEnv(make(task), clip=CLIP, state_fn=flatten(make(task).observation_space))
    for seed in (1, 2):
        play(env, seed, steps=0)
        model, data = find_mujoco(env)
        physics: Any = env.unwrapped.physics  # type: ignore[attr-defined]
        assert model is physics.model.ptr and data is physics.data.ptr
        expected = []
        with Renderer(model, 48) as renderer:
            for _ in range(7):
                env.step(env.action_space.sample())
                now = data.__copy__()  # the simulation itself is not to be touched
                mujoco.mj_forward(model, now)
                expected.append([renderer.render(now, view) for view in env.rig.views])
        env.reset()  # where the suite changes the model in place, and composer compiles another
        (clip,) = env.pop_clips()
        np.testing.assert_array_equal(clip.frames, np.swapaxes([expected[t - 1] for t in (1, 3, 5, 7)], 0, 1))
        assert clip.frames.std() > 5
    env.close()


def test_filming_leaves_the_task_as_it_is() -> None:
    for seed in (0, 1):
        assert play(filmed(), seed) == play(make(), seed)


def test_a_function_may_return_dm_controls_own_objects() -> None:
    physics: Any = lambda env: (env.unwrapped.physics.model, env.unwrapped.physics.data)  # noqa: E731
    one, other = filmed(get_mujoco=physics), filmed()
    play(one, 3)
    play(other, 3)
    for ours, theirs in zip(one.pop_clips(), other.pop_clips(), strict=True):
        np.testing.assert_array_equal(ours.frames, theirs.frames)


class Seeing(gym.Wrapper[Any, Any, Any, Any]):
    """Keeps what dm_control itself renders of each state, as a task that observes pixels would."""

    def __init__(self) -> None:
        super().__init__(make(render_mode="rgb_array"))
        self.seen: list[Any] = []

    def step(self, action: Any) -> Any:
        result = self.env.step(action)
        self.seen.append(self.env.render())
        return result


def test_filming_leaves_dm_controls_own_rendering_as_it_is() -> None:
    bare, seeing = Seeing(), Seeing()
    film = FilmedEnv(seeing, clip=CLIP, state_fn=flatten(seeing.observation_space))
    for seed in (0, 1):
        play(bare, seed)
        play(film, seed)
    assert len(film.pop_clips()) == 4
    np.testing.assert_array_equal(seeing.seen, bare.seen)
    whole = Seeing()
    play(bare, 2, steps=0)
    begun = len(bare.seen)
    while not any(bare.step(np.zeros(2))[2:4]):
        pass
    film_episode(whole, lambda _: np.zeros(2), size=32, seed=2, state_fn=flatten(whole.observation_space))
    np.testing.assert_array_equal(whole.seen, bare.seen[begun:])
    film.close()


def test_it_is_shaped_with_a_state_function_or_flattened() -> None:
    state_fn = flatten(make().observation_space)

    def shaped(env: gym.Env[Any, Any], **options: Any) -> MultiViewVLMRewardWrapper:
        return MultiViewVLMRewardWrapper(
            env, "an arm", scorer=FakeScorer(), clip={**CLIP, "stride": 1}, **LEARNING, **options
        )

    one = shaped(make(), state_fn=state_fn)
    envs = [
        one,
        shaped(gym.wrappers.FlattenObservation(make())),
        gym.wrappers.FlattenObservation(shaped(make(), state_fn=state_fn)),
    ]
    rewards = [[play(env, seed) for seed in range(3)] for env in envs]
    assert one.engine.version >= 1
    assert rewards[0] == rewards[1] == rewards[2] != [play(make(), seed) for seed in range(3)]


@may_fork
@pytest.mark.parametrize("mode", ["sync", "async"])
def test_so_are_vectors_of_it(mode: str) -> None:
    state_fn = flatten(make().observation_space)
    film = functools.partial(FilmedEnv, clip=CLIP, state_fn=state_fn)
    venv = gym.make_vec(ARM, num_envs=2, vectorization_mode=mode, wrappers=[film], max_episode_steps=12)
    env = MultiViewVLMRewardVectorWrapper(venv, "an arm", scorer=FakeScorer(), state_fn=state_fn, **LEARNING)
    env.reset(seed=0)
    for _ in range(30):
        *_, infos = env.step(env.action_space.sample())
    assert env.engine.version >= 1 and infos["shaping"].any()
    env.close()
