"""RL Baselines3 Zoo's command line on our ids, in processes of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml

import mvr_wrappers  # noqa: F401 - so that a missing package is not the zoo's fault
from tests.support.conformance import FAST

COMMAND = "-m rl_zoo3.train --algo tqc --gym-packages mvr_wrappers --seed 1 -n 150 --eval-freq 100 --eval-episodes 1"
LOGGER = "mvr_wrappers.sb3.RewardLogger"


def zoo(folder: Path, *arguments: str) -> Path:
    """Runs the command and returns the folder of its run."""
    pytest.importorskip("rl_zoo3", reason="pip install rl_zoo3")
    command = [sys.executable, *COMMAND.split(), "--log-folder", str(folder), *arguments]
    done = subprocess.run(
        command,
        cwd=folder,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    (run,) = (folder / "tqc").iterdir()
    return run


def episodes(run: Path, i: int) -> int:
    """Returns how many episodes of sub-env i the zoo's monitor has written down."""
    return len(np.loadtxt(run / f"{i}.monitor.csv", delimiter=",", skiprows=2, ndmin=2))


def logged(folder: Path) -> dict[str, float]:
    """Returns the last value of each scalar of the one run in a folder of TensorBoard."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    (file,) = folder.rglob("events.*")
    events = EventAccumulator(str(file)).Reload()
    return {name: events.Scalars(name)[-1].value for name in events.Tags()["scalars"]}


@pytest.mark.slow
def test_the_zoo_trains_and_evaluates_with_hyper_parameters_of_the_command_line(tmp_path: Path) -> None:
    env_kwargs = [f"{key}:{value!r}" for key, value in FAST.items()]
    run = zoo(
        tmp_path,
        *("--env", "MVR/Hopper-v5", "--eval-env-kwargs", "shaping:False", "--env-kwargs", *env_kwargs),
        *("-params", "n_envs:2", "learning_starts:50", "normalize:True", "policy_kwargs:dict(net_arch=[8])"),
        *(f"callback:'{LOGGER}'", "--tensorboard-log", str(tmp_path / "tb"), "--log-interval", "1"),
    )
    assert run.name == "MVR-Hopper-v5_1"
    assert {"best_model.zip", "MVR-Hopper-v5.zip", "evaluations.npz"} <= {path.name for path in run.iterdir()}
    assert episodes(run, 0) >= 2 and episodes(run, 1) >= 2
    last = logged(tmp_path / "tb")
    assert last["mvr/vlm_return"] != 0
    assert last["mvr/shaped_return"] - last["mvr/task_return"] == pytest.approx(last["mvr/vlm_return"], rel=1e-3)


@pytest.mark.slow
def test_the_zoo_trains_processes_with_one_engine_by_a_configuration_file(tmp_path: Path) -> None:
    """The zoo's own words for wrappers put filming into the processes and one engine above them."""
    learning = {key: FAST[key] for key in ("relevance", "schedule", "weight")}
    shaped = {"prompt": "a one-legged robot hopping forward", **learning}
    own = {
        "policy": "MlpPolicy",
        "n_timesteps": 100,
        "n_envs": 2,
        "learning_starts": 50,
        "policy_kwargs": "dict(net_arch=[8])",
        "env_kwargs": {"shaping": False, "env_kwargs": FAST["env_kwargs"]},
        "env_wrapper": {"mvr_wrappers.FilmedEnv": {"clip": FAST["clip"]}},
        "vec_env_wrapper": {"mvr_wrappers.sb3.MultiViewVLMRewardVecEnv": shaped},
        "callback": LOGGER,
    }
    (tmp_path / "tqc.yml").write_text(yaml.safe_dump({"MVR/Hopper-v5": own}))
    run = zoo(
        tmp_path,
        *("--env", "MVR/Hopper-v5", "--vec-env", "subproc", "--conf-file", str(tmp_path / "tqc.yml")),
        *("--tensorboard-log", str(tmp_path / "tb"), "--eval-freq", "-1", "--log-interval", "1"),
    )
    assert (run / "MVR-Hopper-v5.zip").is_file() and episodes(run, 1) >= 2
    last = logged(tmp_path / "tb")
    assert last["engine/version"] >= 1 and last["mvr/shaped_return"] != last["mvr/task_return"]
