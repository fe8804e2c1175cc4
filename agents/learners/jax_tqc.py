"""TQC in JAX with the hyper-parameters of a task file."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from mvr_agents.extras import require
from mvr_wrappers.settings import AgentSettings

require("the agent jax-tqc (--agent sb3-tqc does without)", "stable_baselines3", "jax", "flax", "optax")

import jax  # noqa: E402 - after the sentence that says what to install

from mvr_agents.learners.hyper import tqc_arguments  # noqa: E402
from mvr_agents.tqc.algorithm import TQC  # noqa: E402
from mvr_agents.tqc.policy import TQCPolicy  # noqa: E402
from mvr_agents.tqc.replay import DeviceReplayBuffer  # noqa: E402

if TYPE_CHECKING:
    from stable_baselines3.common.off_policy_algorithm import OffPolicyAlgorithm
    from stable_baselines3.common.vec_env import VecEnv


def make(
    venv: VecEnv,
    settings: AgentSettings,
    *,
    seed: int,
    device: str = "auto",
    log_dir: Path | None = None,
) -> TQC:
    """Returns an untrained agent, see `LearnerModule.make`.

    Raises:
        ConfigError: all quantiles would be dropped, noise is repeated with use_sde, or JAX sees no such device.
    """
    arguments = tqc_arguments(settings)
    arguments["policy_kwargs"]["layer_norm"] = settings["layer_norm"]
    return TQC(
        "MlpPolicy",
        venv,
        tensorboard_log=None if log_dir is None else str(log_dir),
        seed=seed,
        device=device,
        noise_repeat=settings["noise_repeat"],
        ent_coef_lr=settings["ent_coef_lr"],
        **arguments,
    )


def load(path: Path, device: str = "auto", *, trust: bool = False) -> TQC:
    """Returns the agent saved at `path`, see `LearnerModule.load`."""
    if not trust:
        return TQC.load(path, device=device)
    # Classes are pickled by the place of their module: these are found wherever they lay when the file was written.
    classes = {"policy_class": TQCPolicy, "replay_buffer_class": DeviceReplayBuffer}
    return TQC.load(path, device=device, custom_objects=classes, trust=True)


def losses(agent: OffPolicyAlgorithm) -> Mapping[str, float]:
    """Returns the losses of the last training, see `LearnerModule.losses`."""
    assert isinstance(agent, TQC)
    return agent.losses


def wait(agent: OffPolicyAlgorithm) -> None:
    """Returns when the device has done the updates that were asked of it."""
    assert isinstance(agent, TQC)
    jax.block_until_ready(agent.policy.train_state)  # type: ignore[no-untyped-call]
