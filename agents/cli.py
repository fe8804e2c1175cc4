"""The `mvr` command: finds the subcommand, runs it, and turns errors into one message and an exit code."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Sequence

from mvr_agents.extras import is_installed, require
from mvr_wrappers.errors import MVRError

USAGE_ERROR, INTERRUPTED = 2, 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command line.

    Args:
        arguments: what follows `mvr`; None takes those of the process.

    Returns:
        The exit code: 0 done, 1 the doctor found a problem, 2 an error that was explained, 130 interrupted.
    """
    warnings.formatwarning = _one_line
    try:
        require("the mvr command", "tyro", "rich")
        from mvr_agents.command.dispatch import run

        return run(sys.argv[1:] if arguments is None else list(arguments))
    except MVRError as error:
        _complain(str(error))
        return USAGE_ERROR
    except KeyboardInterrupt:
        _complain("interrupted")
        return INTERRUPTED


def _complain(message: str) -> None:
    if not is_installed("rich"):
        sys.stderr.write(f"mvr: {message}\n")
        return
    from rich.console import Console
    from rich.markup import escape

    Console(stderr=True, soft_wrap=True, highlight=False).print(f"[bold red]mvr:[/] {escape(message)}")


def _one_line(message: Warning | str, category: type[Warning], *where: object, **line: object) -> str:
    """Formats a warning for people who did not write the program: without the place in the source."""
    return f"warning: {message}\n"
