"""What a test knows of a value and the value's declared type does not say: asserted, so that the checker knows too."""

from __future__ import annotations

from typing import TypeVar

Value = TypeVar("Value")


def present(value: Value | None) -> Value:
    """Returns a value that is not None."""
    assert value is not None
    return value


def of_type(kind: type[Value], value: object) -> Value:
    """Returns a value that is of this type."""
    assert isinstance(value, kind)
    return value
