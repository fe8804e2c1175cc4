"""Meta-World 3: its goal-observable envs, changed so that they keep to Gymnasium's rules.

What is changed inside it for newer MuJoCo stands in `metaworld_patches`.
"""

from __future__ import annotations

import functools
from typing import Any, Literal, cast, get_args

import gymnasium as gym
import numpy as np
from gymnasium.utils import RecordConstructorArgs

from mvr_wrappers.errors import ConfigError, UnknownNameError, nearest
from mvr_wrappers.tasks import metaworld_patches

Positions = Literal["reset", "fixed"]
Reward = Literal["dense", "sparse"]
GOAL_MARGIN = 1e-3  # metres


def make(
    env_id: str,
    *,
    env_name: str,
    positions: Positions = "reset",
    reward: Reward = "dense",
    max_episode_steps: int | None = None,
    render_mode: str | None = None,
    **kwargs: Any,
) -> gym.Env[Any, Any]:
    """Makes a goal-observable Meta-World env.

    Args:
        env_id: `Meta-World/goal_observable`; metaworld has been imported.
        env_name: such as `hammer-v3-goal-observable`.
        positions: see `ObjectPositions`.
        reward: see `TaskReward`.
        max_episode_steps: time limit.
        render_mode: of `render()`, which filming does not use.
        kwargs: further arguments of `gymnasium.make`.

    Returns:
        An env with observations float64 (39,): hand, gripper and objects now and one step ago, and the goal. `info`
        holds `success`, 1.0 or 0.0, at each step.

    Raises:
        UnknownNameError: Meta-World has no such env.
        ConfigError: `positions` or `reward` is none of their words.
    """
    from metaworld.env_dict import ALL_V3_ENVIRONMENTS_GOAL_OBSERVABLE as ENVIRONMENTS

    if env_name not in ENVIRONMENTS:
        raise UnknownNameError(f"Meta-World has no env {env_name!r}. Nearest names: {nearest(env_name, ENVIRONMENTS)}")
    # Given a seed the constructor restores NumPy's global generator; without one it would draw from it and disturb it.
    env = gym.make(env_id, env_name=env_name, seed=0, max_episode_steps=max_episode_steps, **kwargs)
    task = cast(Any, env.unwrapped)
    task.action_space.seed()  # the constructor seeds it as well: all envs would explore alike
    task.render_mode = render_mode  # the id does not take it, the env does
    # The observation space was set while the goal was still hidden: it bounds the goal to zero.
    task.observation_space = _with_width(task.sawyer_observation_space)
    if max_episode_steps is not None:
        task.max_path_length = max_episode_steps  # Meta-World's own limit, beyond which stepping is an error
    _change_class(task)
    return TaskReward(ObjectPositions(env, positions), reward)


def _with_width(space: gym.spaces.Box) -> gym.spaces.Box:
    """Returns the space with a millimetre to either side where a goal never moves: Gymnasium warns of no width."""
    margin = np.where(space.low == space.high, GOAL_MARGIN, 0.0)
    return gym.spaces.Box(space.low - margin, space.high + margin, dtype=np.float64)


def _change_class(task: Any) -> None:
    """Gives a task a class of its own, changed in two places.

    It hides `compute_reward` except from the task itself: SB3 takes whoever has it for a goal-conditioned env. And it
    unpickles, where Meta-World's own class comes back with another action space and other welds of the hand.
    """
    base = type(task)

    def evaluate_state(self: Any, *args: Any) -> Any:
        self.__dict__["compute_reward"] = functools.partial(base.compute_reward, self)
        try:
            return base.evaluate_state(self, *args)
        finally:
            del self.__dict__["compute_reward"]

    def __setstate__(self: Any, state: Any) -> None:
        metaworld_patches.load()  # in this process no task may have been made yet
        kept = {key: value for key, value in state["state"].items() if key not in ("model", "data", "mujoco_renderer")}
        base.__setstate__(self, state)  # makes those three anew, as MujocoEnv's constructor does
        self.__dict__.update(kept)
        self.reset_mocap_welds()

    changes = {"compute_reward": _Absent(), "evaluate_state": evaluate_state, "__setstate__": __setstate__}
    task.__class__ = type(base.__name__, (base,), changes)


class _Absent:
    """A class attribute that instances do not have, unless they set it."""

    def __get__(self, instance: object, owner: type | None = None) -> Any:
        raise AttributeError("Meta-World's compute_reward is hidden; its reward is what step returns")


class ObjectPositions(gym.Wrapper[Any, Any, Any, Any], RecordConstructorArgs):
    """Decides when a Meta-World env draws the positions of its objects and its goal, and makes the draw reproducible.

    Meta-World ignores `reset(seed=...)` and keeps the positions its constructor drew. Here they are drawn from the
    generator of the env, which `reset(seed=...)` seeds:

    - "reset" draws at each reset, seeded or not;
    - "fixed" draws at the first reset and keeps the positions for the life of the env, as in MVR (arXiv 2603.01694),
      whatever the seeds of later resets.
    """

    def __init__(self, env: gym.Env[Any, Any], positions: Positions = "reset") -> None:
        if positions not in get_args(Positions):
            raise ConfigError(f"positions is {positions!r}; give one of {', '.join(get_args(Positions))}")
        RecordConstructorArgs.__init__(self, positions=positions)
        gym.Wrapper.__init__(self, env)
        self._redraw = positions == "reset"
        self._drawn = False
        self._task = cast(Any, env.unwrapped)
        self._task.seeded_rand_vec = True  # draw from the env's generator, not from NumPy's global one

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """Resets the env after drawing positions if they are due."""
        gym.Env.reset(self._task, seed=seed)  # the part of Meta-World's reset that is missing: seeds the generator
        if self._redraw or not self._drawn:
            self._draw()
            self._drawn = True
            if not self._redraw:  # equal seeds leave equal generators, whether or not positions were drawn
                gym.Env.reset(self._task, seed=seed)
        return self.env.reset(seed=seed, options=options)

    def _draw(self) -> None:
        """Draws once and holds the draw.

        Meta-World's reset builds the scene twice. If it drew each time, as it does when thawed, some envs would compute
        the first observation and the scale of the reward from the positions of the draw before.
        """
        self._task._freeze_rand_vec = False
        self._task.reset_model()  # rejects positions that lie too close together
        self._task._freeze_rand_vec = True


class TaskReward(gym.Wrapper[Any, Any, Any, Any], RecordConstructorArgs):
    """Decides what a Meta-World task pays at each step: a float, which Meta-World's own reward is not always.

    - "dense" pays Meta-World's own reward, between 0 and 10;
    - "sparse" pays 1 at a step at which the task is solved and 0 at any other.
    """

    def __init__(self, env: gym.Env[Any, Any], reward: Reward = "dense") -> None:
        if reward not in get_args(Reward):
            raise ConfigError(f"reward is {reward!r}; give one of {', '.join(get_args(Reward))}")
        RecordConstructorArgs.__init__(self, reward=reward)
        gym.Wrapper.__init__(self, env)
        self._sparse = reward == "sparse"

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        """Steps the env."""
        observation, reward, terminated, truncated, info = self.env.step(action)
        return observation, float(info["success"] > 0 if self._sparse else reward), terminated, truncated, info
