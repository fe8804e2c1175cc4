"""Frames out of physics states: uint8, RGB, upright."""

from __future__ import annotations

import weakref
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from types import TracebackType
from typing import Literal, Self

import mujoco
import numpy as np
from numpy.typing import NDArray

from mvr_wrappers.errors import ConfigError, FilmingError
from mvr_wrappers.filming import gl
from mvr_wrappers.filming.cameras import fit, place
from mvr_wrappers.filming.looks import Looks
from mvr_wrappers.filming.meshes import Simplified, simplify
from mvr_wrappers.filming.recorder import restore
from mvr_wrappers.rigs import Camera

MAX_GEOMS = 10_000
_FLAGS = (mujoco.mjtRndFlag.mjRND_SHADOW, mujoco.mjtRndFlag.mjRND_REFLECTION)


class Renderer:
    """Renders one model at one size. Use it as a context manager, or call `close`.

    All renderers of one size share one OpenGL context; a renderer belongs to the thread that made it. Neither the model
    nor the data is changed by rendering.

    Args:
        model: the model to film. Meshes and textures are uploaded here, everything else is read frame by frame.
        size: pixels, height and width or one number for both. May exceed the model's offscreen buffer.
        quality: "full" renders with the model's multisampling, shadows and reflections; "fast" without, and dense
            meshes with fewer faces where the difference is below a pixel or so.

    Raises:
        ConfigError: a size that is not positive, or an unknown quality.
        FilmingError: OpenGL cannot start.
    """

    def __init__(
        self, model: mujoco.MjModel, size: int | tuple[int, int], quality: Literal["fast", "full"] = "fast"
    ) -> None:
        self.model = model
        self.height, self.width = (size, size) if isinstance(size, int) else size
        if self.height <= 0 or self.width <= 0:
            raise ConfigError(f"frames of {self.height} x {self.width} pixels; give a size greater than 0")
        if quality not in ("fast", "full"):
            raise ConfigError(f"quality is {quality!r}; give 'fast' or 'full'")
        self._rectangle = mujoco.MjrRect(0, 0, self.width, self.height)
        self._options = mujoco.MjvOption()
        self._scene = mujoco.MjvScene(model, MAX_GEOMS)
        for flag in _FLAGS:
            self._scene.flags[flag] = quality == "full"
        self._gl = gl.shared_context(self.height, self.width)
        # Half a pixel of a picture that the model fills; see `_is_coarse_enough` for cameras that come closer.
        cell = model.stat.extent / min(self.height, self.width) / 2
        self._lean = simplify(model, cell) if quality == "fast" else None
        self._quality = quality
        self._residents: dict[bool, gl.Resident] = {}  # of the simplified meshes, and of the model's own
        self._context(lean=self._lean is not None)
        self._pixels = np.empty((self.height, self.width, 3), np.uint8)
        self._finalizer = weakref.finalize(self, _orphan, self._gl, self._residents)
        self._finalizer.atexit = False  # the contexts end in a hook of their own, while OpenGL still stands

    def render(self, data: mujoco.MjData, camera: Camera, out: NDArray[np.uint8] | None = None) -> NDArray[np.uint8]:
        """Renders one view of the state in `data`.

        Args:
            data: a state of the model, after `mj_forward`.
            camera: the view.
            out: uint8 (H, W, 3) to write to; None makes a new array.

        Returns:
            uint8 (H, W, 3), RGB, upright: `out` if it was given.

        Raises:
            FilmingError: the renderer is closed.
            UnknownNameError: the model lacks the camera or the body.
        """
        if self.closed:
            raise FilmingError("this renderer is closed, or was made in another thread or process; make a new one")
        placed = place(camera, self.model, data)
        mujoco.mjv_updateScene(
            self.model, data, self._options, None, placed, mujoco.mjtCatBit.mjCAT_ALL.value, self._scene
        )
        context = self._context(self._lean is not None and self._is_coarse_enough(data, self._lean))
        self._gl.make_current()
        mujoco.mjr_setBuffer(mujoco.mjtFramebuffer.mjFB_OFFSCREEN, context)
        mujoco.mjr_render(self._rectangle, self._scene, context)
        mujoco.mjr_readPixels(self._pixels, None, self._rectangle, context)
        out = np.empty_like(self._pixels) if out is None else out
        out[:] = self._pixels[::-1]  # OpenGL counts rows from the bottom
        return out

    @property
    def closed(self) -> bool:
        """Whether `render` would refuse: after `close`, in another thread, or in a process forked since."""
        return not self._finalizer.alive or not gl.is_usable(self._gl)

    def close(self) -> None:
        """Frees what this renderer holds on the graphics device; calling it again does nothing."""
        if self.closed:
            self._finalizer()  # nothing to free here; what another thread holds is freed when that thread next renders
            return
        self._finalizer.detach()
        self._gl.make_current()
        while self._residents:
            self._gl.evict(self._residents.popitem()[1])
        gl.release_idle()

    def _context(self, lean: bool) -> mujoco.MjrContext:
        """Returns what was uploaded of the model, with simplified meshes or its own, uploading it at the first use."""
        if lean not in self._residents:
            model = self._lean.model if lean and self._lean is not None else self.model
            with _buffer_settings(model, self.height, self.width, self._quality):
                self._residents[lean] = self._gl.admit(model)
        return self._residents[lean].context

    def _is_coarse_enough(self, data: mujoco.MjData, lean: Simplified) -> bool:
        """Whether a pixel of the view in the scene spans half a cell or more at the nearest simplified mesh."""
        camera = self._scene.camera[0]
        distances = np.linalg.norm(data.geom_xpos[lean.geoms] - camera.pos, axis=1) - self.model.geom_rbound[lean.geoms]
        near = 1.0 if camera.orthographic else distances.min() / camera.frustum_near
        height = camera.frustum_top - camera.frustum_bottom
        return bool(near * height / self.height >= lean.cell / 2)

    def __enter__(self) -> Self:
        """Returns itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Closes."""
        self.close()


def film(
    renderer: Renderer,
    physics: NDArray[np.float64],
    times: Sequence[int] | NDArray[np.int64],
    cameras: Sequence[Camera],
    looks: Looks | None = None,
) -> NDArray[np.uint8]:
    """Renders recorded physics states, each once a view.

    Args:
        renderer: of the model the states were recorded from; of `looks.model` if `looks` are given.
        physics: float64 (T, P), what `Recorder.physics` holds.
        times: (T',), which of them to render.
        cameras: the V views.
        looks: how the model looked at those times; None takes it as it is.

    Returns:
        uint8 (V, T', H, W, 3), RGB, upright.
    """
    frames = np.empty((len(cameras), len(times), renderer.height, renderer.width, 3), np.uint8)
    for i, moment in enumerate(film_moments(renderer, physics, times, cameras, looks)):
        frames[:, i] = moment
    return frames


def film_moments(
    renderer: Renderer,
    physics: NDArray[np.float64],
    times: Iterable[int],
    cameras: Sequence[Camera],
    looks: Looks | None = None,
) -> Iterator[NDArray[np.uint8]]:
    """Does what `film` does, one moment after the other: yields an array (V, H, W, 3) of its own for each."""
    model = renderer.model
    data = mujoco.MjData(model)
    fitted = [fit(camera, model) for camera in cameras]
    for time in times:
        if looks is not None:
            looks.restore(time)
        restore(model, data, physics[time])
        frames = np.empty((len(cameras), renderer.height, renderer.width, 3), np.uint8)
        for v, camera in enumerate(fitted):
            renderer.render(data, camera, out=frames[v])
        yield frames


def _orphan(context: gl.SharedContext, residents: dict[bool, gl.Resident]) -> None:
    while residents:
        context.orphan(residents.popitem()[1])


@contextmanager
def _buffer_settings(model: mujoco.MjModel, height: int, width: int, quality: str) -> Iterator[None]:
    """Gives the model the buffer sizes an `MjrContext` of this size and quality reads, and takes them back."""
    screen, buffers = model.vis.global_, model.vis.quality
    kept = screen.offheight, screen.offwidth, buffers.offsamples, buffers.shadowsize
    screen.offheight, screen.offwidth = height, width
    if quality == "fast":
        buffers.offsamples = buffers.shadowsize = 0
    try:
        yield
    finally:
        screen.offheight, screen.offwidth, buffers.offsamples, buffers.shadowsize = kept
