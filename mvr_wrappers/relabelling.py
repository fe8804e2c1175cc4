"""FollowsEngine: what replay buffers have in common whose shaping follows the reward as it is learned."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from mvr_wrappers.errors import EngineError, EnvError

if TYPE_CHECKING:
    from mvr_wrappers.engine import RewardEngine
    from mvr_wrappers.snapshot import RewardSnapshot


class FollowsEngine(ABC):
    """Keeps the shaping of stored transitions that of an engine's latest snapshot.

    The shaping is overwritten as a whole, never corrected by differences, so that errors cannot add up and relabelling
    twice is relabelling once.

    Attributes:
        engine: gives the shaping; None until one is set. It is not pickled: a loaded buffer has none.
    """

    engine: RewardEngine | None = None
    _labelled_by: RewardSnapshot | None = None

    def set_engine(self, engine: RewardEngine) -> None:
        """Takes the shaping from `engine` from now on, that of stored transitions included."""
        self.engine, self._labelled_by = engine, None

    def relabel(self) -> None:
        """Brings the shaping of all stored transitions up to date; returns at once if it is.

        Raises:
            EngineError: there is no engine.
        """
        if self.engine is None:
            raise EngineError(
                f"this {type(self).__name__} has no engine (a saved one comes back without): call "
                "set_engine(venv.engine)"
            )
        snapshot = self.engine.snapshot
        if snapshot is not self._labelled_by:
            self._overwrite_shaping(snapshot)
            self._labelled_by = snapshot

    def _check_prompts(self, infos: Sequence[Mapping[str, Any]]) -> None:
        """Refuses transitions of a prompt other than the engine's, which it would relabel by the wrong sentence."""
        if self.engine is None:
            return
        for info in infos:
            if info.get("prompt", self.engine.prompt) != self.engine.prompt:
                raise EnvError(
                    f'relabelling follows one engine, of "{self.engine.prompt}", but an env was rewarded for '
                    f'"{info["prompt"]}". Where envs have several prompts keep rewards as stored: '
                    'replay_buffer_kwargs={"engine": None} with mvr_agents.TQC, else the ReplayBuffer of SB3'
                )

    @abstractmethod
    def _overwrite_shaping(self, snapshot: RewardSnapshot) -> None:
        """Computes the shaping of all stored transitions under `snapshot`."""
