"""What is seen of a run while it trains: the lines of evaluations, and the bar with its tail."""

from __future__ import annotations

import io

import pytest
from rich.console import Console
from stable_baselines3.common.logger import Logger
from stable_baselines3.common.vec_env import DummyVecEnv

from mvr_agents.command import terminal
from mvr_agents.runs.metrics import MetricsRow
from mvr_agents.runs.progress import ProgressBar, evaluation_line, tell_evaluation
from tests.support.tiny_env import TinyEnv

ROW = MetricsRow(
    250, 100.0, eval_return=1234.56, eval_success=0.4, vlm_reward=-0.0126, pair_accuracy=0.71, fade=0.031, updates=3
)


def test_a_line_tells_what_an_evaluation_found_and_the_time_left() -> None:
    """250 of 1,000 steps took 100 s, so the other 750 take 300 s."""
    assert evaluation_line(ROW, 1_000) == (
        "step 250 of 1,000, return 1,234.6, success 40%, VLM reward -0.013, pair accuracy 71%, fade 3.1%, 5 min left"
    )


def test_what_is_not_known_is_left_out() -> None:
    assert evaluation_line(MetricsRow(0, 3.0, eval_return=-2.0), 1_000) == "step 0 of 1,000, return -2.0"
    assert evaluation_line(MetricsRow(1_000, 60.0, eval_return=1.0), 1_000) == "step 1,000 of 1,000, return 1.0"


@pytest.mark.parametrize(
    ("seconds", "left"), [(0.5, "4 s"), (60.0, "9 min"), (400.0, "1 h 00 min"), (7_206.0, "18 h 01 min")]
)
def test_the_time_left_is_told_in_units_that_fit(seconds: float, left: str) -> None:
    assert evaluation_line(MetricsRow(100, seconds, eval_return=0.0), 1_000).endswith(f", {left} left")


def test_only_evaluations_are_told() -> None:
    lines: list[str] = []
    tell_evaluation(MetricsRow(100, 1.0, task_return=5.0), 1_000, lines.append)
    assert lines == []
    tell_evaluation(ROW, 1_000, lines.append)
    assert len(lines) == 1


class _Model:
    """As much of an agent as a callback asks for."""

    num_timesteps = 0
    logger = Logger(None, [])

    def __init__(self) -> None:
        self._venv = DummyVecEnv([TinyEnv])

    def get_env(self) -> DummyVecEnv:
        return self._venv


def bar_on(console: Console) -> ProgressBar:
    bar = ProgressBar(console=console)
    bar.init_callback(_Model())  # type: ignore[arg-type]
    bar.on_training_start({"total_timesteps": 1_000}, {})
    return bar


def test_the_bar_ends_with_return_and_success() -> None:
    console = Console(file=io.StringIO(), width=120, force_terminal=False)
    bar = bar_on(console)
    bar.tell(ROW)
    bar.tell(MetricsRow(260, 104.0, task_return=9.0))  # no evaluation: the last one stays
    bar.model.num_timesteps = 500
    bar.on_step()
    bar.on_training_end()
    assert isinstance(console.file, io.StringIO)
    (line,) = console.file.getvalue().splitlines()
    assert line.split()[0] == "50%" and "500/1,000" in line
    assert line.rstrip().endswith("return 1,234.6, success 40%")


def test_lines_printed_meanwhile_stand_above_the_bar() -> None:
    """As on a terminal: the bar is wiped out (the code 2K), the line written, and the bar drawn anew below it."""
    screen = io.StringIO()
    console = Console(file=screen, width=120, force_terminal=True)
    bar = bar_on(console)
    console.print("step 250 of 1,000", highlight=False)
    bar.stop()
    before, _, after = screen.getvalue().partition("step 250 of 1,000\n")
    assert before.rindex("\x1b[2K") > before.rindex("0/1,000") and "0/1,000" in after


def test_the_command_prints_on_the_console_of_the_bar() -> None:
    assert ProgressBar()._bar.console is terminal.console


def test_nothing_is_drawn_where_no_bar_is_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    bar = ProgressBar(shown=False)
    bar.init_callback(_Model())  # type: ignore[arg-type]
    bar.on_training_start({"total_timesteps": 1_000}, {})
    bar.tell(ROW)
    bar.on_step()
    bar.on_training_end()
    assert capsys.readouterr().out == ""
