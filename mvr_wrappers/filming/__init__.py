"""Filming: physics states are recorded while an episode runs, and rendered beside the next one."""

from mvr_wrappers.filming.back_end import ensure_gl, explained
from mvr_wrappers.filming.llvm import load_triton

with explained():
    load_triton()  # before OpenGL, whoever starts it: every way to film goes through this module
    ensure_gl()  # before MuJoCo is imported, which reads the choice
    import mujoco as _mujoco  # noqa: F401  a back end that cannot start may already fail here

from mvr_wrappers.filming.access import StateFn
from mvr_wrappers.filming.episode import FilmedEpisode, film_episode
from mvr_wrappers.filming.filmed_env import FilmedEnv
from mvr_wrappers.filming.recorder import Recorder
from mvr_wrappers.filming.renderer import Renderer, film
from mvr_wrappers.filming.simulation import AnyEnv, GetMujoco, find_mujoco
from mvr_wrappers.rigs import Camera, CameraRig

__all__ = [
    "AnyEnv",
    "Camera",
    "CameraRig",
    "FilmedEnv",
    "FilmedEpisode",
    "GetMujoco",
    "Recorder",
    "Renderer",
    "StateFn",
    "ensure_gl",
    "film",
    "film_episode",
    "find_mujoco",
]
