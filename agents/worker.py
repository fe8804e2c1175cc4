"""The process of one trial: `mvr` with the words after it, which ends when the process that started it does."""

from __future__ import annotations

import os
import sys
import threading

from mvr_agents.cli import INTERRUPTED, main


def end_with_parent() -> None:
    """Has this process end at once when the other end of its standard input is closed, by its parent's end."""
    threading.Thread(target=_wait, daemon=True).start()


def _wait() -> None:
    while os.read(sys.stdin.fileno(), 1):
        pass
    os._exit(INTERRUPTED)  # at once, from this thread


if __name__ == "__main__":
    end_with_parent()
    sys.exit(main())
