"""Sub-processes that die: an error that says which and how, where vector envs would wait for ever."""

from __future__ import annotations

import contextlib
import signal
import time
from collections.abc import Callable
from typing import Any

from mvr_wrappers.errors import WorkerError

CLOSE_SECONDS = 4.0
"""How long closing waits for processes that were killed."""


class Workers:
    """The sub-processes of a vector env and the pipes to them, one a sub-env.

    Args:
        env: the vector env itself, with `processes`.
        pipes: name of its attribute with the pipes.
        close: name of its method that ends the processes.
    """

    def __init__(self, env: Any, pipes: str, close: str) -> None:
        self._env, self._close = env, getattr(env, close)
        self._pipes = [_Pipe(pipe, self, number) for number, pipe in enumerate(getattr(env, pipes))]
        self._death: WorkerError | None = None
        setattr(env, pipes, type(getattr(env, pipes))(self._pipes))
        setattr(env, close, self.close)

    def check(self) -> None:
        """Raises again what was found: after it no pipe is in the state that the vector env takes it to be in."""
        if self._death is not None:
            raise self._death

    def death_of(self, number: int) -> WorkerError:
        """Returns the error that a process does not answer any more."""
        process = self._env.processes[number]
        process.join(1.0)  # its exit code is known a moment after its pipe closes
        code = process.exitcode
        how = "closed its pipe" if code is None else f"died (exit code {code})"
        if code is not None and code < 0:
            how = f"died ({signal.Signals(-code).name})"
        self._death = WorkerError(
            f"the process of sub-env {number} {how}: what it printed before says why; SIGKILL is most often the "
            "system's, which was out of memory"
        )
        return self._death

    def close(self, *args: Any, **kwargs: Any) -> None:
        """Closes the vector env as it does by itself, and at once where a process is dead."""
        if self._death is None:
            with contextlib.suppress(WorkerError):  # it died since it was asked last, and is not needed any more
                self._close(*args, **kwargs)
                return
        until = time.monotonic() + CLOSE_SECONDS
        for process in self._env.processes:
            process.kill()
        for process, pipe in zip(self._env.processes, self._pipes, strict=True):
            process.join(max(0.0, until - time.monotonic()))
            pipe.close()
        self._env.closed = True


class _Pipe:
    """A connection whose other end may be dead."""

    def __init__(self, pipe: Any, workers: Workers, number: int) -> None:
        self._pipe, self._workers, self._number = pipe, workers, number

    def __getattr__(self, name: str) -> Any:
        return getattr(self._pipe, name)

    def send(self, message: Any) -> None:
        self._do(self._pipe.send, message)

    def recv(self) -> Any:
        return self._do(self._pipe.recv)

    def _do(self, work: Callable[..., Any], *args: Any) -> Any:
        self._workers.check()
        try:
            return work(*args)
        except (EOFError, ConnectionError) as error:
            raise self._workers.death_of(self._number) from error


def guard_workers(env: Any, pipes: str, close: str) -> None:
    """Has a vector env raise `WorkerError` where one of its sub-processes has died, and close all the same.

    Args:
        env: the vector env itself; changed in place, once.
        pipes: name of its attribute with the pipes to the processes.
        close: name of its method that ends them.
    """
    if not isinstance(getattr(env, pipes)[0], _Pipe):
        Workers(env, pipes, close)
