"""The first Ctrl-C asks, the second interrupts, and the handler is put back."""

from __future__ import annotations

import signal
import threading

import pytest

from mvr_agents.runs.interrupt import signals_ignored, stop_on_signal


def test_the_first_asks_and_the_second_interrupts() -> None:
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt), stop_on_signal() as stop:  # noqa: PT012 - the last line raises
        assert not stop
        signal.raise_signal(signal.SIGINT)
        assert stop
        signal.raise_signal(signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is before


def test_inside_the_block_it_can_be_ignored() -> None:
    before = signal.getsignal(signal.SIGINT)
    with signals_ignored():
        signal.raise_signal(signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is before


def test_other_threads_are_never_asked_to_stop() -> None:
    seen: list[bool] = []

    def work() -> None:
        with stop_on_signal() as stop, signals_ignored():
            seen.append(bool(stop))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [False]
