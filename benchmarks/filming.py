"""What filming costs, on Meta-World's hammer-v3 at 224 pixels: tables in Markdown.

    OMP_NUM_THREADS=1 python benchmarks/filming.py [--rounds 3] [--result benchmarks/results/filming.md]

Four questions: how many frames a second there are; what simplified meshes change; how much longer an episode takes
because it is filmed; and whether envs in processes of their own film side by side. Variants take turns, round by
round, so that whatever else the machine does falls on all of them; figures are medians over the rounds. Wall time is
what a user waits for; CPU time counts all threads of the process, those of the OpenGL driver included, and suffers
less from other work on the machine. Needs the extra `metaworld`; takes about three minutes.
"""

from __future__ import annotations

import argparse
import dataclasses
import functools
import itertools
import os
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from unittest import mock

import gymnasium as gym
import mujoco
import numpy as np
from gymnasium.vector import AsyncVectorEnv, SyncVectorEnv

from mvr_agents.runs.provenance import made_with
from mvr_wrappers import CameraRig, get_task
from mvr_wrappers.clips import Clip
from mvr_wrappers.envs.task_env import make_task_env
from mvr_wrappers.filming import FilmedEnv, Recorder, Renderer, film, find_mujoco

SIZE, EPISODE = 224, 500
VIEWS, ENVS = (1, 2, 4), (1, 8)
FRAMES = 8  # states filmed in one measurement, over all envs
PROCESSES = 2

Seconds = tuple[float, float]  # wall, CPU


def main() -> None:
    """Prints the tables."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--result", type=Path, help="file to write to besides")
    args = parser.parse_args()
    origin = made_with("metaworld")
    tables = (rates(args.rounds), meshes(args.rounds), parts(), schedule(args.rounds), processes(args.rounds))
    threads = os.environ.get("LP_NUM_THREADS", "the default")
    head = (
        f"# Filming\n\n{origin}; `OMP_NUM_THREADS=1 python benchmarks/filming.py --rounds {args.rounds}`; "
        f"{gl_name()}, LP_NUM_THREADS {threads}. hammer-v3, {SIZE} pixels.\n"
    )
    text = "\n".join((head, *tables))
    print(text)
    if args.result:
        args.result.write_text(text)


def make_env() -> gym.Env[Any, Any]:
    """Returns the bare env."""
    return make_task_env(get_task("hammer-v3"))


def rig() -> CameraRig:
    """Returns the four views of the task."""
    return CameraRig.from_config(get_task("hammer-v3").rig or {})


def gl_name() -> str:
    """Returns what draws."""
    env = make_env()
    env.reset(seed=0)
    with Renderer(find_mujoco(env)[0], 16) as renderer:
        renderer.render(find_mujoco(env)[1], rig().views[0])
        from OpenGL import GL  # binds to the back end that MuJoCo has chosen by now

        name: bytes = GL.glGetString(GL.GL_RENDERER)
    return name.decode()


def clocked(work: Callable[[], object]) -> Seconds:
    """Returns the seconds that `work` takes."""
    wall, cpu = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - wall, time.process_time() - cpu


def repeat(work: Callable[[], object], times: int) -> None:
    """Does it again and again."""
    for _ in range(times):
        work()


def take_turns(variants: Mapping[Any, Callable[[], object]], rounds: int) -> dict[Any, Seconds]:
    """Returns the median seconds of each variant, after a round that does not count."""
    seconds = [{key: clocked(work) for key, work in variants.items()} for _ in range(rounds + 1)][1:]
    return {key: tuple(np.median([one[key] for one in seconds], axis=0).tolist()) for key in variants}


def table(columns: str, rows: list[tuple[object, ...]]) -> str:
    """Returns a table in Markdown."""
    names = [name.strip() for name in columns.split("|")]
    shown = [[f"{cell:.3g}" if isinstance(cell, float) else str(cell) for cell in row] for row in rows]
    return "\n".join(f"| {' | '.join(row)} |" for row in (names, ["---"] * len(names), *shown)) + "\n"


def recorded(n_envs: int) -> list[tuple[mujoco.MjModel, mujoco.MjData, np.ndarray[Any, np.dtype[np.float64]]]]:
    """Returns each env's model, its last state, and the physics of `FRAMES / n_envs` states of random behaviour."""
    simulations = []
    for seed in range(n_envs):
        env = make_env()
        observation, _ = env.reset(seed=seed)
        env.action_space.seed(seed)
        recorder = Recorder(find_mujoco(env)[0])
        recorder.start(find_mujoco(env)[1], observation)
        for _ in range(FRAMES // n_envs - 1):
            for _ in range(5):
                observation, *_ = env.step(env.action_space.sample())
            recorder.append(find_mujoco(env)[1], observation)
        simulations.append((*find_mujoco(env), recorder.physics))
    return simulations


def rates(rounds: int) -> str:
    """Frames a second, each renderer open already."""
    variants: dict[Any, Callable[[], object]] = {}
    with ExitStack() as stack:
        for n_envs, quality in itertools.product(ENVS, ("fast", "full")):
            open_ones = [
                (stack.enter_context(Renderer(model, SIZE, quality)), data, physics)  # type: ignore[arg-type]
                for model, data, physics in recorded(n_envs)
            ]
            for views in VIEWS:
                variants["immediate", n_envs, views, quality] = functools.partial(immediate, open_ones, views)
                variants["deferred", n_envs, views, quality] = functools.partial(deferred, open_ones, views)
        seconds = take_turns(variants, rounds)
    rows: list[tuple[object, ...]] = []
    for when, n_envs, views in itertools.product(("immediate", "deferred"), ENVS, VIEWS):
        (wall, cpu), (full_wall, full_cpu) = (seconds[when, n_envs, views, quality] for quality in ("fast", "full"))
        frames = FRAMES * views
        rates = frames / wall, frames / full_wall, 1e3 * cpu / frames, 1e3 * full_cpu / frames
        rows.append((when, n_envs, views, *rates, f"{full_cpu / cpu:.1f} times"))
    columns = (
        "filmed | envs | views | fast, frames/s | full, frames/s | fast, CPU ms/frame | full, CPU ms/frame | CPU ratio"
    )
    return "## Frames a second\n\n" + table(columns, rows)


def immediate(open_ones: list[Any], views: int) -> None:
    """Renders each env's present state, as often as `deferred` renders recorded ones."""
    cameras = rig().views[:views]
    for renderer, data, physics in open_ones:
        for _ in physics:
            for camera in cameras:
                renderer.render(data, camera)


def deferred(open_ones: list[Any], views: int) -> None:
    """Renders the recorded states."""
    for renderer, _, physics in open_ones:
        film(renderer, physics, range(len(physics)), rig().views[:views])


def meshes(rounds: int) -> str:
    """Simplified meshes beside the model's own: cost, and difference in the picture."""
    model, _, physics = recorded(1)[0]
    times, views = range(len(physics)), rig().views
    with ExitStack() as stack:
        fast = stack.enter_context(Renderer(model, SIZE))
        full = stack.enter_context(Renderer(model, SIZE, "full"))
        with mock.patch("mvr_wrappers.filming.renderer.simplify", return_value=None):
            exact = stack.enter_context(Renderer(model, SIZE))
        renderers = {"simplified": fast, "the model's own": exact}
        work: dict[Any, Callable[[], object]] = {
            name: functools.partial(film, renderer, physics, times, views) for name, renderer in renderers.items()
        }
        seconds = take_turns(work, 3 * rounds)
        reference = film(exact, physics, times, views).astype(int)
        differences = {"simplified": film(fast, physics, times, views), "full": film(full, physics, times, views)}
    shifts = {name: float(np.abs(frames - reference).mean()) for name, frames in differences.items()}
    frames = len(physics) * len(views)
    rows: list[tuple[object, ...]] = [
        (name, frames / wall, 1e3 * cpu / frames) for name, (wall, cpu) in seconds.items()
    ]
    return (
        "## Fast filming: simplified meshes\n\n" + table("meshes | frames/s | CPU ms/frame", rows) + "\n"
        f"Mean difference from the model's own meshes, of 255 grey levels: {shifts['simplified']:.2f}; "
        f"`full` differs from `fast` by {shifts['full']:.2f}.\n"
    )


def parts() -> str:
    """Where the time of a frame goes that is not drawing."""
    model, data, _ = recorded(1)[0]
    scene, options, camera = mujoco.MjvScene(model, 10_000), mujoco.MjvOption(), mujoco.MjvCamera()
    everything = mujoco.mjtCatBit.mjCAT_ALL.value
    work: dict[Any, tuple[int, Callable[[], object]]] = {
        "mj_forward, a state": (100, lambda: mujoco.mj_forward(model, data)),
        "mjv_updateScene, a frame": (
            100,
            lambda: mujoco.mjv_updateScene(model, data, options, None, camera, everything, scene),
        ),
        "opening and closing a renderer, a filmed episode": (1, lambda: Renderer(model, SIZE).close()),
    }
    rows: list[tuple[object, ...]] = []
    for name, (times, once) in work.items():
        cpu = np.median([clocked(functools.partial(repeat, once, times))[1] for _ in range(5)])
        rows.append((name, 1e3 * float(cpu) / times))
    return "## Beside drawing\n\n" + table("what | CPU ms", rows)


def schedule(rounds: int) -> str:
    """The share of filming at the published schedule: nine episodes, of which one is filmed from one view."""
    every = get_task("hammer-v3", "paper").clip.film_every
    envs: dict[Any, gym.Env[Any, Any]] = {"bare": make_env(), "fast": filmed_env("fast", every)}
    work = {name: functools.partial(episodes, env, every) for name, env in envs.items()}
    seconds = take_turns(work, rounds)
    with mock.patch("mvr_wrappers.filming.studio.works_in_threads", return_value=False):
        seconds["fast, in the env's own thread"] = take_turns({0: work["fast"]}, rounds)[0]
    seconds["full"] = clocked(functools.partial(episodes, filmed_env("full", every), every))  # once: it takes long
    bare_wall, bare_cpu = seconds.pop("bare")
    rows: list[tuple[object, ...]] = []
    for quality, (wall, cpu) in seconds.items():
        longer, more = wall - bare_wall, cpu - bare_cpu
        rows.append((quality, bare_wall, longer, f"{longer / bare_wall:.0%}", f"{more / bare_cpu:.0%}"))
    columns = "quality | s, env alone | s, longer | longer / env, wall | the same, CPU"
    return f"## The published schedule: {every} episodes, one of them filmed, one view\n\n" + table(columns, rows)


def episodes(env: gym.Env[Any, Any], count: int) -> None:
    """Runs episodes of random behaviour, and then waits for their films."""
    env.action_space.seed(0)
    for number in range(count):
        env.reset(seed=number)
        for _ in range(EPISODE):
            env.step(env.action_space.sample())
    if isinstance(env, FilmedEnv):
        wait_for(env.pop_clips())


def wait_for(clips: Sequence[Clip]) -> None:
    """Waits for the frames of clips."""
    for clip in clips:
        _ = clip.frames


def filmed_env(quality: str, film_every: int) -> FilmedEnv:
    """Returns an env that films with the paper's clip settings but for these two."""
    clip = dataclasses.asdict(get_task("hammer-v3", "paper").clip)
    changes = {"image_size": SIZE, "quality": quality, "film_every": film_every}
    return FilmedEnv(make_env(), rig=rig(), clip=clip | changes)


def processes(rounds: int) -> str:
    """Envs that film in the same step, in one process and in processes of their own."""
    both, one = (1, 1), (1, 1_000)
    makers: dict[str, Callable[[Any], Any]] = {
        "one": SyncVectorEnv,
        str(PROCESSES): functools.partial(AsyncVectorEnv, context="forkserver"),
    }
    rows: list[tuple[object, ...]] = []
    for name, maker in makers.items():
        times = []
        for film_every in (one, both):
            venv = maker([functools.partial(filmed_env, "fast", every) for every in film_every])
            venv.action_space.seed(0)
            vector_episode(venv)  # both film their first
            times.append(float(np.median([vector_episode(venv) for _ in range(rounds)])))
            venv.close()
        rows.append((name, *times, times[1] - times[0]))
    columns = "processes | s, one of two films | s, both film | s, the second film"
    return f"## {PROCESSES} envs, an episode of {EPISODE} steps each\n\n" + table(columns, rows)


def vector_episode(venv: Any) -> float:
    """Returns the wall seconds of an episode of all sub-envs, and of waiting for its films."""
    venv.reset(seed=0)
    actions = venv.action_space.sample()
    begun = time.perf_counter()
    for _ in range(EPISODE):
        venv.step(actions)
    for clips in venv.call("pop_clips"):
        wait_for(clips)
    return time.perf_counter() - begun


if __name__ == "__main__":
    main()
