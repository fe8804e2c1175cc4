"""What all subcommands of `mvr` print with."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from rich import get_console
from rich.markup import escape
from rich.progress import Progress

console = get_console()  # the process's own, which bars are drawn on: a line of another would be drawn into them


@contextmanager
def progress(work: str, episodes: int) -> Iterator[Callable[[], object]]:
    """Shows a bar while episodes are played, gone when they are over; yields what moves it on by one."""
    with Progress(console=console, transient=True) as bar:
        task = bar.add_task(f"{work}, {episodes} episodes", total=episodes)
        yield lambda: bar.advance(task)


def say(line: str) -> None:
    """Prints a line as it is, without markup and without wrapping."""
    console.print(escape(line), soft_wrap=True, highlight=False)


def say_files(*paths: Path) -> None:
    """Prints where files lie, one a line."""
    for path in paths:
        say(str(path))
