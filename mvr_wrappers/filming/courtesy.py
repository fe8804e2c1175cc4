"""Courtesy to other users of OpenGL in this thread: what was current before we filmed is current again afterwards."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress


@contextmanager
def current_context_kept() -> Iterator[None]:
    """Makes the EGL context that was current at the start current again at the end.

    dm_control remembers which context it made current last, and does not do so again before it draws: into ours, if
    that was left behind. Other back ends are not concerned; there dm_control draws in a thread of its own.
    """
    back_end = sys.modules.get("mujoco.egl")  # loaded with MuJoCo if it is the one chosen
    if back_end is None:
        yield
        return
    from OpenGL.error import Error

    egl = back_end.EGL
    context, display = egl.eglGetCurrentContext(), egl.eglGetCurrentDisplay()
    surfaces = egl.eglGetCurrentSurface(egl.EGL_DRAW), egl.eglGetCurrentSurface(egl.EGL_READ)
    try:
        yield
    finally:
        if context:
            with suppress(Error):  # it was one of ours, and is gone
                egl.eglMakeCurrent(display, *surfaces, context)
