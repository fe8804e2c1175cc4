"""EnginePerEnv: which engine shapes which env, and what passes between envs and engines."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mvr_wrappers.clips import Clip
from mvr_wrappers.engine.engine import RewardEngine
from mvr_wrappers.engine.group import EngineGroup
from mvr_wrappers.errors import ConfigError, EngineError
from mvr_wrappers.filming.filmstrip import Reel
from mvr_wrappers.options import EngineOptions
from mvr_wrappers.snapshot import RewardSnapshot


class EnginePerEnv:
    """Which engine each of N envs is shaped by in its present episode, and what passes between envs and engines.

    Each engine's schedule is counted over the steps of its own envs.

    Args:
        engines: the engines by prompt; those of prompts it lacks are made when needed.
        prompts: the own prompt of each env: that of an episode whose reset asked for none. None is that of the first
            engine.
    """

    def __init__(self, engines: EngineGroup, prompts: Sequence[str | None]) -> None:
        self._engines = engines
        self._own = [engines.first if prompt is None else engines.obtain(prompt) for prompt in prompts]
        self._asked: list[str | None] = []
        self._reel = Reel()
        self.assign([None] * len(prompts))

    @property
    def engine(self) -> RewardEngine:
        """The engine of the envs' own prompt.

        Raises:
            EngineError: they have several.
        """
        if any(engine is not self._own[0] for engine in self._own):
            raise EngineError(
                "these envs have engines of several prompts: see engines, a mapping from prompt to engine"
            )
        return self._own[0]

    @property
    def prompts(self) -> list[str]:
        """The prompt of each env's present episode."""
        return [engine.prompt for engine in self._now]

    def assign(self, prompts: list[str | None]) -> None:
        """Takes over the prompts of the N present episodes; None is the env's own."""
        if prompts == self._asked:
            return
        self._asked = prompts
        pairs = zip(self._own, prompts, strict=True)
        self._now = [own if prompt is None else self._engines.obtain(prompt) for own, prompt in pairs]
        numbers = {id(engine): engine for engine in self._now}
        at = np.array([id(engine) for engine in self._now])
        self._shares = [(engine, at == number) for number, engine in numbers.items()]

    def collect(self, pop: Callable[[bool], Iterable[Sequence[Clip]]], *, remote: bool, due: bool) -> None:
        """Takes the envs' clips; from other processes those rendered meanwhile, and all when they are due.

        Args:
            pop: `FilmedEnv.pop_clips` of all envs.
            remote: whether the envs live in processes of their own.
            due: whether the clips are to be scored now, or shown.
        """
        if remote:
            self.submit(pop(False))
        if due or not remote:
            self.submit(pop(True))

    def submit(self, clips: Iterable[Sequence[Clip]]) -> None:
        """Hands the clips of each env to the engines of the episodes they were cut from."""
        for own, of_env in zip(self._own, clips, strict=True):
            for prompt, of_prompt in itertools.groupby(of_env, key=lambda clip: clip.prompt):
                engine = own if prompt is None else self._engines.obtain(prompt)
                self._reel.add(engine.prompt, latest := list(of_prompt))
                engine.submit(latest)

    def filmstrip(self, clips: int = 1) -> NDArray[np.uint8]:
        """Returns the latest clips as one picture, see `Reel.draw`."""
        return self._reel.draw(lambda prompt: self._engines[prompt].score_of, clips)

    def reaches_scoring(self, stepped: NDArray[np.bool_]) -> bool:
        """Whether `advance(stepped)` would make a scoring due."""
        return any(engine.reaches_scoring(int(np.count_nonzero(stepped & rows))) for engine, rows in self._shares)

    def advance(self, stepped: NDArray[np.bool_]) -> None:
        """Counts a step of the envs in `stepped`, bool (N,), and does the work it makes due.

        Raises:
            EngineError: a worker thread failed, or an engine is closed.
        """
        for engine, rows in self._shares:
            engine.advance(int(np.count_nonzero(stepped & rows)))

    def note_paid(self, shaping: NDArray[np.float32], task_rewards: NDArray[np.floating[Any]]) -> None:
        """Tells the engines what a step of the N envs was paid, (N,) both."""
        for engine, rows in self._shares:
            engine.note_paid(shaping[rows], task_rewards[rows])

    def snapshots(self) -> list[tuple[RewardSnapshot, Any]]:
        """Returns the latest snapshot of each engine, and the index of its rows among the N envs."""
        if len(self._shares) == 1:
            return [(self._shares[0][0].snapshot, slice(None))]
        return [(engine.snapshot, rows) for engine, rows in self._shares]


def own_prompts(prompt: str | Sequence[str] | None, count: int) -> list[str | None]:
    """Returns the prompt of each of `count` envs, meant by a wrapper's `prompt=`; None is left to its `engine=`.

    Raises:
        ConfigError: several prompts, but not one an env.
    """
    if prompt is None or isinstance(prompt, str):
        return [prompt] * count
    if len(prompt) != count:
        raise ConfigError(f"prompt has {len(prompt)} sentences for {count} envs; give one, or one an env")
    return list(prompt)


def engine_group(
    engine: RewardEngine | EngineGroup | None, prompt: str | None, options: Mapping[str, Any]
) -> EngineGroup:
    """Returns the group meant by the arguments `engine=` and `prompt=` of a wrapper.

    Args:
        engine: a caller-owned engine or group, or None for a new engine.
        prompt: of the new engine, or one that `engine` has.
        options: see `EngineOptions`; those of the new engine. Beside `engine`, `seed` alone has a meaning, for filming.

    Raises:
        ConfigError: neither `engine` nor `prompt` was given, or something that `engine` would ignore.
    """
    if engine is None:
        if prompt is None:
            raise ConfigError("give prompt=, one sentence that says what the behaviour looks like, or engine=")
        return EngineGroup([RewardEngine(prompt, **options)], closes_with_env=True)
    ignored = [name for name in EngineOptions.__annotations__ if name != "seed" and options.get(name) is not None]
    if ignored:
        raise ConfigError(f"engine= has settings of its own and would ignore {', '.join(ignored)}; leave them out")
    if isinstance(engine, EngineGroup):
        return engine
    if not isinstance(engine, RewardEngine):
        raise ConfigError(f"engine= is {engine!r}; give a RewardEngine or an EngineGroup")
    if prompt is not None and prompt != engine.prompt:
        raise ConfigError(f"engine= brings its own prompt, {engine.prompt!r}; leave out prompt={prompt!r}")
    return EngineGroup([engine], lent=True, closes_with_env=True)
