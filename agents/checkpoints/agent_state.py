"""What an agent of Stable-Baselines3 goes on from: its parameters as tensors, and its counters, JSON-safe."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from operator import attrgetter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from stable_baselines3.common.running_mean_std import RunningMeanStd

from mvr_agents.encoding import decoded, encoded
from mvr_wrappers.engine.arrays_file import read_arrays, write_arrays

if TYPE_CHECKING:
    from stable_baselines3.common.base_class import BaseAlgorithm

NUMBERS = ("num_timesteps", "_n_updates", "_episode_num", "_n_calls", "_current_progress_remaining")
"""Counters, of the algorithms that have them."""
WINDOWS = ("ep_info_buffer", "ep_success_buffer")
"""What is known of the last episodes, for SB3's log."""


def write_parameters(path: Path, agent: BaseAlgorithm) -> None:
    """Writes networks, optimisers and single tensors such as the entropy coefficient."""
    arrays: dict[str, NDArray[Any]] = {}
    tensors = {name: attrgetter(name)(agent) for name in agent._get_torch_save_params()[1]}
    words = encoded({"parameters": dict(agent.get_parameters()), "tensors": tensors}, arrays)
    write_arrays(path, words, arrays)


def read_parameters(path: Path, agent: BaseAlgorithm) -> None:
    """Gives an agent of the same networks what `write_parameters` wrote."""
    saved = decoded(*read_arrays(path))
    agent.set_parameters(saved["parameters"], exact_match=True, device=agent.device)
    for name, tensor in saved["tensors"].items():
        attrgetter(name)(agent).data = tensor.to(agent.device)


def counters(agent: BaseAlgorithm) -> dict[str, Any]:
    """Returns counters, last losses, the windows of the log and the moments of VecNormalize, JSON-safe."""
    return {
        "numbers": {name: getattr(agent, name) for name in NUMBERS if hasattr(agent, name)},
        "windows": {name: [_plain(value) for value in getattr(agent, name) or ()] for name in WINDOWS},
        "losses": dict(getattr(agent, "losses", {})),
        "moments": [_from_moments(moments) for moments in _all_moments(agent)],
    }


def set_counters(agent: BaseAlgorithm, state: Mapping[str, Any]) -> None:
    """Sets what `counters` returned."""
    for name, value in state["numbers"].items():
        setattr(agent, name, value)
    for name, values in state["windows"].items():
        setattr(agent, name, deque(values, maxlen=agent._stats_window_size))
    if hasattr(agent, "losses"):
        agent.losses = dict(state["losses"])
    for moments, saved in zip(_all_moments(agent), state["moments"], strict=True):
        moments.mean, moments.var = np.array(saved["mean"]), np.array(saved["var"])
        moments.count = saved["count"]


def _all_moments(agent: BaseAlgorithm) -> list[RunningMeanStd]:
    """Returns the running moments of the agent's VecNormalize, of observations and of returns."""
    normaliser = agent.get_vec_normalize_env()
    if normaliser is None:
        return []
    of_observations: Any = normaliser.obs_rms if normaliser.norm_obs else {}
    parts = of_observations.values() if isinstance(of_observations, dict) else [of_observations]
    return [*parts, normaliser.ret_rms]


def _from_moments(moments: RunningMeanStd) -> dict[str, Any]:
    return {"mean": moments.mean.tolist(), "var": moments.var.tolist(), "count": float(moments.count)}


def _plain(value: Any) -> Any:
    """Turns the numbers of NumPy that envs put into infos into Python's; other things into text."""
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, np.generic):
        return value.item()
    return value if isinstance(value, str | int | float | bool | None) else str(value)
