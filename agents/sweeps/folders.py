"""The folders of a sweep: what is finished, what must run, and whose they are."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from pathlib import Path

from mvr_agents.checkpoints.folder import CheckpointFolder
from mvr_agents.sweeps.collect import FREE, flat
from mvr_agents.sweeps.trials import Trial
from mvr_wrappers.errors import ConfigError

LOG = "train.log"
"""File of a trial's folder: what its processes printed."""


def is_finished(trial: Trial) -> bool:
    """Returns whether the trial's folder holds a whole run.

    Raises:
        ConfigError: the folder holds a run of another configuration, or something else.
    """
    run = trial.run
    if not run.config.is_file():
        strangers = sorted(path.name for path in run.path.glob("*") if path.name != LOG)
        if strangers:
            raise ConfigError(
                f"{run.path} holds {strangers[0]} and no {run.config.name}: it is no run; give other --outputs"
            )
        return False
    there, wanted = (dict(flat(asdict(config))) for config in (run.read_config(), trial.config))
    for key in dict.fromkeys([*wanted, *there]):
        if key.split(".")[0] not in FREE - {"seed"} and there.get(key) != wanted.get(key):
            difference = f"{key} {there.get(key)}, and it would now be {wanted.get(key)}"
            raise ConfigError(f"{run.path} holds a run with {difference}; give other --outputs, or delete that folder")
    return run.finished.is_file()


def goes_on(trial: Trial) -> bool:
    """Returns whether the trial's folder holds a run that can go on from a checkpoint."""
    try:
        return trial.run.config.is_file() and CheckpointFolder(trial.run.checkpoints).latest() is not None
    except ConfigError:  # all of them are damaged
        return False


def clear(trial: Trial) -> None:
    """Removes what an unfinished run left in the trial's folder, but for the log.

    Raises:
        ConfigError: something cannot be removed.
    """
    trial.run.path.mkdir(parents=True, exist_ok=True)
    for path in trial.run.path.iterdir():
        if path.name == LOG:
            continue
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()


@contextmanager
def held(folders: Iterable[Path]) -> Iterator[None]:
    """Keeps folders for this process, so that no second sweep clears what this one is running.

    Raises:
        ConfigError: another process holds one of them, or it cannot be written to.
    """
    with ExitStack() as stack:
        for folder in sorted(folders):
            stack.enter_context(_held(folder))
        yield


@contextmanager
def _held(folder: Path) -> Iterator[None]:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        stream = (folder / ".lock").open("w")
    except OSError as error:
        raise ConfigError(f"cannot write to {folder}: {error.strerror}; choose other --outputs") from error
    with stream:
        if sys.platform != "win32":  # which has no such locks: there, nothing keeps a second sweep away
            import fcntl

            try:
                fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                raise ConfigError(
                    f"another sweep is running in {folder}; wait for it, or give other --outputs"
                ) from error
        yield
