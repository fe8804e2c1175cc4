"""The learners `mvr train` knows. Adding one is adding a row here."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Protocol, cast

from mvr_wrappers.settings import AgentSettings

if TYPE_CHECKING:
    from stable_baselines3.common.off_policy_algorithm import OffPolicyAlgorithm
    from stable_baselines3.common.vec_env import VecEnv

LEARNERS = {"jax-tqc": "jax_tqc", "sb3-tqc": "sb3_tqc"}
"""Name -> module of this package that offers what `LearnerModule` says."""

if TYPE_CHECKING:
    LearnerName = str
else:
    LearnerName = Literal[tuple(LEARNERS)]


class LearnerModule(Protocol):
    """What the module of a learner offers."""

    def make(
        self,
        venv: VecEnv,
        settings: AgentSettings,
        *,
        seed: int,
        device: str = "auto",
        log_dir: Path | None = None,
    ) -> OffPolicyAlgorithm:
        """Returns an untrained agent.

        Args:
            venv: what it learns on; `settings["n_envs"]` plays no part here. Where an engine shapes it, the shaping of
                stored transitions follows that engine.
            settings: hyper-parameters; `train_freq` counts vector steps.
            seed: of networks, exploration and replay; also seeds the venv and Python's, NumPy's and torch's generators.
            device: auto, cpu, cuda, cuda:N.
            log_dir: where TensorBoard files go; None writes none.
        """
        ...

    def load(self, path: Path, device: str, *, trust: bool = False) -> OffPolicyAlgorithm:
        """Returns the agent saved at `path`, without its replay buffer.

        Args:
            path: the file.
            device: auto, cpu, cuda, cuda:N.
            trust: take a file whose loading can execute code; a ConfigError says where that is needed.
        """
        ...

    def losses(self, agent: OffPolicyAlgorithm) -> Mapping[str, float]:
        """Returns means over the gradient steps of the agent's last training; empty before the first.

        Keys are `actor_loss`, `critic_loss`, `ent_coef` (the entropy coefficient) and, where that is learned,
        `ent_coef_loss`.
        """
        ...

    def wait(self, agent: OffPolicyAlgorithm) -> None:
        """Returns when the updates that were asked of the agent are done."""
        ...


def learner(name: str) -> LearnerModule:
    """Imports the module of a learner in `LEARNERS`."""
    return cast(LearnerModule, importlib.import_module(f".{LEARNERS[name]}", __package__))
