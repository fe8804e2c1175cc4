"""Triton is loaded before OpenGL is started, whichever way frames are asked for: the other order kills the process."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.paths import ROOT

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux loads libraries so that they clash")

STAND_IN = """
import ctypes, os, sys
egl = sys.modules.get("mujoco.egl")
started = hasattr(ctypes.CDLL(None), "LLVMContextCreate") or (egl is not None and egl.EGL_DISPLAY is not None)
with open(os.environ["ORDER"], "a") as file:
    print(os.getpid(), "late" if started else "first", file=file)
"""
TINY = "from tests.support.tiny_env import TinyEnv; env = TinyEnv(); env.reset(seed=0)"
CLIP = "clip={'length': 4, 'stride': 4, 'frames': 2, 'film_every': 1, 'image_size': 16}"
EPISODE = "[env.step([0, 1]) for _ in range(40)]; env.reset()"
RENDERED_FIRST = f"{TINY}; import mujoco; mujoco.Renderer(env.model, 16, 16).render()"  # by code of the user
DOORS = {
    "FilmedEnv": f"from mvr_wrappers.filming import *; {TINY}; env = FilmedEnv(env, {CLIP}); env.reset(seed=0); "
    f"{EPISODE}; assert env.pop_clips()[0].frames.any()",
    "id": "import gymnasium as gym, tests.support.tiny_task; "
    f"env = gym.make('MVR/tiny', {CLIP}); env.reset(seed=0); {EPISODE}",
    "rendering base env": "import gymnasium as gym, mvr_wrappers; "
    "env = gym.make('MVR/Hopper-v5', shaping=False, render_mode='rgb_array'); env.reset(); assert env.render().any()",
    "own rendering of a wrapped env": "import gymnasium as gym; from mvr_wrappers import MultiViewVLMRewardWrapper; "
    "env = MultiViewVLMRewardWrapper(gym.make('Hopper-v5', render_mode='rgb_array'), prompt='a leg'); env.reset(); "
    "assert env.render().any()",
    "Renderer": f"from mvr_wrappers.filming import *; {TINY}; Renderer(env.model, 16).render(env.data, Camera())",
    "thread": f"from mvr_wrappers.filming import *; {TINY}; import threading; work = threading.Thread(target=lambda: "
    "Renderer(env.model, 16).render(env.data, Camera())); work.start(); work.join()",
    "film_episode": f"from mvr_wrappers.filming import *; {TINY}; film_episode(env, lambda _: [0, 1], size=16)",
    "mvr film": "import os, tests.support.tiny_task as task; from mvr_agents import cli; assert 0 == cli.main("
    "['film', f'{task.TASKS}:tiny', '--every', '20', '--outputs', os.environ['OUT']])",
    "spawned child": "from gymnasium.vector import AsyncVectorEnv; from mvr_wrappers.filming import FilmedEnv\n"
    f"def make():\n    from tests.support.tiny_env import TinyEnv\n    return FilmedEnv(TinyEnv(), {CLIP})\n"
    "env = AsyncVectorEnv([make], context='spawn'); env.reset(seed=0); [env.step([[0, 1]]) for _ in range(42)]; "
    "assert env.call('pop_clips')[0]; env.close()",
    "forked child": f"from mvr_wrappers.filming import *; {TINY}; import os; child = os.fork()\n"
    "if not child:\n    Renderer(env.model, 16).render(env.data, Camera())\n    import triton\n    os._exit(0)\n"
    "assert os.waitpid(child, 0)[1] == 0",
}


def run(code: str, **variables: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": f"{ROOT}:{os.environ.get('PYTHONPATH', '')}", "MUJOCO_GL": "egl"}
    command = [sys.executable, "-c", code]
    return subprocess.run(
        command, cwd=ROOT, env=environment | variables, capture_output=True, text=True, check=False, timeout=400
    )


@pytest.fixture
def stand_in(tmp_path: Path) -> dict[str, str]:
    """Variables under which a process finds a `triton` that notes whether OpenGL had been started before it."""
    (tmp_path / "triton.py").write_text(STAND_IN)
    paths = f"{tmp_path}:{ROOT}:{os.environ.get('PYTHONPATH', '')}"
    return {"PYTHONPATH": paths, "ORDER": str(tmp_path / "order"), "OUT": str(tmp_path / "outputs")}


@pytest.mark.parametrize("door", DOORS)
def test_triton_comes_first_through_every_door(door: str, stand_in: dict[str, str]) -> None:
    done = run(f"{DOORS[door]}\nimport triton  # as torch does for its first optimizer", **stand_in)
    assert done.returncode == 0, done.stderr
    order = dict(line.split() for line in Path(stand_in["ORDER"]).read_text().splitlines())  # by process
    assert set(order.values()) == {"first"}
    assert len(order) == (2 if door == "spawned child" else 1)


def test_importing_the_package_loads_no_triton(stand_in: dict[str, str]) -> None:
    done = run("import mvr_wrappers, mvr_agents", **stand_in)
    assert (done.returncode, done.stderr) == (0, "")
    assert not Path(stand_in["ORDER"]).exists()


@pytest.mark.parametrize("error", ["ImportError('no such symbol')", "RuntimeError('0 active drivers')"])
def test_a_broken_triton_is_logged_and_films_all_the_same(error: str, stand_in: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "triton.py").write_text(f"raise {error}")
    code = f"{DOORS['Renderer']}; from mvr_wrappers.filming.llvm import triton_state; print(triton_state())"
    done = run(code, **stand_in)
    assert (done.returncode, done.stdout) == (0, "broken\n"), done.stderr
    assert "triton cannot be imported" in done.stderr and error.partition("'")[2].rstrip("')") in done.stderr


def test_a_triton_that_would_come_too_late_is_hidden_and_the_log_says_so(stand_in: dict[str, str]) -> None:
    seen = (
        "from mvr_wrappers.filming.llvm import llvm_is_visible, triton_state; print(llvm_is_visible(), triton_state())"
    )
    done = run(f"{RENDERED_FIRST}; {DOORS['Renderer']}; {seen}", **stand_in)
    assert done.returncode == 0, done.stderr
    visible, state = done.stdout.split()
    if visible == "False":
        pytest.skip("OpenGL here brings no LLVM that others see")
    assert state == "hidden"
    assert not Path(stand_in["ORDER"]).exists()
    assert "hidden" in done.stderr and "before the first frame" in done.stderr


@pytest.mark.skipif(importlib.util.find_spec("triton") is None, reason="triton is not installed")
@pytest.mark.parametrize("first", ["", f"{RENDERED_FIRST}; "], ids=["in order", "rendered before"])
def test_an_optimizer_is_made_after_rendering(first: str) -> None:
    adamw = "import torch; torch.optim.AdamW(torch.nn.Linear(2, 2).parameters()); print('made')"
    done = run(f"{first}{DOORS['Renderer']}; {adamw}")
    assert (done.returncode, done.stdout) == (0, "made\n"), done.stderr  # -11: the two LLVMs met
