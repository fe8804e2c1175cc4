"""The studio: a thread of its own, in which films are rendered while the simulation runs on."""

from __future__ import annotations

import os
import sys
import threading
import time
import weakref
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

import numpy as np
from numpy.typing import NDArray

from mvr_wrappers.filming.back_end import works_in_threads
from mvr_wrappers.filming.gl import check_gl, release_idle
from mvr_wrappers.filming.recorder import Recorder
from mvr_wrappers.filming.renderer import Renderer, film
from mvr_wrappers.rigs import Camera

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


@dataclass(slots=True)
class Stopwatch:
    """Sums up wall time.

    Attributes:
        seconds: so far.
    """

    seconds: float = 0.0

    def time(self, work: Callable[[], Value]) -> Value:
        """Does it, and adds the time it takes."""
        began = time.perf_counter()
        value = work()
        self.seconds += time.perf_counter() - began
        return value


class Footage:
    """Frames of an episode. They are rendered in the studio; not at all if nobody keeps this object.

    Args:
        recorder: of the episode; not used again.
        times: (T',), which of its states to render.
        cameras: the V views.
        size: pixels, (height, width) or one number for both.
        quality: as of `Renderer`.
        waiting: sums up the time that is spent here waiting for frames.
    """

    __slots__ = ("__weakref__", "_frames", "_waiting")

    def __init__(
        self,
        recorder: Recorder,
        times: Sequence[int] | NDArray[np.int64],
        cameras: Sequence[Camera],
        size: int | tuple[int, int],
        quality: Literal["fast", "full"],
        waiting: Stopwatch | None = None,
    ) -> None:
        looks, physics, wanted = recorder.looks, recorder.physics, weakref.ref(self)

        def shoot() -> NDArray[np.uint8] | None:
            if wanted() is None:
                return None
            # A renderer holds tens of megabytes of meshes and textures: with many envs in a process each had better
            # not keep its own. What it uploaded stays, for whoever films the same next (`keep_warm`).
            with Renderer(looks.model, size, quality) as renderer:
                return film(renderer, physics, times, cameras, looks)

        self._waiting = waiting or Stopwatch()
        self._frames: Future[Any] = self._waiting.time(lambda: studio().submit(shoot))

    def frames(self) -> NDArray[np.uint8]:
        """Waits for the frames and returns them: uint8 (V, T', H, W, 3), RGB, upright.

        Raises:
            FilmingError: OpenGL refused the model or the size.
        """
        frames: NDArray[np.uint8] = self._waiting.time(self._frames.result)
        return frames


def _after_fork() -> None:
    """Makes a new studio: the thread of the old one did not survive the fork."""
    global _studio
    _studio = Studio()


if sys.platform != "win32":  # which cannot fork
    # Amid a film the driver holds locks that nobody would give back in the child.
    os.register_at_fork(
        before=lambda: _studio.between_films.acquire(),
        after_in_parent=lambda: _studio.between_films.release(),
        after_in_child=_after_fork,
    )
