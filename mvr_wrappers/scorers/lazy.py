"""A scorer that is loaded when it first has to embed something."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mvr_wrappers.errors import ConfigError
from mvr_wrappers.scorers.base import Scorer, checked_dtype
from mvr_wrappers.scorers.checks import check_scorer
from mvr_wrappers.scorers.registry import check_options, load_scorer, prepared_image_size


class LazyScorer:
    """A scorer, or the name of one with what it is to be loaded with.

    Whatever can be told of the arguments without loading is checked at once.

    Args:
        scorer: a name that `load_scorer` knows, or a scorer.
        device: see `load_scorer`, as all that follow; they are for a scorer given by name.
        dtype: None is "auto".
        weights: local file or folder; None takes the scorer's own.
        options: of that scorer; those that are None count as not given.

    Raises:
        UnknownNameError: no scorer has that name.
        ConfigError: an option that the scorer does not have, or options beside a scorer that is there already.
        ScorerError: an object whose sizes are no whole numbers.
    """

    __slots__ = ("_device", "_dtype", "_given", "_options", "_scorer", "_weights", "name")

    def __init__(
        self,
        scorer: str | Scorer,
        device: str = "auto",
        dtype: str | None = None,
        weights: str | Path | None = None,
        **options: Any,
    ) -> None:
        given = {key: value for key, value in options.items() if value is not None}
        self._device, self._dtype, self._weights, self._options = device, dtype or "auto", weights, given
        self._given = self._scorer = None if isinstance(scorer, str) else scorer
        if isinstance(scorer, str):
            check_options(scorer, given)
            checked_dtype(self._dtype)
            self.name = scorer
            return
        if not isinstance(scorer, Scorer):
            raise ConfigError(f"scorer is {scorer!r}; give the name of one, or an object with the members of Scorer")
        beside = [*given, *(key for key, value in {"dtype": dtype, "weights": weights}.items() if value is not None)]
        if beside:
            raise ConfigError(
                f"{', '.join(beside)} would change nothing: scorer is an object, {scorer.name}, and loaded already. "
                "Give such options to load_scorer, or give the scorer's name"
            )
        check_scorer(scorer)
        self.name = scorer.name

    @property
    def source(self) -> str | Scorer:
        """What makes the same scorer again, with the same options: its name, or the object that was given."""
        return self.name if self._given is None else self._given

    @property
    def image_size(self) -> int:
        """Height and width in pixels of the frames it wants.

        Of the package's scorers with their own weights that is known, and nothing is loaded; but their files are
        brought to this machine, so that a missing one is told of before hours of training and not after. Weights of
        your own are loaded, as their size may be another.
        """
        known = None
        if self._scorer is None and self._weights is None:
            known = prepared_image_size(self.name, **self._options)
        return known or self.get().image_size

    def get(self) -> Scorer:
        """Returns the scorer, loaded now if it was not.

        Raises:
            ScorerError: it cannot be loaded, or states sizes that are no whole numbers.
        """
        if self._scorer is None:
            loaded = load_scorer(self.name, self._device, self._dtype, self._weights, **self._options)
            check_scorer(loaded)
            self._scorer = loaded
        return self._scorer
