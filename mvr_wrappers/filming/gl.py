"""The OpenGL context under every renderer: one a frame size, in each thread; gone before the interpreter is."""

from __future__ import annotations

import atexit
import os
import sys
import threading
import weakref
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from mvr_wrappers.errors import FilmingError
from mvr_wrappers.filming.back_end import OFF, REMEDY, chosen, ensure_gl, explained

_SURFACELESS_MESA = 0x31DD  # EGL_PLATFORM_SURFACELESS_MESA of EGL_MESA_platform_surfaceless
_FORKED = (
    "This process was forked from one in which OpenGL was already running, and the driver does not survive that. "
    'Start sub-processes by "forkserver" or "spawn", such as AsyncVectorEnv(..., context="forkserver") or '
    'SubprocVecEnv(..., start_method="forkserver").'
)

SPARES = 2  # a renderer holds up to two: simplified meshes and the model's own

_Key: TypeAlias = tuple[threading.Thread, int, int]  # thread, height, width; not the thread's id, which is used again


@dataclass(slots=True, eq=False)
class Resident:
    """Meshes and textures of a model on the graphics device.

    Attributes:
        context: the `MjrContext` that stands for them.
        content: digest of what was uploaded.
    """

    context: Any
    content: bytes


class SharedContext:
    """A GL context and the residents living in it. Belongs to the thread that made it.

    While anybody keeps OpenGL warm (see `keep_warm`), the residents evicted last stay as spares: the next model with
    the same meshes and textures is admitted without uploading them, which would take as long as dozens of frames.
    """

    __slots__ = ("_gl", "_orphans", "_residents", "_spares", "key")

    def __init__(self, thread: threading.Thread, height: int, width: int) -> None:
        """Starts the back end named by MUJOCO_GL.

        Raises:
            FilmingError: it does not start.
        """
        self.key = (thread, height, width)
        with explained():
            self._gl: Any = _back_end()(width, height)
        self._residents: list[Resident] = []
        self._orphans: list[Resident] = []
        self._spares: list[Resident] = []

    def make_current(self) -> None:
        """Directs the GL calls that follow to this context."""
        self._gl.make_current()
        while self._orphans:
            self.evict(self._orphans.pop())

    def admit(self, model: Any) -> Resident:
        """Uploads a model's meshes and textures, or takes a spare that holds the same.

        Raises:
            FilmingError: the driver refuses, for example frames of this size.
        """
        import mujoco

        from mvr_wrappers.filming.model_arrays import uploaded_content

        content = uploaded_content(model)
        for spare in self._spares:
            if spare.content == content:
                self._spares.remove(spare)
                self._residents.append(spare)
                return spare
        try:
            with explained("OpenGL refuses this model or frames of this size"):
                self.make_current()
                context = mujoco.MjrContext(model, mujoco.mjtFontScale.mjFONTSCALE_50)
        except FilmingError:
            release_idle()
            raise
        self._residents.append(resident := Resident(context, content))
        return resident

    def orphan(self, resident: Resident) -> None:
        """Marks a resident whose owner was garbage-collected, possibly in another thread or during a GL call.

        It is evicted at the next `make_current`, when that is safe.
        """
        self._orphans.append(resident)

    def evict(self, resident: Resident) -> None:
        """Makes a resident a spare, and frees the spares that are too many; this context must be current."""
        self._residents.remove(resident)
        self._spares.append(resident)
        while len(self._spares) > (SPARES if _process.warm else 0):
            self._spares.pop(0).context.free()

    @property
    def empty(self) -> bool:
        """Whether no living owner is left."""
        return len(self._residents) == len(self._orphans)

    def close(self) -> None:
        """Frees every resident, then the GL context.

        In another thread the GL context alone, which takes all it holds with it: it cannot be made current there.
        """
        if self.key[0] is threading.current_thread():
            self.make_current()
            for resident in (*self._residents, *self._spares):
                resident.context.free()
        self._gl.free()


@dataclass(slots=True)
class _Process:
    """What this process holds, and what a fork left in it."""

    contexts: dict[_Key, SharedContext] = field(default_factory=dict)
    inherited: list[SharedContext] = field(default_factory=list)
    inherited_display: bool = False
    surfaceless_used: bool = False
    warm: weakref.WeakSet[object] = field(default_factory=weakref.WeakSet)


_process = _Process()


def shared_context(height: int, width: int) -> SharedContext:
    """Returns this thread's context for frames of (height, width) pixels, starting it at its first use.

    Raises:
        FilmingError: OpenGL cannot start.
    """
    key = (threading.current_thread(), height, width)
    if key not in _process.contexts:
        ensure_gl()
        _process.contexts[key] = SharedContext(*key)
        # Registered after a context is made, hence after MuJoCo's own hook that ends the display: hooks run last in,
        # first out, so the contexts end before the display does.
        atexit.unregister(_close_all)
        atexit.register(_close_all)
    return _process.contexts[key]


def check_gl() -> None:
    """Makes sure that OpenGL starts in this process.

    Raises:
        FilmingError: it does not.
    """
    if not _process.contexts:
        shared_context(1, 1)
        release_idle()


def is_usable(context: SharedContext) -> bool:
    """Whether `context` works here: not closed, of this thread, and not left over from before a fork."""
    return context.key[0] == threading.current_thread() and _process.contexts.get(context.key) is context


def keep_warm(owner: object) -> None:
    """Keeps this process's GL contexts and the spares in them as long as `owner` lives and does not `let_cool`."""
    _process.warm.add(owner)


def let_cool(owner: object) -> None:
    """Takes `keep_warm` back; when the last owner does, the contexts that no renderer uses are closed."""
    _process.warm.discard(owner)
    release_idle()


def release_idle() -> None:
    """Closes the contexts none of whose residents has a living owner, unless somebody keeps them warm.

    Those of other threads are left to them while they live. Of several threads that find the same one idle, the thread
    that takes it out of the table closes it.
    """
    if _process.warm:
        return
    for context in list(_process.contexts.values()):
        thread = context.key[0]
        idle = context.empty and (thread is threading.current_thread() or not thread.is_alive())
        if idle and _process.contexts.pop(context.key, None) is not None:
            context.close()


def _close_all() -> None:
    while _process.contexts:
        _process.contexts.popitem()[1].close()


def _back_end() -> Any:
    """Returns the GLContext class MUJOCO_GL names now; `mujoco.GLContext` is what it named when MuJoCo was imported."""
    name = chosen()
    if name in OFF:
        raise FilmingError(f"MUJOCO_GL={name} switches rendering off, so nothing can be filmed. {REMEDY}")
    if sys.platform == "linux" and name == "egl":
        import mujoco.egl

        if _process.inherited_display:
            _open_own_display(mujoco.egl)
        return _quiet(mujoco.egl.GLContext)
    if _process.inherited:
        raise FilmingError(_FORKED)
    if sys.platform == "linux" and name == "osmesa":
        import mujoco.osmesa

        return _quiet(mujoco.osmesa.GLContext)
    import mujoco

    return mujoco.GLContext


def _quiet(back_end: type) -> type:
    """Gives MuJoCo's class a value that its `__del__` reads, and complains about the lack of, if `__init__` failed."""
    return type(back_end.__name__, (back_end,), {"_context": None})


def _open_own_display(egl: Any) -> None:
    """Gives a forked process a display of its own: the inherited one waits for threads that did not survive the fork.

    Mesa offers a second, independent display on its surfaceless platform. Other drivers may not.
    """
    if _process.surfaceless_used:
        raise FilmingError(_FORKED)
    display = egl.EGL.eglGetPlatformDisplayEXT(_SURFACELESS_MESA, None, None)
    if not display or not egl.EGL.eglInitialize(display, None, None):
        raise FilmingError(_FORKED)
    egl.EGL_DISPLAY = display
    _process.inherited_display, _process.surfaceless_used = False, True


def _after_fork() -> None:
    """Sets inherited contexts aside: kept, because freeing one would call the GL of another process."""
    _process.inherited.extend(_process.contexts.values())
    _process.contexts = {}
    egl = sys.modules.get("mujoco.egl")
    if egl is not None and egl.EGL_DISPLAY is not None:
        _process.inherited_display = True


if sys.platform != "win32":  # which cannot fork
    os.register_at_fork(after_in_child=_after_fork)
