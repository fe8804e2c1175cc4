"""The hyper-parameters of a task file in the words of TQC, ours and sb3-contrib's alike."""

from __future__ import annotations

from typing import Any

from stable_baselines3.common.utils import LinearSchedule

from mvr_wrappers.errors import ConfigError
from mvr_wrappers.settings import AgentSettings

_PASSED_ON = (
    "batch_size",
    "buffer_size",
    "learning_starts",
    "train_freq",
    "gradient_steps",
    "tau",
    "gamma",
    "n_steps",
    "ent_coef",
    "top_quantiles_to_drop_per_net",
    "use_sde",
    "sde_sample_freq",
)
_POLICY = ("net_arch", "n_critics", "n_quantiles", "log_std_init", "clip_mean")


def tqc_arguments(settings: AgentSettings) -> dict[str, Any]:
    """Returns keyword arguments of TQC. Networks of actor and critics are alike, with ReLU, as published.

    Args:
        settings: hyper-parameters; `train_freq` counts vector steps, `n_envs` and the evaluations play no part here.

    Raises:
        ConfigError: all quantiles would be dropped.
    """
    n_quantiles, dropped = settings["n_quantiles"], settings["top_quantiles_to_drop_per_net"]
    if dropped >= n_quantiles:
        raise ConfigError(f"{dropped} of {n_quantiles} quantiles would be dropped; lower top_quantiles_to_drop_per_net")
    first, last = settings["learning_rate"]
    values: dict[str, Any] = {**settings}
    return {
        "learning_rate": LinearSchedule(first, last, end_fraction=1.0),
        "policy_kwargs": {key: values[key] for key in _POLICY},
        **{key: values[key] for key in _PASSED_ON},
    }
