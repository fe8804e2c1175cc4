"""mvr doctor: looks at what a run needs on this machine, and says for each problem what to do."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from mvr_agents.extras import EXTRAS, is_installed
from mvr_agents.runs.provenance import package_versions
from mvr_wrappers.errors import FilmingError, MVRError
from mvr_wrappers.extras import install_command
from mvr_wrappers.tasks.registry import get_task, load_registry

if TYPE_CHECKING:
    from mvr_wrappers.filming import Renderer

FRAME_SIZE = 224  # pixels
SECONDS = 1.0  # of rendering, to measure its speed
SCENES = {True: "hammer-v3", False: "Humanoid-v5"}  # what is rendered, with metaworld installed and without


@dataclass(frozen=True, slots=True)
class Check:
    """What one look found.

    Attributes:
        name: what was looked at.
        status: "ok"; "note": something optional is missing; "problem": nothing works before it is solved.
        found: what there is.
        remedy: what to do, empty if nothing.
    """

    name: str
    status: Literal["ok", "note", "problem"]
    found: str
    remedy: str = ""


def diagnose() -> Iterator[Check]:
    """Yields the results of all checks, one by one, as some take seconds."""
    yield from _versions()
    yield from _extras()
    yield _registry()
    yield from _devices()
    yield from _gl()
    yield from _weights()


def _versions() -> Iterator[Check]:
    versions = package_versions()
    yield Check("versions", "ok", ", ".join(f"{name} {version}" for name, version in versions.items()))


def _extras() -> Iterator[Check]:
    for extra in dict.fromkeys(EXTRAS.values()):
        packages = [package for package, owner in EXTRAS.items() if owner == extra]
        missing = [package for package in packages if not is_installed(package)]
        if missing:
            yield Check(f"extra {extra}", "note", f"missing: {', '.join(missing)}", install_command(extra))
        else:
            yield Check(f"extra {extra}", "ok", ", ".join(packages))


def _registry() -> Check:
    try:
        tasks = load_registry()
    except MVRError as error:
        return Check("registry", "problem", str(error), "correct the file named, or install the package again")
    return Check("registry", "ok", f"{len(tasks)} tasks")


def _devices() -> Iterator[Check]:
    import torch

    yield Check("CPU", "ok", f"{os.cpu_count()} cores, torch uses {torch.get_num_threads()} threads")
    if torch.cuda.is_available():
        names = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
        yield Check("GPU", "ok", ", ".join(f"cuda:{i} {name}" for i, name in enumerate(names)))
    else:
        remedy = "none is needed for the pocket scorer; for ViCLIP use a GPU and a torch built for it"
        yield Check("GPU", "note", f"none that torch {torch.__version__} can use", remedy)
    if is_installed("jax"):
        yield _jax_devices()


def _jax_devices() -> Check:
    """Asks JAX in a process of its own: it starts threads, and may take a GPU's memory."""
    words = [sys.executable, "-c", "import jax; print(*jax.devices(), sep=', ')"]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    if done.returncode == 0:
        return Check("JAX", "ok", done.stdout.strip())
    return Check(
        "JAX", "note", done.stderr.strip().rpartition("\n")[2], "train with --agent sb3-tqc, or install jax again"
    )


def _gl() -> Iterator[Check]:
    """Starts OpenGL and measures it on a real scene."""
    try:
        from mvr_wrappers.filming import Renderer

        yield from _measure(Renderer)
    except FilmingError as error:
        cause, _, remedy = str(error).partition(". ")
        yield Check("OpenGL", "problem", cause, remedy)


def _measure(renderer_class: type[Renderer]) -> Iterator[Check]:
    from mvr_wrappers.filming import CameraRig, find_mujoco
    from mvr_wrappers.tasks.base_envs import make_base_env

    spec = get_task(SCENES[is_installed("metaworld")])
    env = make_base_env(spec)
    env.reset(seed=0)
    model, data = find_mujoco(env)
    camera = CameraRig.from_config(spec.rig or {}).views[0]
    rates = {}
    for quality in ("fast", "full"):
        with renderer_class(model, FRAME_SIZE, quality) as renderer:
            renderer.render(data, camera)
            driver = _driver()
            rates[quality] = _rate(lambda: renderer.render(data, camera))
    env.close()
    yield Check("OpenGL", "ok", f"MUJOCO_GL={os.environ.get('MUJOCO_GL', '')}, {driver}")
    yield _triton(driver)
    speeds = ", ".join(f"{quality} {rate:.0f} frames/s" for quality, rate in rates.items())
    yield Check("rendering", "ok", f"{spec.name}, {FRAME_SIZE} px: {speeds}")


def _triton(driver: str) -> Check:
    """Says which triton and which LLVM of OpenGL met in this process, and whether in the order that both survive."""
    from mvr_wrappers.filming.llvm import triton_state

    llvm = re.search(r"LLVM [\d.]+", driver)
    beside = f"OpenGL draws with {llvm[0]}" if llvm else "OpenGL's driver names no LLVM"
    version = package_versions().get("triton", "of unknown version")
    match triton_state():
        case "absent":
            return Check("triton", "ok", f"not installed; {beside}")
        case "first":
            return Check("triton", "ok", f"{version}, loaded before OpenGL, which is safe; {beside}")
        case "hidden":
            remedy = "import mvr_wrappers.filming, or triton, before anything renders"
            return Check("triton", "note", f"{version}, hidden, for OpenGL was loaded first; {beside}", remedy)
        case "broken":
            remedy = "see what `python -c 'import triton'` says; without a GPU it may be uninstalled"
            return Check("triton", "note", f"{version}, cannot be imported; {beside}", remedy)


def _driver() -> str:
    """Returns what the current OpenGL context calls itself."""
    from OpenGL import GL

    return str(GL.glGetString(GL.GL_RENDERER), "utf-8")


def _rate(job: Callable[[], object]) -> float:
    """Returns how often a second `job` can be done."""
    start, count = time.perf_counter(), 0
    while (passed := time.perf_counter() - start) < SECONDS:
        job()
        count += 1
    return count / passed


def _weights() -> Iterator[Check]:
    from mvr_wrappers.scorers import hub
    from mvr_wrappers.scorers.pocket.scorer import WEIGHTS

    if WEIGHTS.is_file():
        yield Check("weights pocket", "ok", str(WEIGHTS))
    else:
        yield Check("weights pocket", "problem", f"missing: {WEIGHTS}", "install the package again")
    for name, files in hub.HUB.items():
        local = _local_weights(name) if files.missing else None
        if local is not None:
            yield local
        elif files.missing:
            remedy = f"mvr download {name}; or put the files of {files.repo}, revision {files.revision}, there by hand"
            yield Check(f"weights {name}", "note", f"{', '.join(files.missing)} missing in {files.folder}", remedy)
        else:
            yield Check(f"weights {name}", "ok", str(files.folder))


def _local_weights(name: str) -> Check | None:
    """Looks for a ViCLIP where its users keep one, outside the hub's cache; None if it is not there."""
    from mvr_wrappers.scorers.hub import VOCABULARY
    from mvr_wrappers.scorers.viclip.files import AUTHORS_FILES, AUTHORS_FOLDER, VARIABLE, local_files

    try:
        found = local_files(name) if name in AUTHORS_FILES else None
    except MVRError as error:
        return Check(f"weights {name}", "problem", str(error), f"unset {VARIABLE}, or let it name a folder")
    if found is None or found.weights is None:
        return None
    if found.vocabulary is None:
        remedy = f"put {VOCABULARY} beside it, or pass vocabulary="
        return Check(f"weights {name}", "note", f"{found.weights}, without its vocabulary", remedy)
    named = found.folder == AUTHORS_FOLDER  # there only where it is named; in the variable's folder by itself
    remedy = f"pass weights={found.folder}, or set {VARIABLE}={found.folder}" if named else ""
    return Check(f"weights {name}", "ok", f"{found.weights} and {found.vocabulary.name}", remedy)
