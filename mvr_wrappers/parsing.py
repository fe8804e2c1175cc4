"""Strict reading of plain values into settings, with errors that name the place, the key and what to do."""

from __future__ import annotations

import dataclasses
import functools
import re
import typing
from collections.abc import Hashable, Mapping
from typing import Annotated, Any, ClassVar, TypeVar, cast

from pydantic import ConfigDict, Field, Strict, TypeAdapter, ValidationError

from mvr_wrappers.errors import ConfigError, nearest

# Strict: neither "64" nor True is taken for a number, nor 64.5 cut to 64. A whole number still serves as a float.
Int = Annotated[int, Strict()]
Float = Annotated[float, Strict()]
Bool = Annotated[bool, Strict()]
Count = Annotated[Int, Field(gt=0)]
Natural = Annotated[Int, Field(ge=0)]

STRICT = ConfigDict(extra="forbid", allow_inf_nan=False)

T = TypeVar("T")


class StrictFields:
    """Base of settings dataclasses: unknown keys, NaN and infinity are errors when `parse` reads them."""

    __slots__ = ()
    __pydantic_config__: ClassVar[ConfigDict] = STRICT


def parse(kind: type[T], values: Any, where: str) -> T:
    """Builds a settings dataclass from plain YAML-like values, strictly.

    Args:
        kind: a settings dataclass, or any dataclass made of them.
        values: mapping of field names to values.
        where: the key path `values` come from, such as "clip" or "registry.yaml: tasks.hammer-v3".

    Raises:
        ConfigError: an unknown key (nearest valid ones named), a missing key, or a value of the wrong type.
    """
    try:
        return cast(T, _adapter(cast(Hashable, kind)).validate_python(values))
    except ValidationError as error:
        raise ConfigError(_explain(kind, error, where)) from error


def merge(settings: T, changes: Mapping[str, Any] | T | None, where: str) -> T:
    """Returns `settings` with the fields named in `changes` replaced; a whole settings object replaces all.

    Args:
        settings: a settings dataclass.
        changes: the fields to replace, a settings object of the same kind, or None for no change.
        where: the key path `changes` come from, for errors.
    """
    if changes is None:
        return settings
    if isinstance(changes, type(settings)):
        return changes
    if not isinstance(changes, Mapping):
        raise ConfigError(f"{where} must be a mapping of settings, got {changes!r}")
    return parse(type(settings), {**dataclasses.asdict(settings), **changes}, where)  # type: ignore[call-overload]


@functools.cache
def _adapter(kind: Any) -> TypeAdapter[Any]:
    return TypeAdapter(kind)


def _explain(kind: type, error: ValidationError, where: str) -> str:
    """Turns pydantic's report into one sentence that names the place, the key and what to do."""
    first = error.errors()[0]
    path = [str(part) for part in first["loc"]]
    place = ".".join(part for part in (where, *path) if part)
    if first["type"] in ("unexpected_keyword_argument", "extra_forbidden"):
        valid = _fields_at(kind, path[:-1])
        near = nearest(path[-1], valid)
        return f"{place} is not a setting. Nearest valid keys: {near}. All: {', '.join(sorted(valid))}"
    if first["type"] in ("missing", "missing_argument"):
        return f"{place} is missing; add it"
    if first["type"] != "value_error":
        return f"{place}: {first['msg']}, got {first['input']!r}"
    # One of our own checks, which says what it got. Most begin with the name of the value: "clip.length is 0; ..."
    message = first["msg"].removeprefix("Value error, ")
    name = re.match(r"\w*", message)[0]  # type: ignore[index]  # it matches anything
    return place.removesuffix(name) + message if name and place.endswith(name) else f"{place}: {message}"


def _fields_at(kind: Any, path: list[str]) -> list[str]:
    """Names the fields of the settings found by walking `path` from `kind`."""
    for name in path:
        hint = typing.get_type_hints(kind)[name]
        kind = next((part for part in typing.get_args(hint) if dataclasses.is_dataclass(part)), hint)
    return [name for name in typing.get_type_hints(kind) if not name.startswith("_")]
