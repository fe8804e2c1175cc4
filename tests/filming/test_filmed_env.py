from __future__ import annotations

import copy
import doctest
import json
import re
import warnings
from collections.abc import Callable
from functools import partial
from typing import Any

import gymnasium as gym
import mujoco
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env
from gymnasium.vector import AsyncVectorEnv, SyncVectorEnv

from mvr_wrappers import rigs
from mvr_wrappers.clips import clip_starts, frame_indices
from mvr_wrappers.errors import ConfigError, EnvError, NonFiniteError, UnknownNameError
from mvr_wrappers.filming import CameraRig, FilmedEnv, Renderer, filmed_env
from mvr_wrappers.filming.cameras import default_rig
from tests.support.marks import may_fork
from tests.support.tiny_env import XML, TinyEnv

RING = CameraRig.ring((0, 90, 180, 270), distance=4.0, elevation=-10, lookat=(0, 0, 0.5))
SHORT = {"length": 16, "stride": 8, "frames": 4, "film_every": 1, "image_size": 32, "views": "all"}


def tiny(max_steps: int = 40, **clip: Any) -> FilmedEnv:
    return FilmedEnv(TinyEnv(max_steps), rig=RING, clip={**SHORT, **clip})


def run_episode(env: gym.Env[Any, Any], seed: int | None = None, stop: int | None = None) -> list[Any]:
    """Runs one episode of a fixed policy; returns (observation, reward, terminated, truncated, info) of each step."""
    observation, info = env.reset(seed=seed)
    steps: list[Any] = [(observation, 0.0, False, False, info)]
    low, high = env.action_space.low, env.action_space.high  # type: ignore[attr-defined]
    while not (steps[-1][2] or steps[-1][3] or len(steps) - 1 == stop):
        phase = np.sin(0.3 * len(steps) + np.arange(len(low)))
        steps.append(env.step((low + high + (high - low) * phase) / 2))
    return steps


def metaworld(name: str) -> gym.Env[Any, Any]:
    import metaworld  # noqa: F401  registers its ids

    return gym.make("Meta-World/goal_observable", env_name=name, seed=0, max_episode_steps=24, disable_env_checker=True)


def humanoid() -> gym.Env[Any, Any]:
    return gym.make("Humanoid-v5", max_episode_steps=24)


MAKERS: dict[str, Any] = {name: partial(metaworld, name) for name in ("hammer-v3", "window-close-v3", "shelf-place-v3")}
MAKERS["Humanoid-v5"] = humanoid
METAWORLD_RING: Any = {"azimuths": (90, 180, 270, 0), "distance": 2.0, "elevation": -20, "lookat": (0, 0.5, 0)}


@pytest.mark.parametrize("name", MAKERS)
@pytest.mark.parametrize(("quality", "frames", "views"), [("fast", 4, 2), ("full", 1, 1)])
def test_deferred_frames_equal_immediate_ones(name: str, quality: Any, frames: int, views: int) -> None:
    ring = CameraRig.ring(track=1) if name == "Humanoid-v5" else CameraRig.ring(**METAWORLD_RING)
    rig = CameraRig(ring.views[1 : 1 + views])
    clip = {"length": 8, "stride": 8, "frames": frames, "image_size": 48, "views": "all", "quality": quality}
    env = FilmedEnv(MAKERS[name](), rig=rig, clip=clip)
    model, data = env.unwrapped.model, env.unwrapped.data  # type: ignore[attr-defined]
    filmed = np.add.outer(clip_starts(25, 8, 8), frame_indices(8, frames))
    immediate = np.zeros((views, 25, 48, 48, 3), np.uint8)
    with Renderer(model, 48, quality) as renderer:
        env.reset(seed=1)
        env.action_space.seed(1)
        for step in range(25):
            over = step > 0 and any(env.step(env.action_space.sample())[2:4])
            if step in filmed:
                now = data.__copy__()  # the simulation itself is not to be touched
                mujoco.mj_forward(model, now)
                for view, camera in enumerate(rig.views):
                    renderer.render(now, camera, out=immediate[view, step])
    assert over
    clips = env.pop_clips()
    assert len(clips) == len(filmed) == 4
    for got, times in zip(clips, filmed, strict=True):
        np.testing.assert_array_equal(got.frames, immediate[:, times])
    first, last = clips[0].frames[0, 0], clips[-1].frames[0, -1]
    assert (first != last).any() and first.std() > 10  # it moves, and there is something to see
    env.close()


@pytest.mark.parametrize("make", [TinyEnv, MAKERS["hammer-v3"], humanoid], ids=["tiny", "hammer", "humanoid"])
def test_filming_never_perturbs_the_simulation(make: Callable[[], gym.Env[Any, Any]]) -> None:
    bare, filmed = make(), FilmedEnv(make(), clip={**SHORT, "film_every": 2, "image_size": 16})
    for seed in (5, None, None, 6):
        for expected, got in zip(run_episode(bare, seed), run_episode(filmed, seed), strict=True):
            np.testing.assert_array_equal(got[0], expected[0])
            assert got[0].dtype == expected[0].dtype
            assert got[1:4] == expected[1:4]
            assert got[4].keys() == expected[4].keys()
    assert filmed.pop_clips()
    for space in ("observation_space", "action_space"):
        np.testing.assert_array_equal(  # nor are the spaces' generators moved
            _seeded(getattr(filmed, space)).sample(), _seeded(getattr(bare, space)).sample()
        )


def _seeded(space: gym.Space[Any]) -> gym.Space[Any]:
    space.seed(0)
    return space


def test_the_spaces_generators_are_not_moved() -> None:
    env = TinyEnv()
    env.observation_space.seed(0)
    expected = gym.spaces.Box(-np.inf, np.inf, (4,), np.float64, seed=0).sample()
    FilmedEnv(env)
    np.testing.assert_array_equal(env.observation_space.sample(), expected)


def test_a_clip_holds_the_states_its_frames_show() -> None:
    env = tiny()
    observations = np.array([step[0] for step in run_episode(env, seed=1)], np.float32)
    clips = env.pop_clips()
    assert len(observations) == 41
    assert [float(clip.states[0, 0]) for clip in clips] == [float(observations[s, 0]) for s in (0, 8, 16, 24, 25)]
    for start, clip in zip((0, 8, 16, 24, 25), clips, strict=True):
        np.testing.assert_array_equal(clip.states, observations[start : start + 16])
        assert clip.states.dtype == np.float32
        assert clip.frames.shape == (4, 4, 32, 32, 3) and clip.frames.dtype == np.uint8
        np.testing.assert_array_equal(clip.views, [0, 1, 2, 3])
    assert (clips[0].frames[0] != clips[0].frames[1]).any()
    assert env.pop_clips() == []


def test_each_frame_is_rendered_once_a_view_however_many_clips_share_it(monkeypatch: pytest.MonkeyPatch) -> None:
    rendered: list[tuple[float, Any]] = []
    render = Renderer.render

    def count(self: Renderer, data: Any, camera: Any, out: Any = None) -> Any:
        rendered.append((data.time, camera))
        return render(self, data, camera, out)

    monkeypatch.setattr(Renderer, "render", count)
    env = tiny(stride=4)
    run_episode(env, seed=0)
    clips = env.pop_clips()
    shown = sum(clip.frames[..., 0, 0, 0].size for clip in clips)  # waits for them
    assert len(rendered) == len(set(rendered)) < shown
    times = {start + i for start in clip_starts(41, 16, 4) for i in frame_indices(16, 4)}
    assert len(rendered) == len(times) * len(RING)
    np.testing.assert_array_equal(clips[0].frames[:, 1], clips[1].frames[:, 0])  # stride equals the frames' distance


def test_one_episode_of_every_few_is_filmed() -> None:
    env = tiny(max_steps=15, film_every=3)
    filmed = []
    for _ in range(7):
        run_episode(env)
        filmed.append(len(env.pop_clips()))
    assert filmed == [1, 0, 0, 1, 0, 0, 1]
    env.film_next()
    run_episode(env)
    assert len(env.pop_clips()) == 1
    run_episode(env)
    assert not env.pop_clips()


class Lengths(gym.Wrapper[Any, Any, Any, Any]):
    """Ends each episode after the next of the given numbers of steps."""

    def __init__(self, env: TinyEnv, *lengths: int) -> None:
        super().__init__(env)
        self._lengths = iter(lengths)

    def reset(self, **kwargs: Any) -> Any:
        self.unwrapped.max_steps = next(self._lengths)  # type: ignore[attr-defined]
        return super().reset(**kwargs)


def test_a_short_episode_is_made_up_for_by_the_next_and_warned_about_once() -> None:
    env = FilmedEnv(Lengths(TinyEnv(), 14, 10, 20, 20, 20, 12, 15), rig=RING, clip={**SHORT, "film_every": 5})
    with pytest.warns(UserWarning, match="ended after 14 steps, too short for a clip of 16 states") as caught:
        run_episode(env)
    assert len(caught) == 1
    filmed = []
    for _ in range(6):  # warnings are errors here: there is no second one
        run_episode(env)
        filmed.append(len(env.pop_clips()))
    assert filmed == [0, 2, 0, 0, 0, 1]


def test_a_clip_longer_than_any_episode_is_warned_about_at_once_and_only_once() -> None:
    limited = gym.wrappers.TimeLimit(gym.make("Tiny-v0"), 14)
    with pytest.warns(UserWarning, match=r"after 14 steps.*lower clip\.length") as caught:
        env = FilmedEnv(limited, rig=RING, clip=SHORT)
    assert len(caught) == 1 and caught[0].filename == __file__
    for _ in range(3):
        run_episode(env)
    assert not env.pop_clips()
    FilmedEnv(gym.wrappers.TimeLimit(gym.make("Tiny-v0"), 15), rig=RING, clip=SHORT)  # 16 states: just long enough


def test_a_reset_amid_an_episode_films_what_there_is() -> None:
    env = tiny()
    expected = np.array([step[0] for step in run_episode(env, seed=1, stop=20)], np.float32)
    assert not env.pop_clips()
    env.reset(seed=2)
    first, second = env.pop_clips()
    np.testing.assert_array_equal(first.states, expected[:16])
    np.testing.assert_array_equal(second.states, expected[-16:])
    env.step(env.action_space.sample())
    env.reset()  # too short: no clip, and no warning for what the user did on purpose
    assert not env.pop_clips()
    env.close()
    env.close()


def test_closing_drops_the_unfinished_episode_and_keeps_finished_clips() -> None:
    env = tiny()
    run_episode(env)
    run_episode(env, stop=20)
    env.close()
    assert len(env.pop_clips()) == 5


def test_closing_one_env_leaves_another_filming() -> None:
    one, other, alone = tiny(), tiny(), tiny()
    run_episode(one, seed=1)
    run_episode(other, seed=1, stop=20)
    one.close()
    run_episode(other, seed=2)
    run_episode(alone, seed=2)
    got, expected = other.pop_clips()[-5:], alone.pop_clips()
    for clip, reference in zip(got, expected, strict=True):
        np.testing.assert_array_equal(clip.frames, reference.frames)


def films(env: FilmedEnv, episodes: int) -> list[list[Any]]:
    """Returns the clips of each of so many episodes."""
    filmed = []
    for seed in range(episodes):
        run_episode(env, seed=seed)
        filmed.append(env.pop_clips())
    return filmed


def test_a_clip_knows_its_episode_and_its_place_in_it() -> None:
    env = tiny(40, film_every=2)
    env.film_number = 3
    first, second = (clips for clips in films(env, 4) if clips)
    assert [clip.start for clip in first] == [clip.start for clip in second] == clip_starts(41, 16, 8)
    assert {clip.episode for clip in first} == {3 * 2**32 + 1} and {clip.episode for clip in second} == {3 * 2**32 + 3}
    np.testing.assert_array_equal(first[1].states[0], first[0].states[first[1].start])
    env.close()


def test_episodes_of_several_envs_have_numbers_of_their_own() -> None:
    envs = [FilmedEnv(TinyEnv(20), rig=RING, clip={**SHORT, "image_size": 8}, film_number=i) for i in range(3)]
    episodes = [{clip.episode for clips in films(env, 3) for clip in clips} for env in envs]
    assert [len(of_env) for of_env in episodes] == [3, 3, 3] and len(set().union(*episodes)) == 9
    for env in envs:
        env.close()


def test_films_of_parallel_envs_end_in_different_steps() -> None:
    envs = [FilmedEnv(TinyEnv(20), clip={**SHORT, "film_every": 4, "image_size": 8}, film_number=i) for i in range(6)]
    filmed = [[bool(clips) for clips in films(env, 8)] for env in envs]
    for i, of_env in enumerate(filmed):
        assert of_env == [episode % 4 == i % 4 for episode in range(8)]
    for env in envs:
        env.close()


def test_views_in_turns_come_equally_often_in_one_env_and_over_several() -> None:
    envs = [
        FilmedEnv(TinyEnv(20), rig=RING, clip={**SHORT, "views": "turns", "image_size": 8}, film_number=i)
        for i in range(3)
    ]
    views = [[int(clips[0].views[0]) for clips in films(env, 8)] for env in envs]
    assert views[0] == [0, 1, 2, 3] * 2 and views[1] == [1, 2, 3, 0] * 2 and views[2] == [2, 3, 0, 1] * 2
    for env in envs:
        env.close()


def test_frames_may_show_the_first_state_of_their_part() -> None:
    middle, first = tiny(16), tiny(16, frame_at="first")
    (one,), (other,) = films(middle, 1)[0][:1], films(first, 1)[0][:1]
    assert frame_indices(16, 4, "first").tolist() == [0, 4, 8, 12]
    every = tiny(16, frames=16)
    (whole,) = films(every, 1)[0][:1]
    np.testing.assert_array_equal(one.frames, whole.frames[:, [2, 6, 10, 14]])
    np.testing.assert_array_equal(other.frames, whole.frames[:, [0, 4, 8, 12]])
    for env in (middle, first, every):
        env.close()


def test_random_views_are_drawn_one_an_episode_from_a_private_generator() -> None:
    def views(seed: int) -> list[int]:
        env = FilmedEnv(TinyEnv(15), rig=RING, clip={**SHORT, "views": "random", "image_size": 8}, seed=seed)
        drawn = []
        for _ in range(12):
            run_episode(env, seed=0)
            (clip,) = env.pop_clips()
            assert clip.frames.shape == (1, 4, 8, 8, 3) and clip.views.dtype == np.int64
            drawn.append(int(clip.views[0]))
        return drawn

    state = np.random.get_state(legacy=False)["state"]["key"].copy()  # noqa: NPY002  that it is left alone is the point
    assert set(views(0)) == {0, 1, 2, 3}
    assert views(0) == views(0) != views(1)
    assert (np.random.get_state(legacy=False)["state"]["key"] == state).all()  # noqa: NPY002


def test_a_random_view_shows_what_its_index_says() -> None:
    everything, one = tiny(), tiny(views="random")
    run_episode(everything, seed=3)
    run_episode(one, seed=3)
    for whole, part in zip(everything.pop_clips(), one.pop_clips(), strict=True):
        np.testing.assert_array_equal(part.frames[0], whole.frames[part.views[0]])


class Recompiled(TinyEnv):
    """Builds a new model at each reset: the floor darkens from episode to episode."""

    shade = 0.9

    def reset(self, **kwargs: Any) -> Any:
        self.shade -= 0.3
        self.model = mujoco.MjModel.from_xml_string(XML.replace(".8 .8 .8 1", f"{self.shade} 0 0 1"))
        self.data = mujoco.MjData(self.model)
        return super().reset(**kwargs)


def test_a_model_compiled_anew_at_reset_is_the_one_filmed() -> None:
    env = FilmedEnv(Recompiled(15), rig=RING, clip=SHORT)
    reds = []
    for _ in range(3):
        run_episode(env, seed=0)
        (clip,) = env.pop_clips()
        reds.append(clip.frames[..., 0].mean())
    assert reds[0] > reds[1] + 5 > reds[2] + 10


def test_an_unfinished_episode_is_filmed_with_the_model_it_ran_on() -> None:
    whole, cut = (FilmedEnv(Recompiled(20), rig=RING, clip=SHORT) for _ in range(2))
    run_episode(whole, seed=0, stop=20)
    run_episode(cut, seed=0, stop=15)
    cut.reset(seed=0)
    np.testing.assert_array_equal(cut.pop_clips()[0].frames, whole.pop_clips()[0].frames)


def test_eight_in_one_process_film_what_one_films() -> None:
    venv = SyncVectorEnv([tiny for _ in range(8)])
    clips = _film_vector(venv)
    _assert_each_is_as_if_alone(clips)


@may_fork
@pytest.mark.parametrize("running", [False, True], ids=["fresh", "OpenGL running in the parent"])
def test_eight_processes_film_what_one_films(running: bool) -> None:
    env = TinyEnv()
    env.reset(seed=0)
    renderer = Renderer(env.model, 32) if running else None
    venv = AsyncVectorEnv([tiny for _ in range(8)])
    clips = _film_vector(venv)
    if renderer is not None:
        renderer.close()
    _assert_each_is_as_if_alone(clips)


def _film_vector(venv: Any) -> Any:
    venv.reset(seed=list(range(8)))
    for step in range(42):  # one step into the next episode
        venv.step(np.full((8, 2), np.sin(0.3 * step), np.float32))
    clips = venv.call("pop_clips")
    venv.close()
    return clips


def _assert_each_is_as_if_alone(clips: Any) -> None:
    assert len(clips) == 8
    for seed, got in enumerate(clips):
        env = tiny()
        env.reset(seed=seed)
        for step in range(40):
            env.step(np.full(2, np.sin(0.3 * step), np.float32))
        expected = env.pop_clips()
        assert len(got) == len(expected) == 5
        for one, other in zip(got, expected, strict=True):
            np.testing.assert_array_equal(one.states, other.states)
            np.testing.assert_array_equal(one.frames, other.frames)


class Poisoned(TinyEnv):
    """Yields a NaN or an infinity at its third step."""

    def __init__(self, observation: float = 0.0, reward: float = 0.0) -> None:
        super().__init__(15)
        self.poison = observation, reward

    def step(self, action: Any) -> Any:
        observation, reward, *rest = super().step(action)
        if self._t == 3:
            observation, reward = observation + np.array([0, 0, self.poison[0], 0]), reward + self.poison[1]
        return observation, reward, *rest


@pytest.mark.parametrize(
    ("poison", "message"),
    [
        ({"observation": np.nan}, r"state entries \[2\] at step 3 of episode 1"),
        ({"observation": np.inf}, r"state entries \[2\] at step 3 of episode 1"),
        ({"reward": np.nan}, "reward at step 3 of episode 1"),
        ({"reward": -np.inf}, "reward at step 3 of episode 1"),
    ],
)
def test_what_is_not_finite_is_refused_with_the_step(poison: dict[str, float], message: str) -> None:
    inner = Poisoned()
    env = FilmedEnv(inner, rig=RING, clip={**SHORT, "film_every": 5})
    run_episode(env)
    env.pop_clips()
    env.film_next()
    inner.poison = poison.get("observation", 0.0), poison.get("reward", 0.0)
    with pytest.raises(NonFiniteError, match=message):
        run_episode(env)
    inner.poison = 0.0, 0.0
    run_episode(env)
    assert len(env.pop_clips()) == 1  # the episode that broke is made up for


def test_observations_that_are_no_vectors_need_a_state_function() -> None:
    class Keyed(gym.ObservationWrapper[Any, Any, Any]):
        def __init__(self, env: TinyEnv) -> None:
            super().__init__(env)
            self.observation_space = gym.spaces.Dict(ball=env.observation_space, seen=gym.spaces.Discrete(3))

        def observation(self, observation: Any) -> Any:
            return {"ball": observation, "seen": 1}

    with pytest.raises(EnvError, match="state_fn="):
        FilmedEnv(Keyed(TinyEnv()))
    env = FilmedEnv(Keyed(TinyEnv(15)), rig=RING, clip=SHORT, state_fn=lambda seen: seen["ball"][:2])
    assert env.state_dim == 2
    run_episode(env)
    assert env.pop_clips()[0].states.shape == (16, 2)
    with pytest.raises(EnvError, match=r"vector \(D,\).*\(2, 2\)"):
        FilmedEnv(Keyed(TinyEnv()), state_fn=lambda seen: seen["ball"].reshape(2, 2))


def test_states_are_new_float32_vectors() -> None:
    env = tiny()
    assert env.state_dim == 4 and env.last_state.shape == (0,)
    for act in (lambda: env.reset(seed=0), lambda: env.step(np.ones(2, np.float32))):
        observation = act()[0]
        state, seen = env.last_state, observation.copy()
        observation += 1
        np.testing.assert_array_equal(state, seen.astype(np.float32))
        assert state.dtype == np.float32


def test_an_env_without_mujoco_is_refused_unless_told_where_it_is() -> None:
    with pytest.raises(EnvError, match=r"CartPole.* has no MuJoCo .* get_mujoco="):
        FilmedEnv(gym.make("CartPole-v1"))

    class Hidden(gym.Env[Any, Any]):
        def __init__(self) -> None:
            self.inside = TinyEnv(15)
            self.observation_space, self.action_space = self.inside.observation_space, self.inside.action_space
            self.reset, self.step = self.inside.reset, self.inside.step  # type: ignore[method-assign]

    with pytest.raises(EnvError, match=r"Hidden has no MuJoCo .* get_mujoco="):
        FilmedEnv(Hidden())
    hidden = Hidden()
    env = FilmedEnv(hidden, rig=RING, clip=SHORT, get_mujoco=lambda env: (hidden.inside.model, hidden.inside.data))
    run_episode(env)
    assert env.pop_clips()


def test_a_rig_the_model_lacks_is_refused_at_once() -> None:
    with pytest.raises(UnknownNameError, match=r"no camera 'corner'.*track"):
        FilmedEnv(TinyEnv(), rig={"kind": "named", "names": ["corner"]})
    with pytest.raises(ConfigError, match="rig"):
        FilmedEnv(TinyEnv(), rig={"kind": "rings"})


@pytest.mark.parametrize(
    "clip", [{"length": 0}, {"image_size": 0}, {"image_size": -1}, {"stride": -2}, {"frames": 99}, {"size": 3}]
)
def test_settings_that_cannot_work_are_refused(clip: dict[str, int]) -> None:
    with pytest.raises(ConfigError, match=re.escape(f"clip.{next(iter(clip))}")):
        FilmedEnv(TinyEnv(), clip=clip)


def test_the_default_is_a_ring_at_the_scorers_usual_size() -> None:
    env = FilmedEnv(TinyEnv(15), clip={"length": 16, "film_every": 1})
    assert env.rig == default_rig(env.unwrapped.model)  # type: ignore[attr-defined]
    run_episode(env)
    assert env.pop_clips()[0].frames.shape == (1, 8, 224, 224, 3)


def test_the_spec_rebuilds_the_env() -> None:
    env = FilmedEnv(gym.make("Tiny-v0", max_steps=20), rig=RING, clip={**SHORT, "views": "random"}, seed=7)
    assert env.spec is not None
    spec = gym.envs.registration.EnvSpec.from_json(env.spec.to_json())
    again = gym.make(spec)
    json.dumps(env.spec.additional_wrappers[-1].kwargs)
    assert isinstance(again, FilmedEnv) and again.rig == env.rig and again.clip == env.clip
    run_episode(env, seed=1)
    run_episode(again, seed=1)
    for one, other in zip(env.pop_clips(), again.pop_clips(), strict=True):
        np.testing.assert_array_equal(one.frames, other.frames)
        np.testing.assert_array_equal(one.views, other.views)


def test_gymnasiums_checker_is_content() -> None:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", ".*Box observation space m.*|.*different from the unwrapped.*", UserWarning)
        check_env(
            FilmedEnv(gym.make("Tiny-v0", disable_env_checker=True).unwrapped, clip=SHORT), skip_render_check=True
        )


@pytest.mark.parametrize("module", [rigs, filmed_env])
def test_the_examples_run(module: Any) -> None:
    results = doctest.testmod(module)
    assert results.attempted > 0 and results.failed == 0


def test_an_endless_episode_is_filmed_in_stretches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mvr_wrappers.filming.filmed_env.LONGEST", 20)
    env = FilmedEnv(TinyEnv(max_steps=10**9), clip={"length": 8, "stride": 4, "frames": 2, "image_size": 16})
    env.reset(seed=0)
    for _ in range(65):
        env.step(np.zeros(2))
        assert env._recorder is not None and len(env._recorder) <= 20
    env.reset()
    starts = [clip.start for clip in env.pop_clips()]
    assert starts == [
        s for first in (0, 20, 40) for s in (first, first + 4, first + 8, first + 12)
    ]  # the rest is short
    env.close()


class BrokenEnv(TinyEnv):
    """Returns something odd at its fifth step."""

    def __init__(self, what: str) -> None:
        super().__init__()
        self._what = what

    def step(self, action: Any) -> Any:
        observation, reward, terminated, truncated, info = super().step(action)
        odd: dict[str, Any] = {"observation": np.zeros(5), "reward": None, "rewards": np.ones(1), "info": None}
        if self._t < 5:
            return observation, reward, terminated, truncated, info
        observation = odd["observation"] if self._what == "observation" else observation
        reward = odd[self._what] if self._what in ("reward", "rewards") else reward
        return observation, reward, terminated, truncated, None if self._what == "info" else info


@pytest.mark.parametrize(
    ("what", "message"),
    [
        ("observation", "a state of 5 numbers at step 5, where there were 4"),
        ("reward", "returned the reward None"),
        ("rewards", "returned the reward array"),
        ("info", "the info NoneType"),
    ],
)
def test_what_no_env_may_return(what: str, message: str) -> None:
    env = FilmedEnv(BrokenEnv(what))
    env.reset(seed=0)
    for _ in range(4):
        env.step(np.zeros(2))
    with pytest.raises(EnvError, match=message):
        env.step(np.zeros(2))
    env.close()


def test_an_env_is_copied_amid_a_film() -> None:
    env = FilmedEnv(TinyEnv(), clip={"length": 8, "stride": 8, "frames": 2, "image_size": 16})
    env.reset(seed=0)
    for _ in range(4):
        env.step(np.ones(2))
    other = copy.deepcopy(env)
    for _ in range(4):
        for each in (env, other):
            each.step(np.ones(2))
    for each in (env, other):
        each.end_film()
    ours, theirs = env.pop_clips(), other.pop_clips()
    assert len(ours) == len(theirs) > 0
    for mine, copied in zip(ours, theirs, strict=True):
        np.testing.assert_array_equal(mine.states, copied.states)
        np.testing.assert_array_equal(mine.frames, copied.frames)
    for each in (env, other):
        each.close()
