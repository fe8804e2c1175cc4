"""Every setting of the method, typed once: registry.yaml, keyword arguments and the command line share these.

Defaults are this package's; the `paper` preset of registry.yaml holds the published ones where they differ.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, TypeVar

from pydantic import ConfigDict, TypeAdapter, ValidationError

from mvr_wrappers.errors import ConfigError, nearest

Method = Literal["mvr"]


class _Strict:
    """Unknown keys are errors, and whole numbers are not silently cut from fractions."""

    __slots__ = ()
    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")


@dataclass(frozen=True, slots=True)
class ClipSettings(_Strict):
    """What is filmed (paper section 5.1).

    Attributes:
        length: states in a clip.
        stride: states between the starts of neighbouring clips.
        frames: frames a clip is filmed as.
        film_every: one episode of every `film_every` is filmed, beginning with the first.
        views: "random" films one view of the rig a filmed episode (paper), "all" films every view.
        image_size: height and width of a frame in pixels; None takes what the scorer wants.
        quality: "fast" renders without shadows, reflections and multisampling; "full" with all three.
    """

    length: int = 64
    stride: int = 16
    frames: int = 8
    film_every: int = 9
    views: Literal["random", "all"] = "random"
    image_size: int | None = None
    quality: Literal["fast", "full"] = "fast"

    def __post_init__(self) -> None:
        """Refuses sizes that cannot work."""
        _require_positive(self, "length", "stride", "frames", "film_every", "image_size")
        if self.frames > self.length:
            raise ConfigError(f"clip.frames is {self.frames}, more than clip.length {self.length}; lower frames")


@dataclass(frozen=True, slots=True)
class RelevanceSettings(_Strict):
    """How state relevance is learned (paper section 4.2 and appendix).

    Attributes:
        hidden: width of both layers of the state network h.
        tau: temperature of the relevance differences.
        beta: sharpness of the score differences.
        representation_weight: weight of the representation loss.
        learning_rate: of AdamW.
        weight_decay: of AdamW.
        pairs: clip pairs drawn a step.
        states_per_clip: states drawn from a clip to estimate its mean; None takes all of them (paper).
        standardise: feed h(s) with standardised states; False feeds raw states (paper).
        center_views: subtract each view's mean score before pairing and ranking; False is the paper.
        references: clips in the reference set (k).
        capacity: clips kept for training, the oldest leave first.
        holdout: share of clips kept for early stopping, at most 50 of them.
        steps_per_epoch: optimiser steps between two looks at the held-out loss.
        patience: epochs without improvement before an update stops.
        max_steps: optimiser steps of one update at most.
        min_total_steps: no early stopping before this many steps over all updates.
    """

    hidden: int = 512
    tau: float = 0.1
    beta: float = 100.0
    representation_weight: float = 1.0
    learning_rate: float = 5e-4
    weight_decay: float = 1e-3
    pairs: int = 256
    states_per_clip: int | None = 16
    standardise: bool = True
    center_views: bool = True
    references: int = 10
    capacity: int = 20_000
    holdout: float = 0.05
    steps_per_epoch: int = 50
    patience: int = 5
    max_steps: int = 1_000
    min_total_steps: int = 0

    def __post_init__(self) -> None:
        """Refuses values that cannot work."""
        _require_positive(
            self,
            *("hidden", "tau", "beta", "learning_rate", "pairs", "states_per_clip", "references"),
            *("capacity", "steps_per_epoch", "patience", "max_steps"),
        )
        _require_not_negative(self, "representation_weight", "weight_decay", "min_total_steps")
        if not 0 < self.holdout < 1:
            raise ConfigError(f"relevance.holdout is {self.holdout}; give a share between 0 and 1")


@dataclass(frozen=True, slots=True)
class RewardSettings(_Strict):
    """How relevance becomes reward (paper section 4.3).

    Attributes:
        baseline: "parity" subtracts log sigma(0), so a state as relevant as the references earns 0; "none" is the paper.
        rule: "additive" adds w r_vlm(s_t) (paper); "potential" adds w (gamma Phi(s_t+1) - Phi(s_t)), Phi = r_vlm.
        gamma: discount of the potential rule.
        bound: the shaping term is clipped to [-bound, bound]; None does not clip.
    """

    baseline: Literal["parity", "none"] = "parity"
    rule: Literal["additive", "potential"] = "additive"
    gamma: float = 0.99
    bound: float | None = 5.0

    def __post_init__(self) -> None:
        """Refuses values that cannot work."""
        _require_positive(self, "bound")
        if not 0 <= self.gamma <= 1:
            raise ConfigError(f"reward.gamma is {self.gamma}; give a discount in [0, 1]")


@dataclass(frozen=True, slots=True)
class ScheduleSettings(_Strict):
    """When the engine works, in environment steps counted over all sub-envs.

    Attributes:
        score_every: steps between two scorings of the clips filmed since.
        update_every: steps between two updates of the relevance model.
        max_clips: clips scored at one scoring at most; a random subset is scored when more were filmed.
        mode: "sync" works inside `advance` and repeats exactly for one seed; "async" works in one thread.
    """

    score_every: int = 10_000
    update_every: int = 50_000
    max_clips: int = 400
    mode: Literal["sync", "async"] = "sync"

    def __post_init__(self) -> None:
        """Refuses values that cannot work."""
        _require_positive(self, "score_every", "update_every", "max_clips")


def _section(settings: object) -> str:
    return type(settings).__name__.removesuffix("Settings").lower()


def _require_positive(settings: object, *names: str) -> None:
    for name in names:
        value = getattr(settings, name)
        if value is not None and not value > 0:
            raise ConfigError(f"{_section(settings)}.{name} is {value}; it must be greater than 0")


def _require_not_negative(settings: object, *names: str) -> None:
    for name in names:
        value = getattr(settings, name)
        if not value >= 0:
            raise ConfigError(f"{_section(settings)}.{name} is {value}; it must not be negative")


T = TypeVar("T")


def parse(kind: type[T], values: Any, where: str) -> T:
    """Builds a settings dataclass from plain YAML-like values, strictly.

    Args:
        kind: a settings dataclass, or any dataclass made of them.
        values: mapping of field names to values.
        where: what the error calls the source, such as a file name and a key.

    Raises:
        ConfigError: an unknown key (nearest valid ones named), a missing key, or a value of the wrong type.
    """
    try:
        return TypeAdapter(kind).validate_python(values)
    except ValidationError as error:
        raise ConfigError(_explain(kind, error, where)) from error


def merge(settings: T, changes: Mapping[str, Any] | T | None, where: str) -> T:
    """Returns `settings` with the fields named in `changes` replaced; a whole settings object replaces all."""
    if changes is None:
        return settings
    if isinstance(changes, type(settings)):
        return changes
    if not isinstance(changes, Mapping):
        raise ConfigError(f"{where} must be a mapping of settings, got {changes!r}")
    return parse(type(settings), {**dataclasses.asdict(settings), **changes}, where)  # type: ignore[call-overload]


def _explain(kind: Any, error: ValidationError, where: str) -> str:
    """Turns pydantic's report into one sentence that names the place, the key and the mend."""
    first = error.errors()[0]
    path = [str(part) for part in first["loc"]]
    place = f"{where}: {'.'.join(path)}" if path else where
    if first["type"] in ("unexpected_keyword_argument", "extra_forbidden"):
        valid = _fields_at(kind, path[:-1])
        return f"{place} is not a setting. Nearest valid keys: {nearest(path[-1], valid)}. All: {', '.join(sorted(valid))}"
    if first["type"] in ("missing", "missing_argument"):
        return f"{place} is missing; add it"
    message = first["msg"].removeprefix("Value error, ")
    return f"{place}: {message}, got {first['input']!r}"


def _fields_at(kind: Any, path: list[str]) -> list[str]:
    """Names the fields of the dataclass found by walking `path` from `kind`."""
    import typing

    for name in path:
        hint = typing.get_type_hints(kind).get(name)
        if hint is None or not dataclasses.is_dataclass(hint):
            break
        kind = hint
    return [field.name for field in dataclasses.fields(kind)]
