"""A trained agent in MuJoCo's viewer, with f(s) drawn in a corner of the window."""

from __future__ import annotations

import itertools
import sys
import time
import warnings
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

from mvr_agents.pictures.video import DEFAULT_FPS
from mvr_agents.runs.evaluate import Policy
from mvr_wrappers.errors import FilmingError
from mvr_wrappers.filming import find_mujoco
from mvr_wrappers.filming.access import as_state_fn

WINDOW = 200  # steps of f(s) in the plot
PLOT = (0, 0, 420, 220)  # left, bottom, width and height in pixels

Relevance = Callable[[NDArray[np.float32]], NDArray[np.float32]]
"""f: states (N, D) -> (N,)."""


class Viewer(Protocol):
    """What is used of MuJoCo's `viewer.Handle`."""

    def is_running(self) -> bool:
        """Returns whether the window is still open."""

    def sync(self) -> None:
        """Shows the simulation as it is now."""

    def set_figures(self, viewports_figures: Any, /) -> None:
        """Draws figures over the picture; (viewport, figure) or a list of such pairs."""


Launch = Callable[[Any, Any], AbstractContextManager[Viewer]]
"""A model and its data -> a window on them, open while the block runs."""


@dataclass(frozen=True, slots=True)
class Played:
    """One episode that was watched to its end.

    Attributes:
        task_return: its undiscounted task return.
        steps: its length.
        solved: whether the env reported success at any step; None if it never said.
    """

    task_return: float
    steps: int
    solved: bool | None


def check_screen(run: Path) -> None:
    """Checks that a window could be opened.

    Args:
        run: to name in the error.

    Raises:
        FilmingError: there is no screen; on macOS, the process is none that `mjpython` started.
    """
    from mujoco import viewer

    film = f"film it instead: mvr eval {run} --video"
    if sys.platform == "darwin":
        if viewer._MJPYTHON is None:
            raise FilmingError(
                f"on macOS the viewer needs MuJoCo's own launcher: mjpython $(which mvr) play {run}; or {film}"
            )
    elif not _has_screen():
        raise FilmingError(f"there is no screen that MuJoCo's viewer could open on; {film}")


def open_viewer(model: Any, data: Any) -> AbstractContextManager[Viewer]:
    """Opens MuJoCo's viewer on a simulation that somebody else steps; waits for ever where there is no screen."""
    from mujoco import viewer

    opened: AbstractContextManager[Viewer] = viewer.launch_passive(model, data, show_left_ui=False)
    return opened


def _has_screen() -> bool:
    """Returns whether GLFW, which draws the window, finds a screen."""
    import glfw

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", glfw.GLFWError)
        return bool(glfw.init())


def play(
    env: gym.Env[Any, Any],
    policy: Policy,
    relevance: Relevance | None,
    *,
    seed: int,
    episodes: int | None = None,
    speed: float = 1.0,
    launch: Launch = open_viewer,
    tell: Callable[[Played], object] = lambda played: None,
) -> None:
    """Plays episodes in a window until it is closed.

    Args:
        env: the task's own env.
        policy: what acts.
        relevance: f, drawn over the last steps; None draws nothing.
        seed: episode i starts from seed + i.
        episodes: how many, None: until the window is closed.
        speed: of the env's own pace; 2 is twice as fast.
        launch: what opens the window.
        tell: told each episode that was played to its end.
    """
    pause = 1 / (env.metadata.get("render_fps", DEFAULT_FPS) * speed)
    env.reset(seed=seed)  # some envs make their simulation then
    with launch(*find_mujoco(env)) as viewer:
        for episode in itertools.count() if episodes is None else range(episodes):
            show = _Plot(viewer, relevance, as_state_fn(env.observation_space, None)).show
            played = _play(env, policy, viewer, show, seed + episode, pause)
            if played is None:
                return
            tell(played)


def _play(
    env: gym.Env[Any, Any],
    policy: Policy,
    viewer: Viewer,
    show: Callable[[Any], object],
    seed: int,
    pause: float,
) -> Played | None:
    """Plays an episode, one step each `pause` seconds, and shows each observation; None if the window was closed."""
    observation, _ = env.reset(seed=seed)
    rewards: list[float] = []
    solved: list[bool] = []
    over, due = False, time.perf_counter()
    while not over:
        if not viewer.is_running():
            return None
        show(observation)
        viewer.sync()
        observation, reward, terminated, truncated, info = env.step(policy(observation))
        rewards.append(float(reward))
        solved += [bool(info["is_success"])] if "is_success" in info else []
        over = terminated or truncated
        due += pause
        time.sleep(max(0.0, due - time.perf_counter()))
    return Played(sum(rewards), len(rewards), any(solved) if solved else None)


class _Plot:
    """f(s) along the last steps of an episode, in a corner of the window."""

    def __init__(self, viewer: Viewer, relevance: Relevance | None, to_state: Callable[[Any], Any]) -> None:
        self._viewer, self._relevance, self._to_state = viewer, relevance, to_state
        self._values = deque[float](maxlen=WINDOW)

    def show(self, observation: Any) -> None:
        """Adds the value of an observation; does nothing without a learned reward."""
        import mujoco

        if self._relevance is not None:
            self._values.append(float(self._relevance(self._to_state(observation)[None])[0]))
            self._viewer.set_figures((mujoco.MjrRect(*PLOT), plot(list(self._values))))


def plot(values: Sequence[float]) -> Any:
    """Returns a figure of MuJoCo's: a line through the values, the last one in the title."""
    import mujoco

    figure = mujoco.MjvFigure()
    mujoco.mjv_defaultFigure(figure)
    figure.title = f"f(s) = {values[-1]:.3f}"
    figure.xlabel = "steps ago"
    figure.range[:] = ((-WINDOW, 0), (0, -1))  # a maximum below the minimum: MuJoCo chooses both
    figure.figurergba[3] = 0.5
    steps = np.arange(1 - len(values), 1)
    figure.linedata[0, : 2 * len(values)] = np.stack([steps, values], axis=1).ravel()
    figure.linepnt[0] = len(values)
    return figure
