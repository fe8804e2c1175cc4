"""ScorerChoice: the scorer an engine was asked for, loaded when it is first needed."""

from __future__ import annotations

from typing import Any

from mvr_wrappers.errors import ConfigError, UnknownNameError, nearest
from mvr_wrappers.options import EngineSettings
from mvr_wrappers.scorers import Scorer, load_scorer, scorer_names

_UNSET = {"weights": None, "dtype": "auto", "pooling": None, "compile": False}
"""Options of `load_scorer`, with the values at which a scorer decides by itself."""


class ScorerChoice:
    """A scorer, or the name of one and how it is to be loaded.

    Args:
        settings: the scorer's name, and options of loading it.
        scorer: a scorer given as an object, in place of a name.

    Attributes:
        name: the scorer's name.
        is_object: whether the scorer was given as an object.

    Raises:
        UnknownNameError: no scorer has that name.
        ConfigError: the object is no scorer, or would ignore an option of loading.
    """

    __slots__ = ("_options", "_scorer", "_settings", "is_object", "name")

    def __init__(self, settings: EngineSettings, scorer: object = None) -> None:
        self._settings = settings
        self._options: dict[str, Any] = {
            name: getattr(settings, name) for name, unset in _UNSET.items() if getattr(settings, name) != unset
        }
        self.is_object = scorer is not None
        self._scorer: Scorer | None = None
        if scorer is None:
            if settings.scorer not in scorer_names():
                near = nearest(settings.scorer, scorer_names())
                raise UnknownNameError(f"no scorer is called {settings.scorer!r}. Nearest: {near}")
            self.name = settings.scorer
            return
        if not isinstance(scorer, Scorer):
            raise ConfigError(f"scorer is {scorer!r}; give the name of one, or an object with the members of Scorer")
        if self._options:
            raise ConfigError(f"scorer is an object, which would ignore {', '.join(self._options)}; leave them out")
        self._scorer, self.name = scorer, scorer.name

    def get(self) -> Scorer:
        """Returns the scorer, loaded now if it was not."""
        if self._scorer is None:
            self._scorer = load_scorer(self.name, self._settings.device, **self._options)
        return self._scorer
