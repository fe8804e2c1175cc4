"""Filming: physics states are recorded while an episode runs and rendered when it is over."""

from mvr_wrappers.filming.gl import ensure_gl, explained

with explained():
    ensure_gl()  # before MuJoCo is imported, which reads the choice
    import mujoco as _mujoco  # noqa: F401  a back end that cannot start may already fail here

from mvr_wrappers.filming.cameras import Camera, CameraRig
from mvr_wrappers.filming.renderer import Renderer, film

__all__ = ["Camera", "CameraRig", "Renderer", "ensure_gl", "film"]
