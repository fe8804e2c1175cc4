"""ShapedByEngines: what all wrappers that shape have in common, of one env, of a vector and of a VecEnv."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mvr_wrappers.clips import Clip
from mvr_wrappers.engine.engine import RewardEngine
from mvr_wrappers.engine.group import EngineGroup
from mvr_wrappers.errors import ConfigError
from mvr_wrappers.wrappers.routing import EnginePerEnv


class ShapedByEngines:
    """Engines that serve N filmed envs: who closes them, how clips reach them, and what was filmed last.

    Attributes:
        engines: all engines, a mapping from prompt to engine.
    """

    engines: EngineGroup
    _per_env: EnginePerEnv
    _remote: bool = False  # whether the envs live in processes of their own

    @property
    def engine(self) -> RewardEngine:
        """The engine of the envs' own prompt.

        Raises:
            EngineError: they have several.
        """
        return self._per_env.engine

    @property
    def owns_engines(self) -> bool:
        """Whether `close` closes the engines; those that the caller owns it never does."""
        return self.engines.closes_with_env

    def filmstrip(self, clips: int = 1) -> NDArray[np.uint8]:
        """Returns the clips filmed last as one picture, uint8 (H, W, 3), RGB.

        Each view of the rig, or of the rigs of the sub-envs, is a row; time goes right, and the score stands beside it
        once there is one.

        Args:
            clips: how many clips of each view, 1 to 4, the latest lowest.

        Raises:
            FilmingError: nothing was filmed yet.
            ConfigError: more clips than are kept, or none.
        """
        self._collect_clips(due=True)
        return self._per_env.filmstrip(clips)

    def state_dict(self) -> dict[str, Any]:
        """Returns what filming goes on from, JSON-safe, after cutting films under way into clips for the engines.

        The engines are not part of it (see `EngineGroup.save`; save them afterwards), nor are the simulations: a run
        that is to go on exactly resets its envs wherever this is called, see `mvr_agents.CheckpointCallback`.
        """
        self._call("end_film")
        self._collect_clips(due=True)
        return {"films": list(self._ask("film_state"))}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Takes over what `state_dict` returned; reset the envs afterwards.

        Raises:
            ConfigError: it is of another number of envs.
        """
        films = state["films"]
        if len(films) != len(self._per_env.prompts):
            raise ConfigError(f"the state is of {len(films)} envs, and here are {len(self._per_env.prompts)}")
        self._give("film_state", films)

    def _number_envs(self, count: int) -> None:
        """Gives each env a number that no other env of the engines has."""
        self._give("film_number", self.engines.first.number_envs(count))

    def _collect_clips(self, due: bool = False) -> None:
        """Takes the envs' clips to their engines, see `EnginePerEnv.collect`."""
        self._per_env.collect(self._pop_clips, remote=self._remote, due=due)

    def _take_prompts(self) -> None:
        """Has each env shaped by the engine of its present episode."""
        self._per_env.assign(list(self._ask("episode_prompt")))

    def _pop_clips(self, new: bool) -> Iterable[Sequence[Clip]]:
        return self._call("pop_clips", new)

    def _ask(self, name: str) -> Sequence[Any]:
        """Returns an attribute of each `FilmedEnv`."""
        raise NotImplementedError

    def _call(self, name: str, *args: Any) -> Sequence[Any]:
        """Returns what a method of each `FilmedEnv` returns."""
        raise NotImplementedError

    def _give(self, name: str, values: Sequence[Any]) -> None:
        """Sets an attribute of each `FilmedEnv` to one of N values."""
        raise NotImplementedError

    def _close_engines(self) -> None:
        if self.owns_engines:
            self.engines.close()
