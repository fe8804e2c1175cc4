"""The space that a search tries: options of `mvr train`, each with a range or a list of values.

```yaml
weight: {low: 0.01, high: 1.0, log: true}
relevance.tau: [0.05, 0.1, 0.2]
gradient_steps: {low: 5, high: 40}     # whole numbers, as both ends are
```
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mvr_wrappers.errors import ConfigError
from mvr_wrappers.parsing import Bool, Float, Int, StrictFields, parse
from mvr_wrappers.tasks.files import read_yaml

if TYPE_CHECKING:
    from optuna.trial import Trial

Choice = str | float | int | bool | None


@dataclass(frozen=True, slots=True)
class Range(StrictFields):
    """Numbers from `low` to `high`, both included.

    Attributes:
        low: the least; a whole number at both ends makes all of them whole.
        high: the greatest.
        log: equally likely in each decade.
    """

    low: Int | Float
    high: Int | Float
    log: Bool = False

    def __post_init__(self) -> None:
        """Refuses what is no range."""
        if not self.low < self.high:
            raise ConfigError(f"low is {self.low} and high {self.high}; give a low below high")
        if self.log and self.low <= 0:
            raise ConfigError(f"low is {self.low}; with log it must be greater than 0")

    def suggest(self, trial: Trial, name: str) -> float:
        """Returns what a trial tries."""
        if isinstance(self.low, int) and isinstance(self.high, int):
            return trial.suggest_int(name, self.low, self.high, log=self.log)
        return trial.suggest_float(name, self.low, self.high, log=self.log)


@dataclass(frozen=True, slots=True)
class Choices:
    """Some values.

    Attributes:
        values: at least two.
    """

    values: tuple[Choice, ...]

    def suggest(self, trial: Trial, name: str) -> Choice:
        """Returns what a trial tries."""
        chosen: Choice = trial.suggest_categorical(name, self.values)
        return chosen


Space = Mapping[str, Range | Choices]
"""Option of `mvr train`, parts joined by points -> what is tried."""


def read_space(path: Path) -> Space:
    """Reads a space; whether its options exist is seen when a trial is made of it.

    Raises:
        ConfigError: no such file, or one that says something else; the key is named.
    """
    document = read_yaml(path)
    if not isinstance(document, dict) or not document:
        raise ConfigError(f"{path} holds no space: write options of `mvr train`, each with a range or a list of values")
    return {name: _part(value, f"{path}: {name}") for name, value in document.items()}


def _part(value: Any, where: str) -> Range | Choices:
    if isinstance(value, dict):
        return parse(Range, value, where)
    if not isinstance(value, list) or len(value) < 2 or not all(isinstance(item, Choice) for item in value):
        raise ConfigError(f"{where} is {value!r}; give {{low: ..., high: ..., log: true}} or a list of values")
    return Choices(tuple(value))
