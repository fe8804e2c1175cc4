"""HumanoidBench: its envs on today's MuJoCo and Gymnasium, fixed so that equal seeds give equal episodes.

HumanoidBench is not on the package index and pins an old stack, so it is installed from a clone, without its
dependencies; see `INSTALL`. What is changed inside it stands in `humanoid_bench_patches`.
"""

from __future__ import annotations

import copy
import functools
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import gymnasium as gym
import numpy as np
from gymnasium.utils import RecordConstructorArgs

from mvr_wrappers.errors import AssetError, ConfigError, nearest
from mvr_wrappers.tasks.humanoid_bench_patches import name_free_joint

INSTALL = "git clone https://github.com/carlosferrazza/humanoid-bench && pip install --no-deps -e humanoid-bench && "
"""Commands that install HumanoidBench itself, before the extra `humanoid-bench` of this package."""

_OPTIONS = (
    *("randomness", "keyframe", "width", "height", "model_path", "obs_wrapper", "sensors", "blocked_hands"),
    *("small_obs", "policy_type", "policy_path", "mean_path", "var_path", "max_delta", "max_delta_coords"),
)


def make(
    env_id: str,
    *,
    max_episode_steps: int | None = None,
    render_mode: str | None = None,
    disable_env_checker: bool | None = None,
    **options: Any,
) -> gym.Env[Any, Any]:
    """Makes an env of HumanoidBench.

    Args:
        env_id: such as `h1hand-walk-v0`; HumanoidBench has been loaded.
        max_episode_steps: time limit; None takes HumanoidBench's own, 500 or 1,000 steps.
        render_mode: of `render()`, which filming does not use.
        disable_env_checker: see `gymnasium.make`.
        options: HumanoidBench's own, such as `obs_wrapper=True, sensors="proprio,tactile"`, which makes observations
            dictionaries.

    Returns:
        An env with actions float32 (A,) in [-1, 1], one an actuator, and observations float64 (D,): positions and
        velocities of robot and objects, and what else the task tells. `info` holds the terms of the reward.

    Raises:
        AssetError: the clone lacks the scene of this robot and task, or a mesh or texture of it.
        ConfigError: HumanoidBench has no such option, or does not take it for this robot and task.
    """
    for key in options:
        if key not in _OPTIONS:
            raise ConfigError(f"HumanoidBench has no option {key!r}. Nearest: {nearest(key, _OPTIONS)}")
    if "model_path" not in options:
        _check_scene(env_id)
    _set_constants(_constants())
    # HumanoidBench reads its flags from a command line: as text, in any case.
    texts: dict[str, Any] = {key: str(value) if isinstance(value, bool) else value for key, value in options.items()}
    texts |= {"render_mode": None, "disable_env_checker": disable_env_checker}
    try:
        env = gym.make(env_id, max_episode_steps=max_episode_steps, **texts)
    except (AssertionError, AttributeError, KeyError, OSError) as error:
        raise ConfigError(f"{env_id} cannot be made with {options}: {type(error).__name__}: {error}") from error
    except ValueError as error:
        named = map(Path, re.findall(r"'([^']+)'", str(error)))
        lacking = [path for path in named if path.suffix and not path.exists()]
        if not lacking:
            raise
        raise AssetError(_incomplete(f"{lacking[0]}, which {env_id} needs, is missing")) from error
    base = cast(Any, env.unwrapped)
    modes = base.metadata["render_modes"]
    if render_mode not in (None, *modes):
        raise ConfigError(f"render_mode is {render_mode!r}; give one of {', '.join(modes)}")
    base.render_mode = render_mode  # only now: made with one, an env opens its viewer at once
    name_free_joint(base)
    return SeededEpisodes(env)


def _check_scene(env_id: str) -> None:
    """Checks that there is a scene file for the robot and the task.

    Raises:
        AssetError: there is none; the robots that have one for this task are named.
    """
    kwargs = gym.spec(env_id).kwargs
    robot, task = kwargs["robot"], kwargs["task"]
    scenes = _root() / "assets" / "envs"
    if (scenes / f"{robot}_{kwargs['control']}_{task}.xml").is_file():
        return
    robots = sorted(path.name.split("_")[0] for path in scenes.glob(f"*_{task}.xml"))
    if not robots:
        raise AssetError(_incomplete(f"{scenes} holds no scene of the task {task}"))
    raise AssetError(
        f"HumanoidBench has no scene of {task} for the robot {robot}: {scenes} has it for {', '.join(robots)}. Choose "
        "one of these, or add the scene there"
    )


def _root() -> Path:
    return Path(cast(str, sys.modules["humanoid_bench"].__file__)).parent


def _incomplete(what: str) -> str:
    return (
        f"{what}. HumanoidBench's assets are not complete: clone it again, all files of it, and install the clone "
        f"with -e, as a plain install leaves them out: {INSTALL.removesuffix(' && ')}"
    )


_Constants = dict[str, dict[str, float]]  # module -> name -> value


@functools.cache
def _constants() -> _Constants:
    """Returns the constants of HumanoidBench's task modules, such as the height of standing, before any env is made."""
    modules = {name: module for name, module in sys.modules.items() if name.startswith("humanoid_bench.envs.")}
    return {
        name: {key: value for key, value in vars(module).items() if key.isupper() and isinstance(value, int | float)}
        for name, module in modules.items()
    }


def _set_constants(constants: _Constants) -> None:
    for module, values in constants.items():
        vars(sys.modules[module]).update(values)


def _generator(seed: int | None) -> np.random.RandomState:
    """Returns a generator of the kind of NumPy's global one, seeded by any seed Gymnasium takes."""
    return np.random.RandomState(np.random.MT19937(np.random.SeedSequence(seed)))


class SeededEpisodes(gym.Wrapper[Any, Any, Any, Any], RecordConstructorArgs):
    """Makes an episode of HumanoidBench depend on its seed alone, not on what else happened in the process.

    - Tasks draw goals and objects from NumPy's global generator. Here that is, during a reset, a generator of this
      env's own, which `reset(seed=...)` seeds.
    - An env with the robot G1 lowers the heights of standing and crawling for the envs of all robots. Here each env
      steps with its own.
    - Colours (`maze`) and places (`package`) of the model's bodies and, where a task does not reset itself, its counts
      (`spoon`, `truck`) outlive an episode. Here they do not.
    - A task that places a body of the model at reset (`package`) observes where it was before. Here, where it is.
    - Tasks without noise (`highbar`) still have it in the first episode of an env. Here in none.
    - The end of some tasks is a NumPy bool, which SB3 refuses. Here all are of Python.
    """

    def __init__(self, env: gym.Env[Any, Any]) -> None:
        RecordConstructorArgs.__init__(self)
        gym.Wrapper.__init__(self, env)
        self._base = cast(Any, env.unwrapped)
        self._random = _generator(None)
        self._colours, self._places = self._base.model.geom_rgba.copy(), self._base.model.body_pos.copy()
        task = self._base.task.unwrapped  # beneath HumanoidBench's own wrappers
        kinds = type(task).__mro__
        constants, used = _constants(), {kind.__module__ for kind in kinds}
        self._own_constants = {
            module: {name: vars(sys.modules[module])[name] for name in values}
            for module, values in constants.items()
            if module in used
        }
        resets = any("reset_model" in vars(kind) for kind in kinds if kind.__module__ in constants)
        counts = {} if resets else {key: value for key, value in vars(task).items() if isinstance(value, int | list)}
        self._task, self._counts = task, copy.deepcopy(counts)
        with self._as_global_generator():
            self._base.reset_model()  # what the first reset of an env changes for those that follow

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """Resets the env."""
        model = self._base.model
        model.geom_rgba[:], model.body_pos[:] = self._colours, self._places
        vars(self._task).update(copy.deepcopy(self._counts))
        if seed is not None:
            self._random = _generator(seed)
        with self._as_global_generator():
            observation, info = self.env.reset(seed=seed, options=options)
        if not np.array_equal(model.body_pos, self._places):
            self._base.set_state(self._base.data.qpos, self._base.data.qvel)  # computes where everything is now
            observation = self._base.task.get_obs()
        return observation, info

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        """Steps the env."""
        _set_constants(self._own_constants)
        observation, reward, terminated, truncated, info = self.env.step(action)
        return observation, float(reward), bool(terminated), truncated, info

    @contextmanager
    def _as_global_generator(self) -> Iterator[None]:
        kept = np.random.get_state()  # noqa: NPY002 - HumanoidBench draws from it
        np.random.set_state(self._random.get_state())  # noqa: NPY002
        try:
            yield
        finally:
            self._random.set_state(np.random.get_state())  # noqa: NPY002
            np.random.set_state(kept)  # noqa: NPY002
