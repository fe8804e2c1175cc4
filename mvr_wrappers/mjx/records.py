"""What is kept of the filmed worlds at each step, and where an env's state has it."""

from __future__ import annotations

from typing import Any, NamedTuple

import jax

from mvr_wrappers.errors import EnvError

Array = Any  # a jax.Array inside jit, a NumPy array on the host


class Record(NamedTuple):
    """One moment of the k filmed worlds; of a chunk, each array has a leading axis of T steps.

    Attributes:
        qpos: float (k, nq), positions.
        qvel: float (k, nv), velocities.
        mocap_pos: float (k, nmocap, 3).
        mocap_quat: float (k, nmocap, 4).
        states: float32 (k, D), what relevance is learned on.
        first: bool (k,), whether an episode begins here.
        task_reward: float (k,), what the step that led here was paid by the task.
        shaping: float (k,), what was added to it.
    """

    qpos: Array
    qvel: Array
    mocap_pos: Array
    mocap_quat: Array
    states: Array
    first: Array
    task_reward: Array
    shaping: Array


def simulation_data(state: Any) -> Any:
    """Returns the MJX data of an env's state: `data` in MuJoCo Playground, `pipeline_state` in brax.

    Raises:
        EnvError: there is none.
    """
    for name in ("data", "pipeline_state"):
        data = getattr(state, name, None)
        if all(hasattr(data, part) for part in ("qpos", "qvel", "mocap_pos", "mocap_quat")):
            return data
    raise EnvError(
        f"a state of this env ({type(state).__name__}) has no MJX data, neither in `data` nor in `pipeline_state`, so "
        "it cannot be filmed. Envs of MuJoCo Playground have it, and those of brax with backend='mjx'."
    )


def take(worlds: tuple[int, ...], *arrays: Array) -> list[Array]:
    """Returns the rows of some worlds of each array."""
    index = jax.numpy.asarray(worlds)
    return [array[index] for array in arrays]
