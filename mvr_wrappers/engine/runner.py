"""JobRunner: does one job at a time, at once or in one thread."""

from __future__ import annotations

import logging
import threading
import weakref
from collections.abc import Callable
from concurrent.futures import Future
from queue import SimpleQueue

from mvr_wrappers.errors import EngineError

CLOSE_SECONDS = 4.0
"""How long `JobRunner.close` waits for a job under way."""

_Jobs = SimpleQueue[tuple[Callable[[], None], Future[None]] | None]

_log = logging.getLogger(__name__)


class JobRunner:
    """Runs jobs where they are started ("sync") or in one thread of its own ("async").

    The thread is started by the first job and ends with `close`, or with a runner that nobody holds any more, provided
    that the jobs do not hold the runner. It is a daemon: a job that never ends keeps nobody from leaving.

    Args:
        threaded: run jobs in the thread.
    """

    def __init__(self, threaded: bool) -> None:
        self._threaded = threaded
        self._jobs: _Jobs = SimpleQueue()
        self._thread: threading.Thread | None = None
        self._job: Future[None] | None = None
        self._raised = False
        weakref.finalize(self, self._jobs.put, None)

    def idle(self) -> bool:
        """Says whether a job may be started; never waits.

        Raises:
            EngineError: the last job failed in the thread; its error is the cause.
        """
        if self._job is not None and not self._job.done():
            return False
        self._raise_if_failed()
        return True

    def start(self, job: Callable[[], None]) -> None:
        """Does a job, or begins it in the thread, which must be idle."""
        if not self._threaded:
            job()
            return
        if self._thread is None:
            self._thread = threading.Thread(target=_serve, args=(self._jobs,), name="mvr-engine", daemon=True)
            self._thread.start()
        self._job = Future()
        self._jobs.put((job, self._job))

    def wait(self) -> None:
        """Waits for the job under way, and raises as `idle` does."""
        self.settle()
        self._raise_if_failed()

    def settle(self) -> None:
        """Waits for the job under way, whether it succeeds or fails."""
        if self._job is not None:
            self._job.exception()

    def close(self) -> None:
        """Ends the thread after the job under way; raises the last job's error unless it was raised before.

        A job that takes longer than `CLOSE_SECONDS` is left behind, with a warning in the log.
        """
        self._jobs.put(None)
        if self._thread is not None:
            self._thread.join(CLOSE_SECONDS)
            if self._thread.is_alive():
                _log.warning("the engine's thread is still at work, most likely in the scorer; it is left behind")
                return
        if not self._raised:
            self._raise_if_failed()

    def _raise_if_failed(self) -> None:
        error = None if self._job is None else self._job.exception()
        if error is not None:
            self._raised = True
            raise EngineError(
                f"the reward engine's worker thread failed with {error!r}; fix the cause, shown above, and go on from "
                "the last engine saved"
            ) from error


def _serve(jobs: _Jobs) -> None:
    """Does jobs until it is handed None."""
    while (next_ := jobs.get()) is not None:
        job, done = next_
        try:
            job()
        except BaseException as error:  # noqa: BLE001 - also an exit: whoever asks for the outcome hears of it
            done.set_exception(error)
        else:
            done.set_result(None)
        del next_, job, done  # a job holds an engine's model: not until the next one comes
