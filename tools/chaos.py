"""Breaks small runs in every way a cluster does, resumes them, and compares them with the run that was not broken.

    python tools/chaos.py [--kills 20] [--seed 0] [--jobs 2] [--result benchmarks/results/chaos.md]

Runs are trainings of a tiny task (`tests/support/tiny_run.py`), each a process of its own, its envs in sub-processes.
A run is broken at a random moment of its training, resumed, and must end with the same metrics, evaluations, agent and
engine as the run that was not broken, bit for bit:

- SIGKILL: the process is killed; no process of it may be left a moment later;
- SIGTERM: it is told to stop, ends by itself with exit code 0, and is resumed with --exact;
- killed while writing: on a disk where each sync takes a while, so that checkpoints take most of the time;
- disk full at a checkpoint, at metrics.csv, at the pictures: it must say so in one sentence and exit with code 2, and
  goes on once there is room;
- checkpoint damaged: a byte is flipped in a file of the latest one, or half of the file is cut off; it must name the
  checkpoint, and goes on from the one before.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from mvr_agents.runs.metrics import read_metrics
from mvr_agents.runs.provenance import made_with
from mvr_agents.runs.run_dir import RunDirectory
from tests.support.killed_run import assert_same
from tests.support.paths import ROOT
from tests.support.tiny_run import SCRIPT, WORDS

STEPS, EVERY = 480, 64
TRAIN = [
    *WORDS,
    "--steps",
    str(STEPS),
    "--checkpoint-every",
    str(EVERY),
    "--agent",
    "sb3-tqc",
    "--subproc",
    "--seed",
    "1",
]
TRAIN += ["--device", "cpu", "--agent-device", "cpu"]
PREAMBLE = {
    "": "",
    "slow": """
import os, time
sync = os.fsync
os.fsync = lambda number: (time.sleep(0.05), sync(number))
""",
    "full": """
import errno, os, sys
def full(*arguments, **named):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
def fill(module, name):
    import importlib
    *above, last = name.split(".")
    owner = importlib.import_module(module)
    for part in above:
        owner = getattr(owner, part)
    setattr(owner, last, full)
fill(*sys.argv.pop(1).split(":"))
""",
}
"""What a process does before it is `mvr`."""
FULL = {
    "checkpoint": "mvr_agents.checkpoints.replay_log:write_columns",
    "metrics": "mvr_agents.runs.metrics:MetricsWriter.write",
    "pictures": "mvr_agents.pictures.run_pictures:draw_curve",
}
"""What is written when the disk is full -> the function that writes it."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a broken run.

    Attributes:
        problem: what is not as promised; empty if all is.
        lost: env steps that were made again; None where that is not asked.
    """

    problem: str = ""
    lost: int | None = None


def start(words: Sequence[str], preamble: str = "") -> subprocess.Popen[str]:
    """Starts `mvr` with some words, in a process group of its own."""
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    return subprocess.Popen(
        [sys.executable, "-c", PREAMBLE[preamble] + SCRIPT, *words],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def finish(process: subprocess.Popen[str]) -> tuple[int, str]:
    """Returns the exit code and what was printed."""
    output, _ = process.communicate(timeout=300)
    return process.returncode, output


def group_is_empty(process: subprocess.Popen[str]) -> bool:
    """Returns whether all processes of a group end within five seconds."""
    for _ in range(50):
        try:
            os.killpg(process.pid, 0)
        except ProcessLookupError:
            return True
        time.sleep(0.1)
    return False


def begun(path: Path, process: subprocess.Popen[str]) -> RunDirectory:
    """Waits until training has begun, and returns the run's folder."""
    run = RunDirectory(path)
    while not run.evaluations.exists() and process.poll() is None:
        time.sleep(0.02)
    return run


def breaking(path: Path, moment: float, number: signal.Signals, preamble: str = "") -> tuple[RunDirectory, str, int]:
    """Trains, and sends a signal `moment` seconds after training began.

    Returns:
        The run, what it printed, and its exit code; a problem is printed where a process is left.
    """
    process = start([*TRAIN, "--run-dir", str(path)], preamble)
    run = begun(path, process)
    time.sleep(moment)
    if process.poll() is None:
        process.send_signal(number)
    code, output = finish(process)
    return run, output if group_is_empty(process) else "a process was left", code


def resumed(run: RunDirectory, whole: RunDirectory, *words: str) -> Outcome:
    """Resumes a run, unless it was finished, and compares it."""
    before = read_metrics(run.metrics)["step"]
    reached = int(before[-1]) if len(before) else 0
    lost = None
    if not run.finished.is_file():
        code, output = finish(start(["train", "--resume", str(run.path), *words]))
        if code != 0:
            return Outcome(f"resuming ended with {code}: {output.splitlines()[-1]}")
        first = next(line for line in output.splitlines() if "going on in" in line or "beginning anew" in line)
        lost = max(0, reached - (int(first.split()[-1].replace(",", "")) if "going on" in first else 0))
    try:
        assert_same(whole, run)
    except AssertionError as error:
        return Outcome(f"not equal: {str(error).strip().splitlines()[0]}")
    return Outcome(lost=lost)


def killed(path: Path, whole: RunDirectory, moment: float, preamble: str = "") -> Outcome:
    """SIGKILL at a moment."""
    run, output, _ = breaking(path, moment, signal.SIGKILL, preamble)
    return Outcome(output) if output == "a process was left" else resumed(run, whole)


def terminated(path: Path, whole: RunDirectory, moment: float) -> Outcome:
    """SIGTERM at a moment."""
    run, output, code = breaking(path, moment, signal.SIGTERM)
    over = run.finished.is_file()  # then the signal met a process that had nothing more to save
    if not over and (code != 0 or f"mvr train --resume {run.path}" not in output):
        return Outcome(f"ended with {code}: {output.splitlines()[-1]}")
    return resumed(run, whole, "--exact")


def without_room(path: Path, whole: RunDirectory, what: str) -> Outcome:
    """A disk that is full when something is written."""
    code, output = finish(start([FULL[what], *TRAIN, "--run-dir", str(path)], "full"))
    told = [line for line in output.splitlines() if line.startswith("mvr: ")]
    if code != 2 or "Traceback" in output or len(told) != 1 or "No space left on device" not in told[0]:
        return Outcome(f"ended with {code}: {output.splitlines()[-1]}")
    return resumed(RunDirectory(path), whole)


def damaged(path: Path, whole: RunDirectory, rng: random.Random) -> Outcome:
    """A checkpoint with a flipped byte, or half of a file."""
    process, run = start([*TRAIN, "--run-dir", str(path)]), RunDirectory(path)
    while len(list(run.checkpoints.glob("step-*"))) < 2 and process.poll() is None:
        time.sleep(0.02)
    process.kill()
    finish(process)
    checkpoints = sorted(run.checkpoints.glob("step-*"))
    file = rng.choice(sorted(each for each in checkpoints[-1].rglob("*") if each.is_file()))
    content = bytearray(file.read_bytes())
    if rng.random() < 0.5:
        content[rng.randrange(len(content))] ^= 1 << rng.randrange(8)
    else:
        del content[len(content) // 2 :]
    file.write_bytes(content)
    code, output = finish(start(["train", "--resume", str(run.path)]))
    if code != 0 or f"{checkpoints[-1].name} is damaged" not in output:
        return Outcome(f"{file.name}: ended with {code}: {output.splitlines()[0]}")
    return resumed(run, whole)


def main(words: Sequence[str] | None = None) -> int:
    """Prints the table; returns 1 if anything is not as promised."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=20, help="broken runs of each kind; of the last kind half as many")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=2, help="runs at a time")
    parser.add_argument("--cases", nargs="*", help="names of cases; all unless given")
    parser.add_argument("--result", type=Path)
    options = parser.parse_args(words)
    made, rng = made_with("stable-baselines3", "sb3-contrib"), random.Random(options.seed)
    folder = Path(tempfile.mkdtemp(prefix="chaos-"))
    process = start([*TRAIN, "--run-dir", str(folder / "whole")])
    whole = begun(folder / "whole", process)
    began = time.monotonic()
    code, output = finish(process)
    if code != 0:
        sys.stderr.write(output)
        return 1
    span = time.monotonic() - began

    count = options.kills
    cases: dict[str, list[Callable[[Path], Outcome]]] = {
        "SIGKILL": [partial(killed, whole=whole, moment=rng.uniform(0, span)) for _ in range(count)],
        "SIGTERM": [partial(terminated, whole=whole, moment=rng.uniform(0, span)) for _ in range(count)],
        "killed while writing": [
            partial(killed, whole=whole, moment=rng.uniform(0, 3 * span), preamble="slow") for _ in range(count)
        ],
        **{f"disk full at {what}": [partial(without_room, whole=whole, what=what)] for what in FULL},
        "checkpoint damaged": [
            partial(damaged, whole=whole, rng=random.Random(rng.random())) for _ in range((count + 1) // 2)
        ],
    }
    if options.cases:
        cases = {name: cases[name] for name in options.cases}
    lines = [f"{made}; seed {options.seed}; runs of {STEPS} steps, a checkpoint every {EVERY}", ""]
    lines += ["| case | runs | as promised | env steps made again, mean |", "| - | - | - | - |"]
    failed = 0
    with ThreadPoolExecutor(options.jobs) as pool:
        for name, works in cases.items():
            paths = [folder / f"{name.replace(' ', '-')}-{i}" for i in range(len(works))]
            outcomes = list(pool.map(lambda pair: pair[0](pair[1]), zip(works, paths, strict=True)))
            problems = [f"{path.name}: {o.problem}" for path, o in zip(paths, outcomes, strict=True) if o.problem]
            lost = [outcome.lost for outcome in outcomes if outcome.lost is not None]
            mean = f"{sum(lost) / len(lost):.0f}" if lost else ""
            lines.append(f"| {name} | {len(works)} | {len(works) - len(problems)} | {mean} |")
            print("\n".join([lines[-1], *problems]), flush=True)
            failed += len(problems)
    text = "\n".join(lines) + "\n"
    print(text)
    if options.result:
        options.result.write_text(text)
    if not failed:
        shutil.rmtree(folder)
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main())
