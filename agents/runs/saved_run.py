"""A run that is over: its configuration, its agent, and what can be asked of them."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from mvr_agents.learners import learner
from mvr_agents.runs.config import TrainConfig
from mvr_agents.runs.eval_envs import EvalEnvs
from mvr_agents.runs.evaluate import Evaluation, Policy, agent_policy, evaluate
from mvr_agents.runs.run_dir import RunDirectory
from mvr_wrappers.errors import ConfigError, MVRError
from mvr_wrappers.tasks.registry import TaskSpec

if TYPE_CHECKING:
    import gymnasium as gym
    from stable_baselines3.common.off_policy_algorithm import OffPolicyAlgorithm

UNREADABLE = (ValueError, KeyError, TypeError, AttributeError, RuntimeError, OSError, EOFError, AssertionError)
"""What a file that is no agent of its learner makes Stable-Baselines3 raise, if it is to be trusted."""
EVALUATION_SEED = 10_000
"""Added to a run's seed: evaluation episodes start where no training episode was seeded to start."""


@dataclass(frozen=True, slots=True)
class SavedRun:
    """What `mvr train` left in a directory, loaded.

    Attributes:
        directory: where it lies.
        config: as it was trained.
        spec: its task.
        agent: as it was at the end.
    """

    directory: RunDirectory
    config: TrainConfig
    spec: TaskSpec
    agent: OffPolicyAlgorithm

    @classmethod
    def open(cls, path: str | Path, device: str = "auto", *, trust: bool = False) -> Self:
        """Loads a run.

        Args:
            path: a run directory.
            device: where the agent computes.
            trust: take an agent whose loading can execute code, see `LearnerModule.load`.

        Raises:
            ConfigError: no run directory, a malformed config.yaml, or no agent in it.
        """
        directory = RunDirectory.open(path)
        config = directory.read_config()
        if not directory.model.is_file():
            raise ConfigError(f"{directory.path} has no {directory.model.name}: the run ended before; train again")
        try:
            agent = learner(config.agent).load(directory.model, device, trust=trust)
        except UNREADABLE as error:
            if isinstance(error, MVRError):
                raise
            raise ConfigError(
                f"{directory.model} is damaged, or no agent of the learner {config.agent} "
                f"({type(error).__name__}: {error})"
            ) from error
        return cls(directory, config, config.task_spec(), agent)

    @property
    def policy(self) -> Policy:
        """The deterministic policy of the agent."""
        return agent_policy(self.agent)

    @property
    def seed(self) -> int:
        """Seed of the first initial state that training evaluated on."""
        return self.config.seed + EVALUATION_SEED

    def check_spaces(self, env: gym.Env[Any, Any]) -> None:
        """Makes sure that the agent can act in an env.

        Raises:
            ConfigError: its observations or actions are others.
        """
        for what in ("action", "observation"):
            if getattr(self.agent, f"{what}_space") != getattr(env, f"{what}_space"):
                raise ConfigError(
                    f"{self.directory.path} was trained on {self.spec.name}, and its {what}s are not those of {env}"
                )

    def evaluate(self, episodes: int, seed: int | None = None, tick: Callable[[], object] = lambda: None) -> Evaluation:
        """Plays whole episodes on the task's own reward, in as many envs as training's evaluations.

        Args:
            episodes: how many.
            seed: see `evaluate`; None is the seed of training's evaluations.
            tick: see `evaluate`.

        Raises:
            ConfigError: the task's spaces are not those of the agent.
        """
        with closing(EvalEnvs(self.spec)) as envs:
            self.check_spaces(envs[0])
            return evaluate(envs, self.policy, episodes, self.seed if seed is None else seed, tick)
