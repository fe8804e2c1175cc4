"""The studio: a thread of its own, in which films are rendered while the simulation runs on."""

from __future__ import annotations

import os
import sys
import threading
import weakref
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from typing import Literal, TypeVar

import numpy as np
from numpy.typing import NDArray

from mvr_wrappers.clips import Moments
from mvr_wrappers.filming.back_end import works_in_threads
from mvr_wrappers.filming.gl import check_gl, release_idle
from mvr_wrappers.filming.recorder import Recorder
from mvr_wrappers.filming.renderer import Renderer, film_moments
from mvr_wrappers.rigs import Camera
from mvr_wrappers.stopwatch import Stopwatch

BACKLOG = 16  # films that wait at most: each holds a copy of its model

Value = TypeVar("Value")


class Studio:
    """Does one thing after the other in a thread, if OpenGL works in threads, and else at once.

    The thread has GL contexts of its own: what is current in the caller's, dm_control's for example, stays current.
    """

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1, "mvr-studio")
        self._room = threading.BoundedSemaphore(BACKLOG)
        self._checked = False
        self.between_films = threading.Lock()

    def submit(self, work: Callable[[], Value]) -> Future[Value]:
        """Has work done; waits while too much of it is waiting.

        Raises:
            RuntimeError: the interpreter is shutting down.
        """
        if not works_in_threads():
            done: Future[Value] = Future()
            done.set_result(work())
            return done
        self._room.acquire()
        try:
            return self._thread.submit(self._do, work)
        except RuntimeError:
            self._room.release()
            raise

    def check(self) -> None:
        """Makes sure that OpenGL starts here.

        Raises:
            FilmingError: it does not.
        """
        if not self._checked:
            self.submit(check_gl).result()
            self._checked = True

    def release(self) -> None:
        """Closes the GL contexts that nobody uses or keeps warm, once what waits is done."""
        with suppress(RuntimeError):  # they are closed at exit anyway
            self.submit(release_idle)

    def _do(self, work: Callable[[], Value]) -> Value:
        try:
            with self.between_films:
                return work()
        finally:
            self._room.release()


_studio = Studio()


def studio() -> Studio:
    """Returns this process's studio."""
    return _studio


class _Moment:
    """Holds the frames of one moment, uint8 (V, H, W, 3), once they are rendered."""

    __slots__ = ("__weakref__", "frames")

    frames: NDArray[np.uint8]


class Footage(Moments):
    """Frames that are rendered in the studio: those of moments that nobody keeps are not, or are freed.

    Args:
        moments: where the frames will be, in the order of time.
        done: what the studio is at; carries its error.
        waiting: sums up the time that is spent here waiting for frames.
    """

    __slots__ = ("_done", "_moments", "_waiting")

    def __init__(self, moments: Iterable[_Moment], done: Future[None], waiting: Stopwatch) -> None:
        super().__init__(())
        self._moments, self._done, self._waiting = tuple(moments), done, waiting

    @property
    def arrays(self) -> tuple[NDArray[np.uint8], ...]:
        """Waits for the frames and returns them: arrays uint8 (V, H, W, 3), RGB, upright, one a moment.

        Raises:
            FilmingError: OpenGL refused the model or the size.
        """
        self._waiting.time(self._done.result)
        return tuple(moment.frames for moment in self._moments)

    def part(self, rows: Iterable[int]) -> Footage:
        """Returns the footage of some of the moments, which keeps no others."""
        return Footage((self._moments[row] for row in rows), self._done, self._waiting)


def shoot(
    recorder: Recorder,
    times: Sequence[int] | NDArray[np.int64],
    cameras: Sequence[Camera],
    size: int | tuple[int, int],
    quality: Literal["fast", "full"],
    waiting: Stopwatch | None = None,
) -> Footage:
    """Has an episode filmed in the studio, beside what comes next.

    Args:
        recorder: of the episode; not used again.
        times: (T',), which of its states to render.
        cameras: the V views.
        size: pixels, (height, width) or one number for both.
        quality: as of `Renderer`.
        waiting: sums up the time that is spent waiting for frames.

    Returns:
        The footage of the T' moments.
    """
    looks, physics, moments = recorder.looks, recorder.physics, [_Moment() for _ in times]
    kept = list(zip(times, map(weakref.ref, moments), strict=True))

    def work() -> None:
        wanted = [(time, moment) for time, moment in kept if moment() is not None]
        if not wanted:
            return
        # A renderer holds tens of megabytes of meshes and textures: with many envs in a process each had better
        # not keep its own. What it uploaded stays, for whoever films the same next (`keep_warm`).
        with Renderer(looks.model, size, quality) as renderer:
            films = film_moments(renderer, physics, [time for time, _ in wanted], cameras, looks)
            for (_, wanted_by), frames in zip(wanted, films, strict=True):
                if (moment := wanted_by()) is not None:
                    moment.frames = frames

    waiting = waiting or Stopwatch()
    return Footage(moments, waiting.time(lambda: studio().submit(work)), waiting)


def _after_fork() -> None:
    """Makes a new studio: the thread of the old one did not survive the fork."""
    global _studio  # noqa: PLW0603 - a process has one
    _studio = Studio()


if sys.platform != "win32":  # which cannot fork
    # During a film the driver holds locks that nobody would give back in the child.
    os.register_at_fork(
        before=lambda: _studio.between_films.acquire(),  # noqa: PLW0108 - of whichever studio there is then
        after_in_parent=lambda: _studio.between_films.release(),  # noqa: PLW0108
        after_in_child=_after_fork,
    )
