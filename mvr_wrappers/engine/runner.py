"""JobRunner: does one job at a time, at once or in one thread."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor

from mvr_wrappers.errors import EngineError


class JobRunner:
    """Runs jobs where they are started ("sync") or in one thread of its own ("async").

    The thread is started by the first job and joined by `close`, at the latest when the interpreter exits. A runner
    that nobody holds any more takes its thread along, provided that the jobs do not hold the runner.

    Args:
        threaded: run jobs in the thread.
    """

    def __init__(self, threaded: bool) -> None:
        self._threaded = threaded
        self._thread: ThreadPoolExecutor | None = None
        self._job: Future[None] | None = None
        self._raised = False

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
            self._thread = ThreadPoolExecutor(1, thread_name_prefix="mvr-engine")
        self._job = self._thread.submit(job)

    def wait(self) -> None:
        """Waits for the job under way, and raises as `idle` does."""
        self.settle()
        self._raise_if_failed()

    def settle(self) -> None:
        """Waits for the job under way, whether it succeeds or fails."""
        if self._job is not None:
            self._job.exception()

    def close(self) -> None:
        """Waits for the job under way and ends the thread; raises the last job's error unless it was raised before."""
        if self._thread is not None:
            self._thread.shutdown(wait=True)
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
