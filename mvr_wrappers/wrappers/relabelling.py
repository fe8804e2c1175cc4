"""FollowsEngine: what replay buffers have in common whose shaping follows the reward as it is learned."""

from __future__ import annotations

import warnings
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mvr_wrappers.errors import EngineError

Rewards = NDArray[np.float64]

if TYPE_CHECKING:
    from mvr_wrappers.engine.engine import RewardEngine
    from mvr_wrappers.engine.group import EngineGroup
    from mvr_wrappers.snapshot import RewardSnapshot


class FollowsEngine(ABC):
    """Keeps the shaping of stored transitions that of the latest snapshot of the engine of their prompt.

    The shaping is overwritten as a whole, never corrected by differences, so that errors cannot add up and relabelling
    twice is relabelling once.

    Stored are the task reward and the shaping that the wrapper which shapes has paid, as `infos` tell them. What a
    wrapper outside that one makes of their sum cannot be computed anew, so it plays no part, and a warning says so
    once: put a wrapper that changes rewards inside, where what it pays is the task reward. SB3's VecNormalize stands
    outside and counts: it is applied to the sum when transitions are sampled.

    Attributes:
        engine: gives the shaping, of several engines the first; None until one is set. It is not pickled: a loaded
            buffer has none.
        engines: all engines, where the transitions may be of several prompts.
    """

    engine: RewardEngine | None
    engines: EngineGroup | None
    _warned = False  # of a wrapper outside that changes rewards

    def _follow(self, engine: RewardEngine | EngineGroup | None, rows: int, n_envs: int) -> None:
        """Prepares for transitions in rows of one for each env."""
        self._prompts: list[str | None] = [None]  # that were stored; None where there was but one engine
        self._prompt_at: NDArray[np.int32] | None = None  # (R, E), which of them; None while all are the first
        self._shape = rows, n_envs
        self.engine, self.engines = None, None
        self._labelled_by: dict[str | None, RewardSnapshot] = {}
        if engine is not None:
            self.set_engine(engine)

    def set_engine(self, engine: RewardEngine | EngineGroup) -> None:
        """Takes the shaping from `engine` from now on, that of stored transitions included."""
        from mvr_wrappers.engine.group import EngineGroup

        self.engines = engine if isinstance(engine, EngineGroup) else None
        self.engine = engine.first if isinstance(engine, EngineGroup) else engine
        self._labelled_by = {}

    def relabel(self) -> None:
        """Brings the shaping of all stored transitions up to date; returns at once if it is.

        Transitions of an engine with `relabel=False` keep the shaping they were stored with.

        Raises:
            EngineError: there is no engine.
        """
        if self.engine is None:
            raise EngineError(
                f"this {type(self).__name__} has no engine (a saved one comes back without): call "
                "set_engine(venv.engine)"
            )
        for number, prompt in enumerate(self._prompts):
            engine = self._engine_of(prompt)
            snapshot = engine.snapshot
            if engine.relabel and snapshot is not self._labelled_by.get(prompt):
                chosen = None if self._prompt_at is None else self._prompt_at == number
                if chosen is None or chosen.any():
                    self._overwrite_shaping(snapshot, chosen)
                self._labelled_by[prompt] = snapshot

    def label_state(self) -> dict[str, Any]:
        """Returns, JSON-safe, which prompts are stored and which of them have the shaping of the latest snapshot.

        With the rows themselves it is all that a buffer goes on from, see `load_label_state`.
        """
        latest = [
            number
            for number, prompt in enumerate(self._prompts)
            if self.engine is not None and self._labelled_by.get(prompt) is self._engine_of(prompt).snapshot
        ]
        return {"prompts": self._prompts, "latest": latest}

    def load_label_state(self, state: Mapping[str, Any], prompt_at: NDArray[np.int32] | None = None) -> None:
        """Takes over what `label_state` returned, once the engines are what they were then.

        Args:
            state: what it returned.
            prompt_at: int32 (R, E), of rows that are stored, the number of their prompt; None where all are of one.
        """
        self._prompts, self._prompt_at = list(state["prompts"]), prompt_at
        self._labelled_by = {
            prompt: self._engine_of(prompt).snapshot
            for number, prompt in enumerate(self._prompts)
            if number in state["latest"]
        }

    @property
    def prompt_at(self) -> NDArray[np.int32] | None:
        """The number of the prompt of each stored row in `label_state`, int32 (R, E); None where all are of one."""
        return self._prompt_at

    def _engine_of(self, prompt: str | None) -> RewardEngine:
        assert self.engine is not None
        return self.engine if self.engines is None or prompt is None else self.engines.obtain(prompt)

    def _paid(self, rewards: NDArray[Any], infos: Sequence[Mapping[str, Any]]) -> tuple[Rewards, Rewards] | None:
        """Returns task rewards and shaping (E,) of a row as they were paid; None where the env is not shaped.

        Args:
            rewards: (E,), what the agent was given.
            infos: of the envs.
        """
        if any("task_reward" not in info or "shaping" not in info for info in infos):
            return None
        task_rewards, shaping = (np.array([info[name] for info in infos]) for name in ("task_reward", "shaping"))
        # Rewards are float32 on their way: in SB3's vectors, and where shaping is added.
        scale = np.abs(task_rewards) + np.abs(shaping) + 1.0
        if not self._warned and (np.abs(rewards - task_rewards - shaping) > 1e-4 * scale).any():
            self._warned = True
            warnings.warn(
                f"a wrapper outside the one that shapes changes rewards, and a {type(self).__name__} stores them as "
                "they were paid, task_reward + shaping: put that wrapper inside, or use VecNormalize, which counts "
                "when transitions are sampled",
                stacklevel=4,
            )
        return task_rewards, shaping

    def _note_prompts(self, row: int, infos: Sequence[Mapping[str, Any]]) -> None:
        """Remembers which prompts the transitions of a row are of.

        Raises:
            EngineError: the buffer has one engine, and one of them is of another prompt.
        """
        numbers = [self._number_of(info.get("prompt")) for info in infos]
        if self._prompt_at is None and any(numbers):
            self._prompt_at = np.zeros(self._shape, np.int32)
        if self._prompt_at is not None:
            self._prompt_at[row] = numbers

    def _number_of(self, prompt: str | None) -> int:
        if prompt is not None and self.engines is None and self.engine is not None and prompt != self.engine.prompt:
            raise EngineError(
                f"this buffer follows the engine of {self.engine.prompt!r}, and a transition is of {prompt!r}: give it "
                "all engines, replay_buffer_kwargs={'engine': venv.engines}"
            )
        if prompt not in self._prompts:
            self._prompts.append(prompt)
        return self._prompts.index(prompt)

    def _without_engine(self) -> dict[str, Any]:
        """Returns the attributes that are pickled."""
        return {**self.__dict__, "engine": None, "engines": None, "_labelled_by": {}}

    @abstractmethod
    def _overwrite_shaping(self, snapshot: RewardSnapshot, chosen: NDArray[np.bool_] | None) -> None:
        """Computes the shaping of stored transitions under `snapshot`: of those `chosen` (R, E), or of all."""
