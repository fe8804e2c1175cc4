"""EngineGroup: the engines of several prompts."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Self

from mvr_wrappers.engine.engine import RewardEngine
from mvr_wrappers.engine.engine_file import prompt_of
from mvr_wrappers.errors import ConfigError, EngineError
from mvr_wrappers.prompts import checked_prompt
from mvr_wrappers.scorers import Scorer

_INDEX = "engines.json"


class EngineGroup(Mapping[str, RewardEngine]):
    """Reward engines by prompt: a mapping that grows as prompts are asked for, with one scorer for all.

    Args:
        engines: at least one, each of another prompt. The first is the one that later ones are made like.
        lent: whether these engines are caller-owned, so that `close` leaves them open.
        closes_with_env: whether the wrapper that the group is given to closes it; a group of your own you close.

    Attributes:
        closes_with_env: as above.

    Raises:
        ConfigError: no engine, or two of one prompt.
    """

    def __init__(self, engines: Iterable[RewardEngine], *, lent: bool = False, closes_with_env: bool = False) -> None:
        self.closes_with_env = closes_with_env
        given = list(engines)
        self._engines = {engine.prompt: engine for engine in given}
        if not given or len(self._engines) < len(given):
            raise ConfigError(f"give engines of different prompts, got {[engine.prompt for engine in given]}")
        self._first = given[0]
        self._lent = given if lent else []

    def __getitem__(self, prompt: str) -> RewardEngine:
        return self._engines[prompt]

    def __iter__(self) -> Iterator[str]:
        return iter(self._engines)

    def __len__(self) -> int:
        return len(self._engines)

    @property
    def first(self) -> RewardEngine:
        """The engine that the others are made like."""
        return self._first

    def obtain(self, prompt: str) -> RewardEngine:
        """Returns the engine of a prompt; makes one with the settings and the scorer of the first if there is none.

        Raises:
            ConfigError: the prompt is no text, or blank.
        """
        if checked_prompt(prompt) not in self._engines:
            self._engines[prompt] = self._first.for_prompt(prompt)
        return self._engines[prompt]

    def metrics(self) -> dict[str, float]:
        """Returns the mean over the engines of each of `RewardEngine.metrics`, NaN where none has it yet."""
        rows = [engine.metrics() for engine in self.values()]
        known = {name: [row[name] for row in rows if not math.isnan(row[name])] for name in rows[0]}
        return {name: sum(values) / len(values) if values else math.nan for name, values in known.items()}

    def save(self, folder: str | Path) -> None:
        """Writes each engine to a file of its own, see `RewardEngine.save`, and an index of them."""
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        names = [f"engine-{i}.npz" for i in range(len(self))]
        for name, engine in zip(names, self.values(), strict=True):
            engine.save(folder / name)
        (folder / _INDEX).write_text(json.dumps(names), encoding="utf-8")

    @classmethod
    def load(
        cls,
        folder: str | Path,
        *,
        scorer: str | Scorer | None = None,
        device: str | None = None,
        mode: str | None = None,
    ) -> Self:
        """Returns the group that was saved; the arguments are those of `RewardEngine.load`.

        Raises:
            EngineError: not a folder that `save` wrote, or damaged, or of another version of the format, or with a
                scorer of your own that was not given.
        """
        first, *others = [Path(folder) / name for name in _read_index(Path(folder) / _INDEX)]
        engine = RewardEngine.load(first, scorer=scorer, device=device, mode=mode)
        shared = engine.scorer
        return cls([engine, *(RewardEngine.load(path, scorer=shared, device=device, mode=mode) for path in others)])

    def restore(self, folder: str | Path) -> None:
        """Has each engine take over what `save` wrote of that of its prompt, see `RewardEngine.restore`.

        Raises:
            EngineError: not a folder that `save` wrote, or a file of it cannot be taken over.
        """
        for name in _read_index(Path(folder) / _INDEX):
            path = Path(folder) / name
            self.obtain(prompt_of(path)).restore(path)

    def close(self) -> None:
        """Closes the engines, except those that were lent.

        Raises:
            EngineError: a worker thread failed, and its error was never raised; all engines are closed even so, and of
                several errors the first is raised.
        """
        errors = []
        for engine in self.values():
            if engine not in self._lent:
                try:
                    engine.close()
                except EngineError as error:
                    errors.append(error)
        if errors:
            raise errors[0]


def _read_index(path: Path) -> list[str]:
    """Returns the names of the engine files in a folder, which lie beside the index.

    Raises:
        EngineError: there is no index, or it is damaged.
    """
    try:
        names = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise EngineError(f"{path.parent} holds no {path.name}; give a folder that EngineGroup.save wrote") from error
    except ValueError as error:
        raise EngineError(f"{path} is no JSON ({error}); save the engines again") from error
    if not (
        isinstance(names, list) and names and all(isinstance(it, str) and it and it == Path(it).name for it in names)
    ):
        raise EngineError(f"{path} is no list of the engine files beside it, but {names!r}; save the engines again")
    return names
