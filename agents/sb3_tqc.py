"""TQC of sb3-contrib (Kuznetsov et al. 2020, arXiv 2005.04269) with the hyper-parameters of a task file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mvr_wrappers.errors import ConfigError
from mvr_wrappers.scorers.devices import resolve_device
from mvr_wrappers.settings import AgentSettings

from .extras import require

require("the agent sb3-tqc", "stable_baselines3", "sb3_contrib")

from sb3_contrib import TQC  # noqa: E402 - after the sentence that says what to install
from stable_baselines3.common.buffers import ReplayBuffer  # noqa: E402
from stable_baselines3.common.utils import LinearSchedule  # noqa: E402
from stable_baselines3.common.vec_env import VecEnv  # noqa: E402

_PASSED_ON = (
    *("batch_size", "buffer_size", "learning_starts", "train_freq", "gradient_steps", "tau", "gamma", "ent_coef"),
    *("top_quantiles_to_drop_per_net", "use_sde", "sde_sample_freq"),
)


def make(
    venv: VecEnv,
    settings: AgentSettings,
    *,
    seed: int,
    device: str = "auto",
    log_dir: Path | None = None,
    buffer_class: type[ReplayBuffer] | None = None,
    buffer_kwargs: dict[str, Any] | None = None,
) -> TQC:
    """Returns an untrained agent. Networks of actor and critics are alike, with ReLU, as published.

    Args:
        venv: what it learns on; `settings["n_envs"]` plays no part here.
        settings: hyper-parameters; `train_freq` counts vector steps.
        seed: of networks, exploration and replay; also seeds the venv and Python's, NumPy's and torch's generators.
        device: auto, cpu, cuda, cuda:N.
        log_dir: where TensorBoard files go; None writes none.
        buffer_class: a replay buffer other than SB3's own.
        buffer_kwargs: its arguments.

    Raises:
        ConfigError: all quantiles would be dropped.
        ScorerError: CUDA was asked for and is absent.
    """
    n_quantiles, dropped = settings["n_quantiles"], settings["top_quantiles_to_drop_per_net"]
    if dropped >= n_quantiles:
        raise ConfigError(f"{dropped} of {n_quantiles} quantiles would be dropped; lower top_quantiles_to_drop_per_net")
    first, last = settings["learning_rate"]
    values: dict[str, Any] = {**settings}
    return TQC(
        *("MlpPolicy", venv),
        learning_rate=LinearSchedule(first, last, end_fraction=1.0),
        policy_kwargs={key: values[key] for key in ("net_arch", "n_critics", "n_quantiles")},
        replay_buffer_class=buffer_class,
        replay_buffer_kwargs=buffer_kwargs,
        tensorboard_log=None if log_dir is None else str(log_dir),
        seed=seed,
        device=resolve_device(device),
        **{key: values[key] for key in _PASSED_ON},
    )


def load(path: Path, device: str = "auto") -> TQC:
    """Returns the agent saved at `path`, without its replay buffer."""
    return TQC.load(path, device=resolve_device(device))
