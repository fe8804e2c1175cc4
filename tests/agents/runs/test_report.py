"""The table at the end says what metrics.csv says."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.console import Console

import tests.support.tiny_task  # noqa: F401  registers MVR/tiny
from mvr_agents.runs.config import TrainConfig
from mvr_agents.runs.metrics import MetricsRow, MetricsWriter
from mvr_agents.runs.report import early_and_late, fades, pair_accuracy, report
from mvr_agents.runs.run_dir import RunDirectory


def test_early_and_late_begin_after_the_first_update() -> None:
    metrics = {
        "updates": np.array([0, 0, 1, 1, 1, 2, 2, 2]),
        "vlm_reward": np.array([0.0, 0.0, -4.0, -3.0, np.nan, -2.0, -1.5, -1.0]),
    }
    assert early_and_late(metrics, share=0.4) == (-3.5, -1.25)
    assert early_and_late(metrics, share=0.01) == (-4.0, -1.0)
    metrics["other"] = np.array([0.0, 0.0, np.nan, 0.5, 0.4, 0.3, 0.2, np.nan])
    assert early_and_late(metrics, "other", share=0.3) == (0.5, 0.2)


def test_the_fade_is_that_of_all_steps_and_no_mean_of_ratios() -> None:
    """Ten rows: of the first two one has a task that pays nothing, which counts all the same."""
    metrics = {"updates": np.ones(10), "abs_shaping": np.full(10, 0.5), "abs_task_reward": np.full(10, 5.0)}
    metrics["abs_task_reward"][:2] = 0.0, 4.0
    assert fades(metrics) == (0.25, 0.1)
    assert np.isnan(fades(metrics | {"abs_task_reward": np.zeros(10)})).all()


def test_without_an_update_there_is_no_early_and_late() -> None:
    assert np.isnan(early_and_late({"updates": np.zeros(3), "vlm_reward": np.zeros(3)})).all()


def render(run: RunDirectory) -> str:
    console = Console(width=200)
    with console.capture() as capture:
        console.print(report(run))
    return capture.get()


@pytest.fixture
def run(tmp_path: Path) -> RunDirectory:
    run = RunDirectory.create(TrainConfig.for_task("tiny", outputs=tmp_path, hyperparameters={"steps": 200}))
    writer = MetricsWriter(run.metrics)
    first: dict[str, Any] = {"eval_return": -50.0, "eval_success": 0.1, "eval_success_last": 0.0}
    writer.write(MetricsRow(step=0, seconds=2.0, eval_seconds=2.0, **first))
    early: dict[str, Any] = {"abs_shaping": 0.5, "abs_task_reward": 2.0}
    writer.write(MetricsRow(step=100, seconds=5.0, vlm_reward=-0.75, updates=1, clips_scored=30, **early))
    writer.write(
        MetricsRow(
            step=200,
            seconds=10.0,
            eval_return=-20.0,
            eval_success=0.6,
            eval_success_last=0.4,
            vlm_reward=-0.25,
            abs_shaping=0.25,
            abs_task_reward=5.0,
            updates=2,
            update_steps=1350,
            stopped_early=1.0,
            matching_loss=0.4,
            representation_loss=0.051,
            held_out_loss=0.52,
            held_out_episodes=10,
            pair_accuracy=0.9,
            clips_scored=1234,
            learner_seconds=3.0,
            film_seconds=1.0,
            score_seconds=0.5,
            update_seconds=0.5,
            eval_seconds=4.0,
        )
    )
    return run


def test_the_report_has_before_and_after_work_time_and_files(run: RunDirectory) -> None:
    text = " ".join(render(run).split())
    for words in ("-50.0 │ -20.0", "-0.750 │ -0.250", "1,234", "200 steps", "early and late │ 25.0% │ 5.0%"):
        assert words in text
    assert "success at any step (evaluation) │ 10% │ 60%" in text
    assert "success at the last step (evaluation) │ 0% │ 40%" in text
    assert "envs and the rest │ 1.0 │ 10%" in text
    assert str(run.path) in text and "metrics.csv" in text
    assert "filmstrip" not in text  # files that were not written are not named


def test_the_report_tells_of_the_last_update(run: RunDirectory) -> None:
    text = " ".join(render(run).split())
    assert "last update │ 1,350 steps: the held-out loss no longer fell" in text
    assert "its losses │ matching 0.400, representation 0.051, held out 0.520" in text
    assert "90% on 10 unseen episodes (95% interval: 60% to 98%)" in text
    last: dict[str, Any] = {"updates": 1, "update_steps": 200, "stopped_early": 0.0}
    MetricsWriter(run.metrics).write(MetricsRow(step=200, seconds=1.0, **last))
    assert "200 steps: relevance.max_steps reached" in " ".join(render(run).split())


def test_many_episodes_need_no_interval() -> None:
    assert pair_accuracy(0.9, 20) == "90% on 20 unseen episodes"
    assert pair_accuracy(0.9, 19).startswith("90% on 19 unseen episodes (95% interval: ")
    assert pair_accuracy(1.0, 1) == "100% on 1 unseen episode (95% interval: 21% to 100%)"
    assert (pair_accuracy(0.9, 0), pair_accuracy(float("nan"), 0)) == ("90%", "-")


def test_what_the_engine_s_thread_does_is_no_share_of_the_time(run: RunDirectory) -> None:
    text = " ".join(render(run).split())
    assert "filming │ 1.0 │ 10%" in text and "in parallel" not in text
    run.config.write_text(run.config.read_text().replace("mode: sync", "mode: async"))
    text = " ".join(render(run).split())
    assert "filming │ 1.0 │ in parallel" in text and text.count("in parallel") == 3


def test_a_run_that_was_stopped_says_so(run: RunDirectory) -> None:
    run.config.write_text(run.config.read_text().replace("steps: 200\n", "steps: 900\n"))
    assert "stopped at 200 of 900 steps" in render(run)


def test_a_run_that_ended_at_once_has_a_report_too(run: RunDirectory) -> None:
    MetricsWriter(run.metrics).write(MetricsRow(step=0, seconds=0.0))
    assert "│ -" in render(run)
