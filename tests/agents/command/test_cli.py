"""The `mvr` command: what it parses, what it prints, and how it ends."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.console import Console

import tests.support.tiny_task
from mvr_agents import cli
from mvr_agents.command import commands, dispatch
from mvr_agents.command.arguments import TrainArgs
from mvr_agents.pictures.video import write_video
from mvr_agents.runs.config import TrainConfig
from mvr_wrappers.extras import install_command
from mvr_wrappers.rigs import CameraRig
from mvr_wrappers.tasks.registry import get_task
from tests.support.known import present

TINY = f"{tests.support.tiny_task.TASKS}:tiny"


def parsed(monkeypatch: pytest.MonkeyPatch, *words: str) -> TrainConfig:
    """Runs `mvr train WORDS` up to the point where training would begin."""
    seen: list[TrainConfig] = []
    monkeypatch.setitem(dispatch.COMMANDS, "train", (TrainArgs, lambda args: seen.append(args.train) or 0))
    assert cli.main(["train", *words]) == 0
    return seen[0]


def complaint(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    """Runs a command that must end with one explained error, and returns it."""
    assert cli.main(words) == 2
    error = capsys.readouterr().err
    assert error.startswith("mvr: ") and error.count("\n") == 1 and "Traceback" not in error
    return error


def test_train_takes_its_defaults_from_task_and_preset(monkeypatch: pytest.MonkeyPatch) -> None:
    assert parsed(monkeypatch, "hammer-v3") == TrainConfig.for_task("hammer-v3")
    assert parsed(monkeypatch, "hammer-v3", "--preset", "paper") == TrainConfig.for_task("hammer-v3", "paper")


def test_train_changes_what_it_is_told_to(monkeypatch: pytest.MonkeyPatch) -> None:
    words = "--seed 7 tiny --steps 50 --n-envs 3 --clip.film-every 3 --no-shaping --weight 0.5 --relevance.tau 0.2"
    config = parsed(monkeypatch, *words.split(), "--learning-rate", "1e-3", "1e-4", "--subproc")
    assert config == TrainConfig.for_task(
        "tiny",
        seed=7,
        shaping=False,
        weight=0.5,
        subproc=True,
        clip={"film_every": 3},
        relevance={"tau": 0.2},
        hyperparameters={"steps": 50, "n_envs": 3, "learning_rate": [1e-3, 1e-4]},
    )


@pytest.mark.parametrize(
    ("words", "options"),
    [
        (["--no-relabel"], {"relabel": False}),
        (["--rig", "{azimuths: [90]}"], {"rig": {"azimuths": [90]}}),
        (["--env-kwargs", "{positions: fixed}"], {"env_kwargs": {"positions": "fixed"}}),
        (["--weights", "some/folder"], {"weights": "some/folder"}),
        (["--dtype", "float32"], {"dtype": "float32"}),
        (["--pooling", "mean"], {"pooling": "mean"}),
    ],
)
def test_train_takes_the_options_of_engine_and_task(
    words: list[str], options: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = parsed(monkeypatch, "hammer-v3", *words).task_spec()
    assert spec == get_task("hammer-v3", "default", **options)
    (name,) = options
    assert getattr(spec, name) != getattr(get_task("hammer-v3", "default"), name)


def test_one_azimuth_is_one_view_of_the_task_s_own_ring(monkeypatch: pytest.MonkeyPatch) -> None:
    rig = parsed(monkeypatch, "hammer-v3", "--rig", "{azimuths: [90]}").task_spec().rig
    (camera,) = CameraRig.from_config(present(rig)).views
    assert (camera.azimuth, camera.distance, camera.elevation) == (90.0, 2.0, -20.0)


def test_train_takes_the_exploration_and_the_evaluation_of_the_agent(monkeypatch: pytest.MonkeyPatch) -> None:
    words = "--no-use-sde --noise-repeat 4 --ent-coef-lr 6e-4 --log-std-init -1.5 --clip-mean 0 --eval-envs 2"
    agent = parsed(monkeypatch, "hammer-v3", *words.split()).hyperparameters
    assert (agent["use_sde"], agent["noise_repeat"], agent["ent_coef_lr"]) == (False, 4, 6e-4)
    assert (agent["log_std_init"], agent["clip_mean"], agent["eval_envs"]) == (-1.5, 0.0, 2)
    default = parsed(monkeypatch, "hammer-v3").hyperparameters
    assert (default["noise_repeat"], default["ent_coef_lr"], default["eval_envs"]) == (1, None, None)


def test_values_that_agree_only_with_the_tasks_own_are_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    assert parsed(monkeypatch, "tiny", "--clip.length", "6").clip.length == 6  # the default 8 frames would not fit


def test_a_value_before_the_task_is_not_taken_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    assert parsed(monkeypatch, "--clip.stride", "2", "tiny").task == "tiny"


def test_a_task_of_a_file_of_ones_own_needs_no_registration(monkeypatch: pytest.MonkeyPatch) -> None:
    assert parsed(monkeypatch, TINY).prompt == "a ball rolling to the red pillar"


@pytest.mark.parametrize("words", [["--help"], ["train", "--help"], ["train", "hammer-v3", "-h"], ["doctor", "-h"], []])
def test_help_is_printed(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        cli.main(words)
    assert end.value.code == 0
    assert "usage: mvr" in capsys.readouterr().out


def test_help_shows_the_values_of_the_preset(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        cli.main(["train", "window-close-v3", "--preset", "paper", "--help"])
    printed = " ".join(capsys.readouterr().out.replace("│", " ").split())
    assert "TASK" in printed and "(default: viclip-l)" in printed and "pushing and closing a window" in printed


@pytest.mark.parametrize(
    "words", [["trane"], ["train"], ["train", "tiny", "--clip.film-evrey", "3"], ["train", "tiny", "--agent", "jax"]]
)
def test_words_that_are_no_command_end_with_two(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        cli.main(words)
    assert end.value.code == 2
    assert "Traceback" not in capsys.readouterr().err


def test_impossible_settings_end_with_two(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        cli.main(["train", "tiny", "--clip.film-every", "0"])
    assert end.value.code == 2
    assert "clip.film_every is 0" in " ".join(capsys.readouterr().err.split())


def test_errors_are_one_line_that_names_the_mend(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert "hammer-v3" in complaint(capsys, "train", "hamer-v3")
    assert "demo" in complaint(capsys, "train", "hammer-v3", "--preset", "dmo")
    assert "not a run directory" in complaint(capsys, "eval", str(tmp_path))
    assert "there is no folder" in complaint(capsys, "eval", str(tmp_path / "absent"))
    assert "no scripted policy" in complaint(capsys, "film", "tiny", "--policy", "scripted")
    assert "pocket" in complaint(capsys, "score", "tiny", "--scorer", "pockt")
    assert "prompt is ' '; write one sentence" in complaint(
        capsys, "train", "tiny", "--prompt", " ", "--outputs", str(tmp_path)
    )


def test_an_interrupted_command_ends_without_a_traceback(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(args: object) -> int:
        raise KeyboardInterrupt

    monkeypatch.setitem(dispatch.COMMANDS, "tasks", (dispatch.COMMANDS["tasks"][0], interrupted))
    assert cli.main(["tasks"]) == 130
    assert capsys.readouterr().err == "mvr: interrupted\n"


def test_tasks_are_listed_with_what_they_need(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(commands, "console", Console(width=200))
    monkeypatch.setattr(commands, "is_installed", lambda package: package != "metaworld")
    assert cli.main(["tasks"]) == 0
    lines = capsys.readouterr().out.splitlines()
    (hammer,), (hopper,) = ([line for line in lines if name in line] for name in ("MVR/hammer-v3", "MVR/Hopper-v5"))
    assert "no, needs metaworld" in hammer and "hammering a screw" in hammer
    assert "yes" in hopper


def test_tasks_of_ones_own_file_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["tasks", str(tests.support.tiny_task.TASKS)]) == 0
    assert "MVR/tiny" in capsys.readouterr().out


def test_score_prints_a_table_a_sentence(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert cli.main(["score", "tiny", "a ball", "a cube", "--episodes", "1", "--outputs", str(tmp_path)]) == 0
    printed = capsys.readouterr().out
    assert (tmp_path / "tiny" / "score.png").is_file()
    assert '"a ball"' in printed and '"a cube"' in printed
    assert "azimuth 0°" in printed and "all views" in printed and "10 random clips" in printed


@pytest.mark.parametrize("source", ["tiny", "video"])
def test_score_regularises_towards_a_baseline(
    source: str, capsys: pytest.CaptureFixture[str], tmp_path: Path, rng: np.random.Generator
) -> None:
    if source == "video":
        source = str(tmp_path / "a.mkv")
        write_video(Path(source), rng.integers(0, 255, (50, 32, 32, 3), np.uint8), 10)
    command = ["score", source, "a ball", "--scorer", "fake", "--episodes", "1", "--outputs", str(tmp_path)]
    printed = []
    for alpha in ("0", "0", "0.5"):
        assert cli.main([*command, "--baseline-prompt", "a table", "--alpha", alpha]) == 0
        printed.append(capsys.readouterr().out)
    assert printed[0] == printed[1] != printed[2]
    assert "alpha" in complaint(capsys, *command, "--baseline-prompt", "a table", "--alpha", "2")


def test_score_takes_what_a_scorer_is_loaded_with(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    video = tmp_path / "a.mkv"
    write_video(video, np.zeros((50, 32, 32, 3), np.uint8), 10)
    for source in ("tiny", str(video)):
        command = ["score", source, "a ball", "--scorer", "pocket", "--outputs", str(tmp_path)]
        weights = ["--weights", str(tmp_path / "gone.safetensors")]
        assert "gone.safetensors, given as weights of pocket" in complaint(capsys, *command, *weights)
        assert "pooling is not an option of the scorer pocket" in complaint(capsys, *command, "--pooling", "mean")


def test_score_takes_a_video(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    video, outputs = tmp_path / "a.mkv", ["--outputs", str(tmp_path)]
    write_video(video, np.zeros((50, 32, 32, 3), np.uint8), 10)
    assert cli.main(["score", str(video), "a ball", "a cube", "--scorer", "fake", *outputs]) == 0
    printed = capsys.readouterr().out
    assert all(
        text in printed for text in ("0.0 - 2.0", "3.0 - 5.0", "a ball", "a cube", str(tmp_path / "score/a.png"))
    )
    assert (tmp_path / "score" / "a.png").is_file()
    assert "give sentences" in complaint(capsys, "score", str(video))
    assert "there is no video" in complaint(capsys, "score", "absent.mp4", "a ball")


def test_film_names_its_files(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert cli.main(["film", "tiny", "--size", "32", "--every", "8", "--outputs", str(tmp_path)]) == 0
    paths = [Path(line) for line in capsys.readouterr().out.splitlines()]
    assert paths == [tmp_path / "tiny" / "film" / name for name in ("random.mp4", "random.png")]
    assert all(path.is_file() for path in paths)


@pytest.mark.parametrize("missing", ["tyro", "rich"])
def test_without_the_train_extra_the_command_says_what_to_install(missing: str) -> None:
    code = f"import sys; sys.modules[{missing!r}] = None; from mvr_agents.cli import main; sys.exit(main(['tasks']))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr == f"mvr: the mvr command needs {missing}. Install it with: {install_command('train')}\n"
