"""HumanoidBench's tasks: on a package in its image everywhere, on a real clone where one is installed."""

from __future__ import annotations

import importlib
import re
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gymnasium as gym
import mujoco
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

import mvr_wrappers  # noqa: F401 - registers the ids
from mvr_wrappers.envs.task_env import make_task_env
from mvr_wrappers.errors import AssetError, ConfigError, MissingExtraError
from mvr_wrappers.extras import install_command
from mvr_wrappers.filming import CameraRig, find_mujoco
from mvr_wrappers.filming.cameras import place
from mvr_wrappers.tasks import humanoid_bench, humanoid_bench_patches
from mvr_wrappers.tasks.base_envs import make_base_env
from mvr_wrappers.tasks.registry import get_task, load_registry
from tests.support.fake_humanoid_bench import write
from tests.support.known import of_type

# The registry

PUBLISHED = {  # task: (robots, prompt), as published; "*" marks the h1hand tasks of the paper
    "balance_hard": ("h1 h1hand*", "a humanoid robot balancing on the board"),
    "balance_simple": ("h1 h1hand*", "a humanoid robot balancing on the board"),
    "basketball": ("h1 h1hand", "a humanoid robot throwing a ball into the basket"),
    "cabinet": ("h1hand", "a humanoid robot opening a cabinet door and putting a cube inside"),
    "crawl": ("h1hand", "a humanoid robot crawling"),
    "highbar_hard": ("h1strong", "a humanoid robot swinging around a horizontal bar"),
    "highbar_simple": ("h1", "a humanoid robot swinging around a horizontal bar"),
    "hurdle": ("h1 h1hand", "a humanoid robot hurdling"),
    "powerlift": ("h1hand", "a humanoid robot performs clean and jerk."),
    "push": ("h1 h1hand", "a humanoid robot pushing a box to the target"),
    "reach": ("h1 h1hand", "a humanoid robot reaching the 3D point with the left hand"),
    "run": ("h1 h1hand*", "a humanoid robot running"),
    "sit_hard": ("h1 h1hand*", "a humanoid robot sitting on a chair"),
    "sit_simple": ("h1 h1hand*", "a humanoid robot sitting on a chair"),
    "slide": ("h1 h1hand*", "a humanoid robot walking"),
    "stair": ("h1 h1hand*", "a humanoid robot climbing the stairs"),
    "stand": ("h1 h1hand*", "a humanoid robot standing"),
    "walk": ("h1 h1hand*", "a humanoid robot walking"),
}
PAPER = [f"h1hand-{task}-v0" for task, (robots, _) in PUBLISHED.items() if "*" in robots]
ROBOTS = ("h1", "h1hand", "h1simplehand", "h1strong", "h1touch", "g1")
OTHERS = (
    *("bookshelf_hard", "bookshelf_simple", "cube", "door", "insert_normal", "insert_small", "kitchen", "maze"),
    *("package", "pole", "room", "spoon", "truck", "window"),
)


def test_every_robot_and_task_is_registered_and_the_published_prompts_are_kept_word_for_word() -> None:
    tasks = {name: spec for name, spec in load_registry().items() if spec.family == "humanoid_bench"}
    assert tasks.keys() == {f"{robot}-{task}-v0" for robot in ROBOTS for task in (*PUBLISHED, *OTHERS)}
    assert len(PAPER) == 9
    for task, (robots, prompt) in PUBLISHED.items():
        for robot in robots.replace("*", "").split():
            assert tasks[f"{robot}-{task}-v0"].prompt == prompt
    assert tasks["h1-crawl-v0"].prompt == "a humanoid robot crawling and passing inside a tunnel"
    assert all(f"MVR/{name}" in gym.registry for name in tasks)


@pytest.mark.parametrize("name", PAPER)
def test_the_paper_s_tasks_have_its_camera_and_its_steps(name: str) -> None:
    spec = get_task(name)
    camera = {"track": 1, "distance": 3.0, "elevation": 0.0}
    assert spec.rig == {"kind": "ring", "azimuths": [90, 180, 270, 0], **camera}
    assert spec.agent["steps"] == 10_000_000


# What is missing is said, with the commands that mend it


def test_without_humanoid_bench_its_ids_say_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "humanoid_bench", None)
    with pytest.raises(MissingExtraError) as caught:
        gym.make("MVR/h1hand-walk-v0", shaping=False)
    assert str(caught.value) == (
        "the task h1hand-walk-v0 needs humanoid_bench. Install it with: git clone "
        "https://github.com/carlosferrazza/humanoid-bench && pip install --no-deps -e humanoid-bench && "
        f"{install_command('humanoid-bench')}"
    )


@pytest.fixture
def fake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Puts a package in the image of HumanoidBench in the place of the real one; yields its folder."""
    ids = dict(gym.registry)
    _forget(monkeypatch)
    for name in load_registry().keys() & ids.keys():
        del gym.registry[name]  # the real one's
    root = write(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    humanoid_bench._constants.cache_clear()
    yield root
    _forget(None)
    gym.registry.clear()
    gym.registry.update(ids)
    humanoid_bench._constants.cache_clear()


def _forget(monkeypatch: pytest.MonkeyPatch | None) -> None:
    """Unloads HumanoidBench and JAX; with `monkeypatch`, until the test is over."""
    for name in list(sys.modules):
        if name.partition(".")[0] in ("humanoid_bench", "jax"):
            if monkeypatch is None:
                del sys.modules[name]
            else:
                monkeypatch.delitem(sys.modules, name)


def _make(name: str, **kwargs: Any) -> Any:
    return make_base_env(get_task(name), **kwargs)


def test_the_camera_follows_a_robot_that_climbs(fake: Path) -> None:
    env = _make("h1-push-v0")
    env.reset(seed=0)
    model, data = find_mujoco(env)
    view = CameraRig.from_config(get_task("h1-push-v0").rig or {}).views[0]
    data.qpos[0] = 0.0  # the pelvis at its height in the model
    mujoco.mj_forward(model, data)
    np.testing.assert_allclose(place(view, model, data).lookat, [0.0, 0.0, 1.0])
    data.qpos[0] = 0.9  # the top of the stairs
    mujoco.mj_forward(model, data)
    np.testing.assert_allclose(place(view, model, data).lookat, [0.0, 0.0, 1.9])


def test_without_dm_control_the_extra_is_named(fake: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "dm_control", None)
    (fake / "env.py").write_text("import dm_control")
    with pytest.raises(MissingExtraError, match=f"needs dm_control.*: {re.escape(install_command('humanoid-bench'))}"):
        _make("h1-push-v0")


def test_what_else_humanoid_bench_lacks_is_told_by_python(fake: Path) -> None:
    (fake / "env.py").write_text("import humanoid_bench_needs_this")
    with pytest.raises(ModuleNotFoundError, match="No module named 'humanoid_bench_needs_this'"):
        _make("h1-push-v0")


def test_a_robot_without_a_scene_is_refused_and_those_with_one_are_named(fake: Path) -> None:
    with pytest.raises(AssetError, match=r"no scene of truck for the robot g1: .*envs has it for h1\. Choose one"):
        _make("g1-truck-v0")


def test_a_plain_install_which_leaves_the_assets_out_is_recognised(fake: Path) -> None:
    for path in (fake / "assets" / "envs").iterdir():
        path.unlink()
    with pytest.raises(
        AssetError, match=r"holds no scene of the task push\. .*clone it again.*pip install --no-deps -e"
    ):
        _make("h1-push-v0")


def test_a_texture_the_clone_lacks_is_named(fake: Path) -> None:
    with pytest.raises(AssetError, match=r"wood\.png, which h1-window-v0 needs, is missing\. .*clone it again"):
        _make("h1-window-v0")


def test_a_scene_that_is_wrong_otherwise_is_told_by_mujoco(fake: Path) -> None:
    (fake / "assets" / "envs" / "h1_pos_push.xml").write_text(
        "<mujoco><worldbody><geom sizes='1'/></worldbody></mujoco>"
    )
    with pytest.raises(ValueError, match="unrecognized attribute: 'sizes'"):
        _make("h1-push-v0")


def test_what_humanoid_bench_does_not_know_is_refused(fake: Path) -> None:
    with pytest.raises(ConfigError, match=r"render_mode is 'ansi'; give one of human, rgb_array, depth_array"):
        _make("h1-push-v0", render_mode="ansi")
    with pytest.raises(ConfigError, match=r"no option 'sensor'\. Nearest: sensors"):
        _make("h1-push-v0", sensor="tactile")
    with pytest.raises(ConfigError, match=r"cannot be made with .*policy_type.*: AssertionError: only flat policies"):
        _make("h1-push-v0", policy_type="reach_single")
    del gym.registry["h1-push-v0"]
    with pytest.raises(ConfigError, match=r"task h1-push-v0 cannot be made so: .*doesn't exist"):
        _make("h1-push-v0")


# What is patched


def test_jax_is_not_imported_until_something_is_asked_of_it(fake: Path) -> None:
    humanoid_bench_patches.load()
    assert not {"jax", "jax.numpy"} & sys.modules.keys()
    converter = importlib.import_module("humanoid_bench.mjx.flax_to_torch")
    assert converter.jnp.pi == 3
    assert sys.modules["jax.numpy"] is not converter.jnp


def test_jax_that_is_there_already_is_left_alone(fake: Path) -> None:
    jnp = importlib.import_module("jax.numpy")
    humanoid_bench_patches.load()
    assert importlib.import_module("humanoid_bench.mjx.flax_to_torch").jnp is jnp


def test_only_arrays_that_mujoco_lacks_leave_the_table(fake: Path) -> None:
    humanoid_bench_patches.load()
    sizes = importlib.import_module("humanoid_bench.dmc_deps.dmc_sizes")
    assert sizes.array_sizes == {"mjmodel": {"qpos0": ("nq",)}, "mjdata": {}}


def test_loading_twice_patches_once(fake: Path) -> None:
    humanoid_bench_patches.load()
    env = importlib.import_module("humanoid_bench.env").HumanoidEnv
    patched = env._initialize_simulation, env.mujoco_renderer, env.viewer
    humanoid_bench_patches.load()
    assert (env._initialize_simulation, env.mujoco_renderer, env.viewer) == patched


def test_the_kitchen_s_main_class_of_defaults_keeps_its_name(fake: Path) -> None:
    model = _make("h1-kitchen-v0").unwrapped.model
    assert model.geom_margin.tolist() == [0.125, 0.125]  # of the kettle and, as MuJoCo 3.1.6 has it, of all else
    assert (model.vis.global_.offwidth, model.vis.global_.offheight) >= (64, 64)


def test_the_g1_s_free_joint_answers_to_the_name_of_the_others(fake: Path) -> None:
    named = _make("g1-push-v0").unwrapped.named
    assert named.data.qpos.axes.row._names_to_slices["free_base"] == slice(0, 7)


def test_rendering_from_the_env_s_camera_and_from_one_named_at_the_call(fake: Path) -> None:
    env = _make("h1-push-v0", render_mode="rgb_array")
    env.reset(seed=0)
    assert env.unwrapped.mujoco_renderer._viewers == {}  # not before it is looked through
    front, above = env.render(), env.unwrapped.task.eye()
    assert front.shape == above.shape == (64, 64, 3)
    assert np.ptp(front) > 0
    assert not np.array_equal(front, above)
    np.testing.assert_array_equal(env.render(), front)  # the camera of one call is not that of the next
    env.close()


# What an episode depends on


def _steps(env: Any, seed: int | None, count: int = 5) -> np.ndarray:
    """A seeded episode: observations, rewards and the colour of a geom."""
    env.action_space.seed(0)
    rows = [[*env.reset(seed=seed)[0], 0.0]]
    for _ in range(count):
        observation, reward, *_ = env.step(env.action_space.sample())
        rows.append([*observation, reward])
    return np.array(rows)


@pytest.mark.parametrize("task", ["h1-push-v0", "h1-truck-v0"])
def test_equal_seeds_give_equal_episodes_whatever_went_before(fake: Path, task: str) -> None:
    env = _make(task)
    first = _steps(env, seed=3)
    colours = env.unwrapped.model.geom_rgba.copy()
    np.random.seed(7)  # noqa: NPY002 - what the tasks draw from
    before = np.random.get_state(legacy=False)["state"]["key"].tolist()  # noqa: NPY002
    np.testing.assert_array_equal(_steps(env, seed=3), first)
    np.testing.assert_array_equal(_steps(_make(task), seed=3), first)
    np.testing.assert_array_equal(env.unwrapped.model.geom_rgba, colours)
    assert not np.array_equal(_steps(env, seed=4), first)
    assert np.random.get_state(legacy=False)["state"]["key"].tolist() == before  # noqa: NPY002
    _steps(env, seed=2**40)


def test_unseeded_resets_differ_and_follow_from_the_last_seed(fake: Path) -> None:
    env = _make("h1-push-v0")
    draws = [env.reset(seed=1)[0], env.reset()[0], env.reset()[0]]
    assert len({tuple(draw) for draw in draws}) == 3
    np.testing.assert_array_equal([env.reset(seed=1)[0], env.reset()[0], env.reset()[0]], draws)


def test_the_first_observation_shows_where_a_body_was_placed(fake: Path) -> None:
    env = _make("h1-push-v0")
    for _ in range(2):
        observation, _ = env.reset()
        np.testing.assert_array_equal(observation[2:], env.unwrapped.model.body_pos[-1])


def test_another_robot_changes_nothing(fake: Path) -> None:
    h1, g1 = _make("h1-push-v0"), _make("g1-push-v0")
    for env, height in ((g1, 1.28), (h1, 1.65), (_make("h1-push-v0"), 1.65), (g1, 1.28)):
        env.reset(seed=0)
        assert env.step(np.zeros(1, np.float32))[1] == height


def test_ends_are_bools_rewards_floats_and_the_time_limit_holds(fake: Path) -> None:
    env = _make("h1-truck-v0", max_episode_steps=3)
    env.reset(seed=0)
    steps = [env.step(np.zeros(1, np.float32)) for _ in range(3)]
    assert [type(steps[0][i]) for i in (1, 2, 3)] == [float, bool, bool]
    assert [step[3] for step in steps] == [False, False, True]


# A real clone, where there is one


@pytest.fixture(scope="module")
def real() -> None:
    """Skips, saying how to install HumanoidBench, where it is not."""
    try:
        _make("h1-walk-v0").close()
    except MissingExtraError as error:
        pytest.skip(str(error))


def _random_episode(env: Any, seed: int, steps: int = 40) -> tuple[np.ndarray, np.ndarray]:
    """Observations and task rewards of a seeded episode and what follows it."""
    env.action_space.seed(seed)
    rows, rewards = [env.reset(seed=seed)[0]], []
    for _ in range(steps):
        observation, reward, terminated, truncated, info = env.step(env.action_space.sample())
        rewards.append((float(reward), info.get("task_reward", float(reward))))
        rows.append(env.reset()[0] if terminated or truncated else observation)
    rows.append(env.reset()[0])
    return np.array(rows), np.array(rewards)


CHECKED = ("h1-walk-v0", "h1-sit_hard-v0", "h1-package-v0", "h1-highbar_simple-v0", "h1-basketball-v0", "g1-crawl-v0")


@pytest.mark.usefixtures("real")
@pytest.mark.parametrize("task", CHECKED)
@pytest.mark.filterwarnings("ignore:.*The environment .* is different from the unwrapped version")
@pytest.mark.filterwarnings("ignore:.*A Box observation space m..imum value is -?infinity")
def test_real_tasks_pass_both_checkers_and_repeat_for_one_seed(task: str) -> None:
    env = _make(task)
    first = _random_episode(env, seed=3)
    np.random.seed(5)  # noqa: NPY002 - what the tasks draw from
    for again in (_make(task), env):
        for now, then in zip(_random_episode(again, seed=3), first, strict=True):
            np.testing.assert_array_equal(now, then)
    check_env(env, skip_render_check=True, skip_close_check=True)
    pytest.importorskip("stable_baselines3.common.env_checker").check_env(env, skip_render_check=True)


@pytest.mark.usefixtures("real")
@pytest.mark.parametrize(
    ("task", "observation", "action"), [("h1-walk-v0", 51, 19), ("h1hand-balance_hard-v0", 177, 61)]
)
def test_real_tasks_are_filmed_without_being_touched(task: str, observation: int, action: int) -> None:
    clip = {"length": 4, "stride": 4, "frames": 2, "film_every": 1, "views": "all", "image_size": 64}
    env = gym.make(f"MVR/{task}", weight=0.0, clip=clip, max_episode_steps=10)
    plain = gym.make(f"MVR/{task}", shaping=False, max_episode_steps=10)
    assert (env.observation_space.shape, env.action_space.shape) == ((observation,), (action,))
    for ours, theirs in zip(_random_episode(env, 1), _random_episode(plain, 1), strict=True):
        np.testing.assert_array_equal(ours, theirs)
    env.close()
    from mvr_wrappers import FilmedEnv

    filmed = FilmedEnv(make_task_env(get_task(task), max_episode_steps=10), rig=get_task(task).rig, clip=clip)
    _random_episode(filmed, 1, steps=10)
    frames = np.stack([clip.frames for clip in filmed.pop_clips()])
    assert frames.shape[1:] == (4, 2, 64, 64, 3)
    assert len(np.unique(frames.reshape(len(frames) * 8, -1).mean(axis=1))) == len(frames) * 8  # no two alike
    filmed.close()


@pytest.mark.usefixtures("real")
def test_real_sensors_make_dictionaries_which_a_state_function_reads() -> None:
    sensors = {"obs_wrapper": True, "sensors": "proprio,image,privileged"}
    env = gym.make(
        "MVR/h1-stand-v0",
        env_kwargs={**sensors, "width": 32, "height": 32},
        render_mode="rgb_array",
        state_fn=lambda observation: observation["proprio"],
        clip={"length": 4, "stride": 4, "frames": 2, "film_every": 1, "image_size": 48},
    )
    observation, _ = env.reset(seed=0)
    assert set(observation) == {"proprio", "privileged", "image_left_eye", "image_right_eye"}
    for _ in range(6):
        observation, *_ = env.step(env.action_space.sample())
        assert observation in env.observation_space
    env.reset()  # films
    observation, *_ = env.step(env.action_space.sample())
    picture, seen = of_type(np.ndarray, env.render()), observation["image_left_eye"]
    assert picture.shape == seen.shape == (32, 32, 3)
    assert np.ptp(seen) > 0
    assert not np.array_equal(picture, seen)
    env.close()


@pytest.mark.usefixtures("real")
def test_a_real_env_opens_no_viewer_before_it_renders_and_says_nothing(capfd: pytest.CaptureFixture[str]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        env = gym.wrappers.PassiveEnvChecker(_make("h1-reach-v0", render_mode="rgb_array"))
        env.reset(seed=0)
        for _ in range(3):
            env.step(env.action_space.sample())
    base: Any = env.unwrapped
    assert base.mujoco_renderer._viewers == {}
    assert of_type(np.ndarray, env.render()).shape == (256, 256, 3)
    env.close()
    assert not re.search(r"\w", "".join(capfd.readouterr()))
