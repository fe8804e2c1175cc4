"""RunDirectory: where a run keeps what it writes, and the names of its files."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Self

from mvr_agents.runs.config import TrainConfig
from mvr_agents.runs.config_file import read_config, write_config
from mvr_agents.runs.provenance import git_diff
from mvr_wrappers.errors import ConfigError


@dataclass(frozen=True, slots=True)
class RunDirectory:
    """`outputs/<task>/<agent>/<time>-seed-<n>/`. The attributes below are paths, whether or not the files exist yet."""

    path: Path

    @classmethod
    def create(cls, config: TrainConfig) -> Self:
        """Makes the directory and writes config.yaml: `config.run_dir`, or one named after task, agent, time and seed.

        Raises:
            ConfigError: it cannot be made, or `config.run_dir` holds a run already.
        """
        started = datetime.now().astimezone()
        if config.run_dir is None:
            parent = Path(config.outputs) / config.task_spec().name / config.agent
            run = cls(_make_unique(parent, f"{started:%Y-%m-%d_%H-%M-%S}-seed-{config.seed}"))
        else:
            run = cls(_make_free(Path(config.run_dir)))
        diff = git_diff()
        if diff is not None:
            run.diff.write_text(diff, encoding="utf-8")
        write_config(run.config, config, started)
        return run

    @classmethod
    def open(cls, path: str | Path) -> Self:
        """Returns the directory of a run made earlier.

        Raises:
            ConfigError: no such directory, or one that holds no run.
        """
        run = cls(Path(path))
        if not run.path.is_dir():
            raise ConfigError(
                f"there is no folder {run.path}; give a run directory, outputs/<task>/<agent>/<time>-seed-<n>"
            )
        if not run.config.is_file():
            inside = sorted(run.path.rglob(run.config.name))
            hint = f"did you mean {inside[-1].parent}?" if inside else "a run directory is written by `mvr train`"
            raise ConfigError(f"{run.path} is not a run directory: it has no {run.config.name}; {hint}")
        return run

    def read_config(self) -> TrainConfig:
        """Returns the configuration of the run, see `config_file.read_config`."""
        return read_config(self.config)

    @property
    def config(self) -> Path:
        """All values of the run, the packages' versions and the git revision."""
        return self.path / "config.yaml"

    @property
    def diff(self) -> Path:
        """What the code of this package differed in from the revision, for `git apply`; absent where it did not."""
        return self.path / "code.diff"

    @property
    def metrics(self) -> Path:
        """All numbers of the run, see `MetricsRow`."""
        return self.path / "metrics.csv"

    @property
    def evaluations(self) -> Path:
        """Every episode of every evaluation, see `Evaluations`."""
        return self.path / "evaluations.npz"

    @property
    def finished(self) -> Path:
        """Written last; absent where the run has not trained for all its steps, see `Finished`."""
        return self.path / "finished.json"

    @property
    def tensorboard(self) -> Path:
        """Folder of TensorBoard files."""
        return self.path / "tensorboard"

    @property
    def model(self) -> Path:
        """The agent."""
        return self.path / "model.zip"

    @property
    def best(self) -> Path:
        """The agent as it was at its best evaluation."""
        return self.path / "best.zip"

    @property
    def checkpoints(self) -> Path:
        """Folder of what the run goes on from where it was stopped."""
        return self.path / "checkpoints"

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

    @property
    def film(self) -> Path:
        """The same episode from all views, an animation."""
        return self.path / "episode.gif"


def _make_free(path: Path) -> Path:
    """Makes the directory, which may exist but hold no run."""
    if RunDirectory(path).config.exists():
        raise ConfigError(f"there is a run in {path} already; give another run_dir")
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"cannot write to {path}: {error.strerror}; choose another run_dir") from error
    return path


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
