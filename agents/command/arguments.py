"""Typed arguments of the subcommands of `mvr`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro

from mvr_agents.runs.config import TrainConfig
from mvr_wrappers.errors import ConfigError
from mvr_wrappers.option_docs import documented
from mvr_wrappers.options import ScorerSettings


@dataclass(frozen=True, slots=True)
class TrainArgs:
    """Train an agent on the shaped reward of a task, or go on with a run that was stopped or killed.

    The values shown are those of the task and the preset: `mvr train hammer-v3 --preset paper --help`.

    Attributes:
        train: what the run depends on.
        resume: directory of a run to go on with, from its latest checkpoint; --exact is the only option beside it.
        exact: with --resume: pass over a checkpoint that was written because the run was told to stop, so that it ends
            as if it never had been.
        config: config.yaml of a run to repeat; other options change it, such as --seed.
    """

    train: Annotated[TrainConfig, tyro.conf.arg(name="")]
    resume: Annotated[Path | None, tyro.conf.arg(metavar="RUN")] = None
    exact: bool = False
    config: Annotated[Path | None, tyro.conf.arg(metavar="RUN/config.yaml")] = None


@dataclass(frozen=True, slots=True)
class EvalArgs:
    """Evaluate a trained agent on the task's own reward.

    Attributes:
        run: directory that `mvr train` wrote.
        episodes: how many to play.
        seed: episode i starts from seed + i; without it, from the initial states that training evaluated on.
        video: film the first episode from all views, to RUN/episode.mp4.
        device: of the agent: auto, cpu, cuda, cuda:N.
        trust: load an agent of sb3-tqc, whose file is a pickle that can execute code: only of people you trust.
    """

    run: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="RUN")]
    episodes: int = 10
    seed: int | None = None
    video: bool = False
    device: str = "auto"
    trust: bool = False


@dataclass(frozen=True, slots=True)
class PlayArgs:
    """Watch a trained agent in MuJoCo's viewer, with f(s) in a corner, until the window is closed.

    Attributes:
        run: directory that `mvr train` wrote.
        episodes: how many to play; without it, until the window is closed.
        seed: episode i starts from seed + i; without it, from the initial states that training evaluated on.
        speed: of the env's own pace; 2 is twice as fast.
        device: of the agent: auto, cpu, cuda, cuda:N.
        trust: load an agent of sb3-tqc, whose file is a pickle that can execute code: only of people you trust.
    """

    run: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="RUN")]
    episodes: int | None = None
    seed: int | None = None
    speed: float = 1.0
    device: str = "auto"
    trust: bool = False

    def __post_init__(self) -> None:
        """Refuses values that cannot work."""
        if not self.speed > 0:
            raise ConfigError(f"speed is {self.speed:g}; give more than 0")
        if self.episodes is not None and self.episodes < 1:
            raise ConfigError(f"episodes is {self.episodes}; give at least 1")


@dataclass(frozen=True, slots=True)
class FilmArgs:
    """Film one episode from all views: a video, a filmstrip of each view and, of a run, a GIF with f(s) below.

    Attributes:
        task: a name that `mvr tasks` lists, or FILE.yaml:NAME for a task of your own file.
        policy: random, scripted (for Meta-World's tasks), or a directory that `mvr train` wrote.
        size: pixels of a view.
        every: env steps between two frames.
        quality: "full" renders shadows, reflections and multisampling; "fast" does not.
        seed: of the episode and of the random policy.
        outputs: where OUTPUTS/<task>/film/ is written.
        trust: load an agent of sb3-tqc, whose file is a pickle that can execute code: only of people you trust.
    """

    task: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="TASK")]
    policy: str = "random"
    size: int = 224
    every: int = 4
    quality: Literal["fast", "full"] = "fast"
    seed: int = 0
    outputs: Path = Path("outputs")
    trust: bool = False


@documented(ScorerSettings)
@dataclass(frozen=True, slots=True, kw_only=True)
class ScoreArgs(ScorerSettings):
    """Score the clips of a video, or a task's random and scripted behaviour view by view, against sentences.

    Attributes:
        source: a video file, or a task: a name that `mvr tasks` lists, or FILE.yaml:NAME for one of your own file.
        sentences: what to score against; none takes the task's own prompt.
        scorer: the video-language model; without it, the task's, and pocket for a video.
        baseline_prompt: what is seen whatever happens, such as "a robot arm at a table": scores then leave out part of
            what does not lie between it and the sentence; without it, the task's own.
        alpha: strength of that, from 0 to 1.
        episodes: of each behaviour of a task.
        seed: of a task; episode i starts from seed + i.
        seconds: length of a clip of a video.
        overlap: share of such a clip that the next one shows again.
        outputs: where the picture is written, OUTPUTS/<task>/score.png or OUTPUTS/score/<video>.png.
        device: of the scorer: auto, cpu, cuda, cuda:N.
        {options}
    """

    source: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="TASK-OR-VIDEO")]
    sentences: Annotated[tuple[str, ...], tyro.conf.Positional, tyro.conf.arg(metavar="[SENTENCE ...]")] = ()
    scorer: str | None = None
    baseline_prompt: str | None = None
    alpha: float | None = None
    episodes: int = 2
    seed: int = 0
    seconds: float = 2.0
    overlap: float = 0.5
    outputs: Path = Path("outputs")
    device: str = "auto"


@dataclass(frozen=True, slots=True)
class TasksArgs:
    """List the tasks: id, family, whether what they need is installed, and the prompt.

    Attributes:
        file: a task file of your own to list instead of the shipped one.
    """

    file: Annotated[Path | None, tyro.conf.Positional, tyro.conf.arg(metavar="[FILE]")] = None


@dataclass(frozen=True, slots=True)
class DoctorArgs:
    """Look at what a run needs on this machine, and say for each problem what fixes it."""


@dataclass(frozen=True, slots=True)
class DownloadArgs:
    """Download the files of scorers from the model hub, at pinned revisions.

    Attributes:
        scorers: names of scorers, such as viclip-l or clip-l.
    """

    scorers: Annotated[tuple[str, ...], tyro.conf.Positional, tyro.conf.arg(metavar="SCORER [SCORER ...]")]
