"""The docstrings of whatever takes options, filled in from where the options are declared (`options.py`)."""

from __future__ import annotations

import dataclasses
import inspect
import re
from collections.abc import Callable, Collection, Iterator
from typing import Any, TypeVar

Documented = TypeVar("Documented", bound=Callable[..., Any])


def documented(settings: type, only: Collection[str] | None = None) -> Callable[[Documented], Documented]:
    """Returns a decorator that puts the descriptions of options where a docstring says `{options}`.

    Those that the docstring describes itself are left out.

    Args:
        settings: the dataclass that declares the options.
        only: the options to describe; None describes all.
    """

    def fill(door: Documented) -> Documented:
        doc = door.__doc__ or ""  # empty under python -OO
        for indent in re.findall(r"(?m)^( *)\{options\}$", doc):
            own = re.findall(rf"(?m)^{indent}(\w+): ", doc)
            shown = [
                indent + line
                for name, lines in _described(settings)
                for line in lines
                if name not in own and (only is None or name in only)
            ]
            door.__doc__ = doc.replace(indent + "{options}", "\n".join(shown))
        return door

    return fill


def _described(settings: type) -> Iterator[tuple[str, list[str]]]:
    """Yields the name and the lines of each of the "Attributes" of `settings` and of the dataclasses it inherits."""
    for kind in filter(dataclasses.is_dataclass, reversed(settings.__mro__)):
        attributes = inspect.cleandoc(kind.__doc__ or "").partition("Attributes:\n")[2]
        for entry in re.split(r"\n(?=    \w+: )", attributes):
            lines = [line.removeprefix("    ") for line in entry.rstrip().split("\n")]
            yield lines[0].partition(":")[0], lines
