"""What is changed in HumanoidBench so that it runs on today's MuJoCo and Gymnasium: each change with its reason.

HumanoidBench was written for MuJoCo 3.1.6 and Gymnasium 0.29.1. Nothing is changed on disk, nothing before one of its
tasks is made, and each change looks first whether it is still called for.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np


def load() -> None:
    """Imports HumanoidBench, which registers its ids, and applies the patches. Calling it again changes nothing.

    Raises:
        ModuleNotFoundError: HumanoidBench or dm_control is not installed.
    """
    with _jax_on_demand():
        importlib.import_module("humanoid_bench")
    env: Any = importlib.import_module("humanoid_bench.env")
    _drop_absent_fields(importlib.import_module("humanoid_bench.dmc_deps.dmc_sizes").array_sizes)
    _load_renamed_defaults(env.HumanoidEnv)
    _take_a_camera_a_call(env.HumanoidEnv)
    _open_viewers_late(env.HumanoidEnv)


def name_free_joint(env: Any) -> None:
    """Lets `truck` find the robot's free joint as `free_base`: that of the G1 alone has another name."""
    slices = env.named.data.qpos.axes.row._names_to_slices
    if "floating_base_joint" in slices:
        slices.setdefault("free_base", slices["floating_base_joint"])


class _OnDemand(ModuleType):
    """Stands for a module that is imported when, later, something is asked of it."""

    def __getattr__(self, name: str) -> Any:
        if sys.modules.get(self.__name__) is self:  # still standing in: it would ask itself
            raise AttributeError(name)
        return getattr(importlib.import_module(self.__name__), name)


@contextmanager
def _jax_on_demand() -> Iterator[None]:
    """Keeps the import of HumanoidBench from importing JAX.

    It does so for a converter of Flax weights that no env calls. JAX is large, need not be installed, and runs threads,
    with which a process cannot safely fork the sub-envs of a vector. The converter still finds it.
    """
    if "jax" in sys.modules:
        yield
        return
    stand_ins = {name: _OnDemand(name) for name in ("jax", "jax.numpy")}
    vars(stand_ins["jax"])["numpy"] = stand_ins["jax.numpy"]
    sys.modules.update(stand_ins)
    try:
        yield
    finally:
        for name in stand_ins:
            del sys.modules[name]


def _drop_absent_fields(array_sizes: dict[str, dict[str, Any]]) -> None:
    """Removes from the table of MuJoCo's arrays those that the installed MuJoCo does not have.

    The table is that of MuJoCo 3.1.6, and each of its arrays is read when an env is made. Newer versions lack
    `flex_xvert0` and `tex_rgb` of the model and `qLDiagSqrtInv` of the data, which no task uses.
    """
    import mujoco

    for struct, kind in (("mjmodel", mujoco.MjModel), ("mjdata", mujoco.MjData)):
        for field in array_sizes[struct].keys() - set(dir(kind)):
            del array_sizes[struct][field]


_KETTLE = {
    "kettle_asset.xml": ('<default class="kettle">', "<default>"),
    "kettle_chain.xml": ('childclass="kettle"', 'childclass="main"'),
}
"""File of the kitchen -> what to replace there: the main class of defaults under the name it is renamed to."""


def _load_renamed_defaults(env_class: Any) -> None:
    """Makes the kitchen load: it renames the main class of defaults, which MuJoCo refuses since 3.2.

    Under its own name it gives the model that MuJoCo 3.1.6 makes of the kitchen. Scenes that load as they are do so.
    """
    plain = env_class._initialize_simulation
    if plain.__name__ == "initialize_simulation":
        return

    def initialize_simulation(self: Any) -> tuple[Any, Any]:
        import mujoco

        try:
            return plain(self)  # type: ignore[no-any-return]
        except ValueError as error:
            if "cannot be renamed" not in str(error):
                raise
        assets = Path(self.fullpath).parents[1]
        fixed = {
            name: next(assets.glob(f"kitchen/adept_models/kitchen/**/{name}")).read_text("utf-8").replace(old, new)
            for name, (old, new) in _KETTLE.items()
        }
        model = mujoco.MjModel.from_xml_path(self.fullpath, {name: text.encode() for name, text in fixed.items()})
        screen = model.vis.global_  # as Gymnasium does: large enough for what render() is asked for
        screen.offwidth, screen.offheight = max(screen.offwidth, self.width), max(screen.offheight, self.height)
        return model, mujoco.MjData(model)

    env_class._initialize_simulation = initialize_simulation


def _take_a_camera_a_call(env_class: Any) -> None:
    """Lets `render()` and the image sensors choose a camera at each call, which Gymnasium 1 takes at construction."""
    if "mujoco_renderer" in vars(env_class):
        return

    def set_renderer(env: Any, renderer: Any) -> None:
        env.__dict__["_renderer"] = _CameraACall(renderer)

    env_class.mujoco_renderer = property(lambda env: env.__dict__["_renderer"], set_renderer)


def _open_viewers_late(env_class: Any) -> None:
    """Opens the viewer of an env when it first renders; HumanoidBench does when it makes an env with a render mode.

    A viewer holds all meshes of a model in an OpenGL context of its own: with software rendering a gigabyte, in each of
    the envs that SB3's `make_vec_env` makes, which asks for a render mode unless told otherwise.
    """
    if "viewer" in vars(env_class):
        return

    def set_viewer(env: Any, viewer: Any) -> None:
        """Takes no note of what the constructor opened: `mujoco_renderer` keeps it."""

    env_class.viewer = property(lambda env: env.mujoco_renderer._get_viewer(env.render_mode), set_viewer)


class _CameraACall:
    """A `MujocoRenderer` of Gymnasium 1 that is called like one of 0.29."""

    def __init__(self, renderer: Any) -> None:
        self._renderer = renderer

    def __getattr__(self, name: str) -> Any:
        return getattr(self._renderer, name)

    def render(self, render_mode: str, camera_id: int | None = None, camera_name: str | None = None) -> Any:
        """Renders from the camera named, else from that of the env."""
        import mujoco

        renderer = self._renderer
        viewer = renderer._get_viewer(render_mode)
        viewer.make_context_current()  # filming may have used another context since
        for marker in viewer._markers:  # HumanoidBench gives a radius, Gymnasium 1 wants three
            marker["size"] = np.broadcast_to(marker["size"], 3).astype(np.float64)
        own = renderer.camera_id
        if camera_name is not None:
            camera_id = mujoco.mj_name2id(renderer.model, mujoco.mjtObj.mjOBJ_CAMERA, camera_name)
        renderer.camera_id = own if camera_id is None else camera_id
        try:
            return renderer.render(render_mode)
        finally:
            renderer.camera_id = own
