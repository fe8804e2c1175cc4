"""RunDirectory: where a run keeps what it writes, the names of its files, and config.yaml."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Self

import yaml

from mvr_agents.runs.config import TrainConfig
from mvr_agents.runs.provenance import git_revision, package_versions
from mvr_wrappers.errors import ConfigError
from mvr_wrappers.parsing import parse
from mvr_wrappers.tasks.files import read_yaml

_TASK_ONLY = ("name", "family", "make", "rig", "source")  # what a task says beyond the configuration of a run


@dataclass(frozen=True, slots=True)
class RunDirectory:
    """`outputs/<task>/<agent>/<time>/`. The attributes below are paths, whether or not the files exist yet."""

    path: Path

    @classmethod
    def create(cls, config: TrainConfig) -> Self:
        """Makes an empty directory, named after the task, the agent and the time, and writes config.yaml."""
        started = datetime.now().astimezone()
        spec = config.task_spec()
        parent = Path(config.outputs) / spec.name / config.agent
        run = cls(_make_unique(parent, started.strftime("%Y-%m-%d_%H-%M-%S")))
        document = {
            "config": _plain(asdict(config)),
            "task": {key: _plain(value) for key, value in asdict(spec).items() if key in _TASK_ONLY},
            "started": started.isoformat(timespec="seconds"),
            "git": git_revision(),
            "versions": package_versions(),
        }
        run.config.write_text(yaml.safe_dump(document, sort_keys=False, allow_unicode=True), encoding="utf-8")
        return run

    @classmethod
    def open(cls, path: str | Path) -> Self:
        """Returns the directory of a run made earlier.

        Raises:
            ConfigError: no such directory, or one that holds no run.
        """
        run = cls(Path(path))
        if not run.path.is_dir():
            raise ConfigError(f"there is no folder {run.path}; give a run directory, outputs/<task>/<agent>/<time>")
        if not run.config.is_file():
            inside = sorted(run.path.rglob(run.config.name))
            hint = f"did you mean {inside[-1].parent}?" if inside else "a run directory is written by `mvr train`"
            raise ConfigError(f"{run.path} is not a run directory: it has no {run.config.name}; {hint}")
        return run

    def read_config(self) -> TrainConfig:
        """Returns the configuration of the run.

        Raises:
            ConfigError: config.yaml is malformed; the key is named.
        """
        document = read_yaml(self.config)
        if not isinstance(document, dict) or "config" not in document:
            raise ConfigError(f"{self.config}: config is missing; it was not written by `mvr train`")
        return parse(TrainConfig, document["config"], f"{self.config}: config")

    @property
    def config(self) -> Path:
        """All values of the run, the packages' versions and the git revision."""
        return self.path / "config.yaml"

    @property
    def metrics(self) -> Path:
        """Table of `agents/metrics.py`."""
        return self.path / "metrics.csv"

    @property
    def tensorboard(self) -> Path:
        """Folder of TensorBoard files."""
        return self.path / "tensorboard"

    @property
    def model(self) -> Path:
        """The agent."""
        return self.path / "model.zip"

    @property
    def engine(self) -> Path:
        """The reward engine; absent when the run was not shaped."""
        return self.path / "engine.npz"

    @property
    def curve(self) -> Path:
        """Task return, success and mean VLM reward over steps."""
        return self.path / "curve.png"

    @property
    def filmstrip(self) -> Path:
        """The best and the worst clips."""
        return self.path / "filmstrip.png"

    @property
    def relevance(self) -> Path:
        """State relevance and shaping along an episode."""
        return self.path / "relevance.png"


def _make_unique(parent: Path, name: str) -> Path:
    """Makes parent/name, or parent/name_2 and so on where runs started within one second."""
    number = 1
    while True:
        path = parent / (name if number == 1 else f"{name}_{number}")
        try:
            path.mkdir(parents=True)
        except FileExistsError:
            number += 1
        except OSError as error:
            raise ConfigError(f"cannot write to {path}: {error.strerror}; choose another outputs folder") from error
        else:
            return path


def _plain(value: Any) -> Any:
    """Turns paths and tuples, which YAML does not know, into text and lists."""
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return str(value) if isinstance(value, Path) else value
