"""The process of one trial: `mvr` with the words after it, which ends when the process that started it does."""

from __future__ import annotations

import os
import sys
import threading

from mvr_agents.cli import INTERRUPTED, main


def _end_with_parent() -> None:
    """Waits until the other end of standard input is closed, which is never done on purpose."""
    while os.read(sys.stdin.fileno(), 1):
        pass
    os._exit(INTERRUPTED)  # at once, from this thread


if __name__ == "__main__":
    threading.Thread(target=_end_with_parent, daemon=True).start()
    sys.exit(main())
