"""TQC of sb3-contrib (Kuznetsov et al. 2020, arXiv 2005.04269) with the hyper-parameters of a task file."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

from mvr_agents.extras import require
from mvr_wrappers.errors import ConfigError
from mvr_wrappers.scorers.devices import resolve_device
from mvr_wrappers.settings import AgentSettings

require("the agent sb3-tqc", "stable_baselines3", "sb3_contrib")

from sb3_contrib import TQC  # noqa: E402 - after the sentence that says what to install
from stable_baselines3.common.utils import update_learning_rate  # noqa: E402

from mvr_agents.learners.hyper import tqc_arguments  # noqa: E402

if TYPE_CHECKING:
    from stable_baselines3.common.off_policy_algorithm import OffPolicyAlgorithm
    from stable_baselines3.common.vec_env import VecEnv
    from torch.optim import Optimizer


LOSSES = ("actor_loss", "critic_loss", "ent_coef", "ent_coef_loss")


class ReportingTQC(TQC):  # type: ignore[misc]  # sb3-contrib is not typed
    """TQC of sb3-contrib that keeps the losses of its last training, which SB3's logger forgets when it writes them.

    Attributes:
        losses: of the last training, see `LearnerModule.losses`.
        ent_coef_lr: constant learning rate of the entropy coefficient; None: as the networks.
    """

    losses: Mapping[str, float] = MappingProxyType({})
    ent_coef_lr: float | None = None

    def train(self, gradient_steps: int, batch_size: int = 64) -> None:
        """Trains, see `TQC.train`."""
        super().train(gradient_steps, batch_size)
        logged = self.logger.name_to_value
        self.losses = {name: float(logged[f"train/{name}"]) for name in LOSSES if f"train/{name}" in logged}

    def _update_learning_rate(self, optimizers: list[Optimizer] | Optimizer) -> None:
        super()._update_learning_rate(optimizers)
        if self.ent_coef_lr is not None and self.ent_coef_optimizer is not None:
            update_learning_rate(self.ent_coef_optimizer, self.ent_coef_lr)


def make(
    venv: VecEnv,
    settings: AgentSettings,
    *,
    seed: int,
    device: str = "auto",
    log_dir: Path | None = None,
) -> ReportingTQC:
    """Returns an untrained agent, see `LearnerModule.make`; `RewardLogger` gives it the engine.

    Warns if layer norm or repeated noise is asked for, which sb3-contrib's TQC lacks.

    Raises:
        ConfigError: all quantiles would be dropped.
        ScorerError: CUDA was asked for and is absent.
    """
    from mvr_wrappers.sb3 import MultiViewVLMRewardVecEnv, RelabelReplayBuffer

    if settings["layer_norm"]:
        warnings.warn("sb3-contrib's TQC has no layer norm: its critics are trained without", stacklevel=2)
    if settings["noise_repeat"] > 1:
        warnings.warn("sb3-contrib's TQC repeats no noise: it explores with noise_repeat 1", stacklevel=2)
    arguments = tqc_arguments(settings)
    if isinstance(venv, MultiViewVLMRewardVecEnv):
        # TQC tells the steps of its returns to a buffer that it chose itself alone.
        steps = {"n_steps": arguments.pop("n_steps"), "gamma": settings["gamma"]}
        arguments |= {"replay_buffer_class": RelabelReplayBuffer, "replay_buffer_kwargs": steps}
    agent = ReportingTQC(
        "MlpPolicy",
        venv,
        tensorboard_log=None if log_dir is None else str(log_dir),
        seed=seed,
        device=resolve_device(device),
        **arguments,
    )
    agent.ent_coef_lr = settings["ent_coef_lr"]
    return agent


def load(path: Path, device: str = "auto", *, trust: bool = False) -> ReportingTQC:
    """Returns the agent saved at `path`, see `LearnerModule.load`.

    Raises:
        ConfigError: without `trust`: the file is a pickle.
    """
    if not trust:
        raise ConfigError(
            f"{path} is a pickle of Stable-Baselines3, which can execute code when it is loaded: if you trust who "
            "wrote it, add --trust (in Python trust=True)"
        )
    agent: ReportingTQC = ReportingTQC.load(path, device=resolve_device(device))
    return agent


def losses(agent: OffPolicyAlgorithm) -> Mapping[str, float]:
    """Returns the losses of the last training, see `LearnerModule.losses`."""
    assert isinstance(agent, ReportingTQC)
    return agent.losses


def wait(agent: OffPolicyAlgorithm) -> None:
    """Returns at once: PyTorch's updates are done when `train` returns, or wait for nobody on a GPU."""
