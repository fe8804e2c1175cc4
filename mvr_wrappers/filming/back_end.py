"""Which OpenGL back end MuJoCo uses, and what an error says when it does not start."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from mvr_wrappers.errors import FilmingError

_VALUES = ("", "egl", "osmesa", "glfw", "glx", "cgl", "wgl", "enable", "enabled", "on", "true", "1")
OFF = ("disable", "disabled", "off", "false", "0")
"""Values of MUJOCO_GL that switch rendering off."""

REMEDY = (
    "On a machine without a display set MUJOCO_GL=egl and install a driver: `apt-get install libegl1 libgl1-mesa-dri` "
    "renders on the CPU, an NVIDIA driver brings its own EGL. Or `apt-get install libosmesa6` and MUJOCO_GL=osmesa. "
    "On a desktop leave MUJOCO_GL unset."
)


def ensure_gl() -> None:
    """Chooses EGL on Linux without a display, where MuJoCo's own choice (GLFW) cannot start.

    Does nothing when MUJOCO_GL is set. MuJoCo and PyOpenGL read the choice when they are imported.

    Raises:
        FilmingError: MUJOCO_GL has a value MuJoCo refuses.
    """
    name = chosen()
    if name not in _VALUES + OFF:
        raise FilmingError(f"MUJOCO_GL={name} names no OpenGL back end. {REMEDY}")
    headless = not os.environ.get("DISPLAY") and not os.environ.get("WAYLAND_DISPLAY")
    if sys.platform == "linux" and headless and not name:
        os.environ["MUJOCO_GL"] = "egl"


def chosen() -> str:
    """Returns what MUJOCO_GL says, in lower case; empty where it is not set."""
    return os.environ.get("MUJOCO_GL", "").lower().strip()


def works_in_threads() -> bool:
    """Whether the back end may be used by other threads than the main one: GLFW may not, and CGL was not tried."""
    ensure_gl()
    return sys.platform == "linux" and chosen() in ("egl", "osmesa")


@contextmanager
def explained(failure: str = "OpenGL cannot start") -> Iterator[None]:
    """Turns whatever a GL back end raises into a FilmingError that says what failed and what to do about it."""
    try:
        yield
    except FilmingError:
        raise
    except (ImportError, AttributeError, OSError, RuntimeError, ValueError) as error:
        raise FilmingError(_describe(failure, error)) from error
    except _driver_errors() as error:
        raise FilmingError(_describe(failure, error)) from error


def _describe(failure: str, error: Exception) -> str:
    return f"{failure} (MUJOCO_GL={chosen()!r}): {type(error).__name__}: {str(error).rstrip('.')}. {REMEDY}"


def _driver_errors() -> tuple[type[Exception], ...]:
    """Returns the exceptions of the GL libraries themselves, which derive from none of Python's."""
    import mujoco
    from OpenGL.error import Error

    return (mujoco.FatalError, Error)
