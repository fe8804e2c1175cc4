from __future__ import annotations

import multiprocessing
import os
import subprocess
import sys
import threading
import weakref
from ctypes.util import find_library
from typing import Any

import mujoco
import pytest

from mvr_wrappers.errors import FilmingError
from mvr_wrappers.filming import Camera, FilmedEnv, Renderer, ensure_gl, gl
from mvr_wrappers.filming.studio import studio
from tests.support.known import of_type
from tests.support.marks import may_fork
from tests.support.paths import ROOT
from tests.support.tiny_env import TinyEnv

VIEW = Camera(distance=4.0, lookat=(0, 0, 0))
TINY = "from tests.support.tiny_env import TinyEnv; env = TinyEnv(); env.reset(seed=0);"
MEND = ("MUJOCO_GL=egl", "libegl1 libgl1-mesa-dri", "libosmesa6")


def run(code: str, **variables: str | None) -> subprocess.CompletedProcess[str]:
    """Runs code in a fresh interpreter; None removes an environment variable."""
    variables = {"MUJOCO_GL": None, "DISPLAY": None, "WAYLAND_DISPLAY": None, "PYOPENGL_PLATFORM": None, **variables}
    environment = {name: value for name, value in os.environ.items() if name not in variables}
    environment |= {name: value for name, value in variables.items() if value is not None}
    command = [sys.executable, "-W", "error", "-c", code]
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False, timeout=120)


def wait_for_films() -> None:
    studio().submit(lambda: None).result()


def frame_of(seed: int) -> Any:
    env = TinyEnv()
    env.reset(seed=seed)
    with Renderer(env.model, 32) as renderer:
        return renderer.render(env.data, VIEW)


@pytest.mark.parametrize(
    ("given", "display", "chosen"),
    [("", "", "egl"), ("", ":0", ""), ("osmesa", "", "osmesa"), ("off", "", "off"), ("EGL", "", "EGL")],
)
@pytest.mark.skipif(sys.platform != "linux", reason="only Linux needs the choice")
def test_headless_linux_gets_egl_unless_told_otherwise(
    monkeypatch: pytest.MonkeyPatch, given: str, display: str, chosen: str
) -> None:
    monkeypatch.setenv("MUJOCO_GL", given)
    monkeypatch.setenv("DISPLAY", display)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    ensure_gl()
    assert os.environ["MUJOCO_GL"] == chosen


@pytest.mark.parametrize(
    "code",
    [
        "r = Renderer(env.model, 16); r.render(env.data, Camera())",
        "r = [Renderer(env.model, size) for size in (16, 16, 24)]; del r[1]; r[0].render(env.data, Camera())",
        "import threading; t = threading.Thread(target=lambda: setattr(env, 'r', Renderer(env.model, 16))); "
        "r = Renderer(env.model, 16); t.start(); t.join()",
        "import mujoco; n = mujoco.Renderer(env.model, 16, 16); n.close(); r = Renderer(env.model, 16)",
        "f = FilmedEnv(env, clip={'length': 8}); f.reset(seed=0); [f.step([0, 1]) for _ in range(20)]; f.reset(); "
        "assert f.pop_clips(); f.step([0, 1])",
        "f = FilmedEnv(env, clip={'length': 8}); f.reset(seed=0); f.close()",
    ],
    ids=["renderer", "several", "thread", "mujoco", "env", "closed env"],
)
def test_nothing_is_said_at_exit_even_if_nobody_closes(code: str) -> None:
    done = run(f"from mvr_wrappers.filming import *; {TINY} {code}; print('done')")
    assert (done.returncode, done.stdout, done.stderr) == (0, "done\n", "")


def test_a_mujoco_imported_too_early_films_all_the_same() -> None:
    done = run(
        f"import mujoco; from mvr_wrappers.filming import *; {TINY} "
        "print(mujoco.GLContext.__module__, Renderer(env.model, 16).render(env.data, Camera()).any())"
    )
    assert (done.stdout, done.stderr) == ("mujoco.glfw True\n", "")


@pytest.mark.skipif(sys.platform != "linux", reason="EGL and OSMesa are Linux's")
@pytest.mark.parametrize(
    "variables",
    [
        {"MUJOCO_GL": "vulkan"},
        pytest.param(
            {"MUJOCO_GL": "osmesa"}, marks=pytest.mark.skipif(find_library("OSMesa") is not None, reason="is there")
        ),
        {"MUJOCO_GL": "off"},
        {"__EGL_VENDOR_LIBRARY_DIRS": "/nonexistent"},
        {"MUJOCO_GL": "egl", "PYOPENGL_PLATFORM": "glx"},
        {"MUJOCO_GL": "egl", "MUJOCO_EGL_DEVICE_ID": "99"},
    ],
    ids=lambda variables: "-".join(variables.values()),
)
def test_a_missing_back_end_is_explained_before_the_episode(variables: dict[str, str]) -> None:
    done = run(
        "from mvr_wrappers.errors import FilmingError\n"
        "try:\n"
        f"    from mvr_wrappers.filming import *; {TINY} FilmedEnv(env).reset(seed=0)\n"
        "except FilmingError as error: print(error)",
        **variables,
    )
    assert done.stderr == ""
    assert all(part in done.stdout for part in MEND), done.stdout


def film_in_child(connection: Any, generations: int) -> None:
    try:
        connection.send(frame_of(generations))
    except FilmingError as error:
        connection.send(str(error))
    if generations > 1:
        connection.send(fork_and_film(generations - 1))


def fork_and_film(generations: int) -> Any:
    here, there = multiprocessing.Pipe()
    child = multiprocessing.get_context("fork").Process(target=film_in_child, args=(there, generations))
    child.start()
    replies = [here.recv() if here.poll(60) else "hung" for _ in range(generations)]
    child.join()
    return replies if generations > 1 else replies[0]


@pytest.mark.skipif(sys.platform != "linux", reason="forks")
@may_fork
def test_a_forked_process_films_and_its_own_fork_says_what_to_do(capfd: pytest.CaptureFixture[str]) -> None:
    env = TinyEnv()
    env.reset(seed=2)
    with Renderer(env.model, 32) as renderer:  # OpenGL is running when the process forks
        expected = renderer.render(env.data, VIEW)
        child, grandchild = fork_and_film(2)
        assert (renderer.render(env.data, VIEW) == expected).all()
    assert not isinstance(child, str), child
    assert (child == expected).all()
    assert "forkserver" in grandchild
    assert capfd.readouterr().err == ""


def test_what_was_uploaded_is_used_again_while_an_env_that_filmed_is_open(monkeypatch: pytest.MonkeyPatch) -> None:
    uploads: list[Any] = []
    context = mujoco.MjrContext
    monkeypatch.setattr(mujoco, "MjrContext", lambda model, scale: uploads.append(model) or context(model, scale))
    envs = [FilmedEnv(TinyEnv(), clip={"length": 8, "film_every": 1, "image_size": 32}) for _ in range(2)]
    for env in envs:
        of_type(TinyEnv, env.unwrapped).model.geom_size[0] = 2.5  # a plane of no other test
    for _ in range(3):
        for env in envs:
            env.reset(seed=0)
            for _ in range(8):
                env.step(env.action_space.sample())
    wait_for_films()
    assert len(uploads) == 1
    of_type(TinyEnv, envs[0].unwrapped).model.geom_size[0] = 2  # another plane: the spare will not do
    envs[0].reset(seed=0)
    for _ in range(8):
        envs[0].step(envs[0].action_space.sample())
    envs[0].reset(seed=0)
    wait_for_films()
    assert len(uploads) == 2
    before = len(gl._process.contexts)
    envs[0].close()
    wait_for_films()
    assert len(gl._process.contexts) == before  # the other env keeps it warm
    envs[1].close()
    wait_for_films()
    assert (32, 32) not in [key[1:] for key in gl._process.contexts]


def test_a_context_that_two_threads_find_idle_is_closed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    closed: list[object] = []

    class Meanwhile:
        """A context that another thread takes out while this one looks whether it is idle."""

        key = (threading.current_thread(), 31, 31)

        @property
        def empty(self) -> bool:
            gl._process.contexts.pop(self.key)
            return True

        def close(self) -> None:
            closed.append(self)

    monkeypatch.setattr(gl._process, "warm", weakref.WeakSet())
    monkeypatch.setattr(gl._process, "contexts", {Meanwhile.key: Meanwhile()})
    gl.release_idle()
    assert closed == []
