"""The learners `mvr train` knows. Adding one is adding a row here."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol, cast

from mvr_wrappers.settings import AgentSettings

if TYPE_CHECKING:
    from stable_baselines3.common.off_policy_algorithm import OffPolicyAlgorithm
    from stable_baselines3.common.vec_env import VecEnv

LEARNERS = {"sb3-tqc": "sb3_tqc"}
"""Name -> module of this package that offers what `LearnerModule` says."""

if TYPE_CHECKING:
    LearnerName = str
else:
    LearnerName = Literal[tuple(LEARNERS)]


class LearnerModule(Protocol):
    """What the module of a learner offers."""

    def make(self, venv: VecEnv, settings: AgentSettings, **options: Any) -> OffPolicyAlgorithm:
        """Returns an untrained agent; `options` are `seed`, `device`, `log_dir`, `buffer_class` and `buffer_kwargs`."""
        ...

    def load(self, path: Path, device: str) -> OffPolicyAlgorithm:
        """Returns the agent saved at `path`."""
        ...


def learner(name: str) -> LearnerModule:
    """Imports the module of a learner in `LEARNERS`."""
    return cast(LearnerModule, importlib.import_module(f".{LEARNERS[name]}", __package__))
