"""Ctrl-C and SIGTERM as requests: the first asks a run to stop and keep what it has, the second ends it at once."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

SIGNALS = (signal.SIGINT, signal.SIGTERM)
"""Ctrl-C, and what Slurm, Docker, Kubernetes and systemd end a process with."""


class StopRequest:
    """Becomes true at the first signal."""

    __slots__ = ("_asked",)

    def __init__(self) -> None:
        self._asked = False

    def __bool__(self) -> bool:
        return self._asked

    def ask(self) -> None:
        """Asks the run to stop."""
        self._asked = True


@contextmanager
def stop_on_signal() -> Iterator[StopRequest]:
    """Turns the first of `SIGNALS` inside the block into a `StopRequest`; the second does what it does elsewhere.

    A second Ctrl-C raises KeyboardInterrupt, a second SIGTERM ends the process. Only the main thread receives signals;
    in any other the request simply never comes.
    """
    request = StopRequest()
    if threading.current_thread() is not threading.main_thread():
        yield request
        return

    def handle(number: int, frame: FrameType | None) -> None:
        request.ask()
        signal.signal(signal.SIGINT, signal.default_int_handler)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)

    before = {number: signal.signal(number, handle) for number in SIGNALS}
    try:
        yield request
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def signals_ignored() -> Iterator[None]:
    """Ignores `SIGNALS` inside the block; processes started there ignore them for good, and leave them to their parent.

    They end when it does: their pipes to it close.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, signal.SIG_IGN) for number in SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
