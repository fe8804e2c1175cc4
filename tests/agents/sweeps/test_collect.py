"""Runs are found, told apart and compared with their like alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from mvr_agents.sweeps.collect import collect
from mvr_wrappers.errors import ConfigError
from tests.support.run_folders import write_run


def test_runs_are_grouped_by_task_arm_and_seed(tmp_path: Path) -> None:
    for arm in ("base", "other"):
        for seed in (1, 0):
            write_run(tmp_path / "suite" / "tiny" / arm / f"seed-{seed}", [0, 2, 4], seed=seed)
    write_run(tmp_path / "suite" / "hammer-v3" / "base" / "seed-0", [0, 0, 4], task="hammer-v3")
    found = collect([tmp_path])
    assert [(run.task, run.arm, run.seed) for run in found.runs] == [
        ("hammer-v3", "base", 0),
        *(("tiny", arm, seed) for arm in ("base", "other") for seed in (0, 1)),
    ]
    assert found.tasks == ("hammer-v3", "tiny") and found.arms == ("base", "other")
    run = found.of("tiny", "other")[1]
    assert run.seed == 1 and run.seconds == 3600 and run.evaluations.steps.tolist() == [0, 100, 200]
    assert run.fade == pytest.approx((0.1 / 2, 0.1 / 3))  # one row each, after the first update
    assert found.missing() == {("hammer-v3", "base"): [1], ("hammer-v3", "other"): [0, 1]}


def test_what_a_tracker_writes_into_a_run_is_no_run(tmp_path: Path) -> None:
    inside = write_run(tmp_path / "tiny" / "a" / "seed-0", [0, 4]).path / "wandb" / "files"
    inside.mkdir(parents=True)
    (inside / "config.yaml").write_text("_wandb: {}\n")
    assert [run.seed for run in collect([tmp_path]).runs] == [0]


def test_the_task_of_a_run_need_not_be_known_any_more(tmp_path: Path) -> None:
    def forget(document: dict[str, Any]) -> None:
        document["config"]["task"] = document["task"]["name"] = "gone"
        del document["config"]["weight"]  # as if a version had written it that had no such key

    write_run(tmp_path / "gone" / "a" / "seed-0", [0, 4], change=forget)
    assert collect([tmp_path]).tasks == ("gone",)


def test_a_run_directory_alone_is_a_run_and_counts_once(tmp_path: Path) -> None:
    run = write_run(tmp_path / "tiny" / "jax-tqc" / "now", [0, 4])
    assert len(collect([run.path, tmp_path, run.path]).runs) == 1


def test_arms_of_one_name_in_several_folders_are_told_apart(tmp_path: Path) -> None:
    for folder in ("before", "after"):
        write_run(tmp_path / folder / "tiny" / "jax-tqc" / "now", [0, 4], weight=0.1 if folder == "after" else 0.2)
    found = collect([tmp_path / "before", tmp_path / "after"])
    assert found.arms == ("after/jax-tqc", "before/jax-tqc")


def test_what_is_not_finished_is_left_out_and_named(tmp_path: Path) -> None:
    write_run(tmp_path / "tiny" / "base" / "seed-0", [0, 4])
    write_run(tmp_path / "tiny" / "base" / "seed-3", [0, 4], seed=3, finished=False)
    found = collect([tmp_path])
    assert [run.seed for run in found.runs] == [0] and found.unfinished == (("tiny", "base", 3),)
    assert found.missing() == {("tiny", "base"): [3]}
    (tmp_path / "tiny" / "base" / "seed-0" / "finished.json").unlink()
    with pytest.raises(ConfigError, match=r"none of the 2 runs in .* has finished; wait for them"):
        collect([tmp_path])


def test_folders_without_runs_are_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"no runs in .*; runs are written by `mvr train`"):
        collect([tmp_path])
    with pytest.raises(ConfigError, match=r"there is no folder .*absent"):
        collect([tmp_path / "absent"])


def mujoco(version: str) -> Any:
    return lambda document: document["versions"].update(mujoco=version)


def test_other_worlds_are_refused_unless_mixed(tmp_path: Path) -> None:
    write_run(tmp_path / "tiny" / "a" / "seed-0", [0, 4], change=mujoco("3.3.0"))
    write_run(tmp_path / "tiny" / "b" / "seed-0", [0, 4], change=mujoco("4.0.0"))
    with pytest.raises(
        ConfigError, match=r"tiny: the version of mujoco is 3\.3\.0 in .*seed-0 and 4\.0\.0 in .*--mixed"
    ):
        collect([tmp_path])
    found = collect([tmp_path], mixed=True)
    assert len(found.runs) == 2 and "mujoco is 3.3.0" in found.notes[0]


def test_other_steps_and_other_tasks_of_one_name_are_refused(tmp_path: Path) -> None:
    write_run(tmp_path / "one" / "tiny" / "a" / "seed-0", [0, 4])
    write_run(tmp_path / "one" / "tiny" / "b" / "seed-0", [0, 2, 4])
    with pytest.raises(ConfigError, match=r"tiny: steps is 100 in .* and 200 in"):
        collect([tmp_path / "one"])
    write_run(tmp_path / "two" / "tiny" / "a" / "seed-0", [0, 4])
    write_run(tmp_path / "two" / "tiny" / "b" / "seed-0", [0, 4], env_kwargs={"max_steps": 9})
    with pytest.raises(ConfigError, match=r"tiny: .*max_steps is None in .* and 9 in"):
        collect([tmp_path / "two"])


def test_versions_that_have_nothing_to_do_with_the_task_may_differ(tmp_path: Path) -> None:
    def older(document: dict[str, Any]) -> None:
        document["versions"].update(metaworld="2.0.0", tyro="0.9")

    write_run(tmp_path / "tiny" / "a" / "seed-0", [0, 4])
    write_run(tmp_path / "tiny" / "a" / "seed-1", [0, 4], seed=1, change=older)
    assert len(collect([tmp_path]).runs) == 2


def test_an_arm_is_one_configuration_apart_from_seed_and_device(tmp_path: Path) -> None:
    write_run(tmp_path / "tiny" / "a" / "x", [0, 4], seed=0, weight=0.1, device="cpu")
    write_run(tmp_path / "tiny" / "a" / "y", [0, 4], seed=1, weight=0.1, device="cuda", threads=2)
    collect([tmp_path])
    write_run(tmp_path / "tiny" / "a" / "z", [0, 4], seed=2, clip={"stride": 2})
    with pytest.raises(ConfigError, match=r"arm a of tiny: clip\.stride is 4 in .*x and 2 in .*z"):
        collect([tmp_path])


def test_a_seed_counts_once(tmp_path: Path) -> None:
    def later(document: dict[str, Any]) -> None:
        document["started"] = "2027-01-01T00:00:00+00:00"

    write_run(tmp_path / "tiny" / "a" / "x", [0, 1], change=later)
    write_run(tmp_path / "tiny" / "a" / "y", [0, 4])
    with pytest.raises(ConfigError, match="arm a of tiny has seed 0 more than once"):
        collect([tmp_path])
    (run,) = collect([tmp_path], mixed=True).runs
    assert run.path.name == "x"
