"""The numbers of a report, on runs few enough to do by hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from mvr_agents.sweeps.collect import collect
from mvr_agents.sweeps.findings import find
from mvr_agents.sweeps.lines import common_steps
from mvr_wrappers.errors import ConfigError
from tests.support.known import present
from tests.support.run_folders import write_run

TASKS = ("tiny", "hammer-v3")
SOLVED = {  # of four episodes, in three evaluations; by arm, task and seed
    ("a", "tiny"): ([0, 4, 4], [0, 2, 4]),
    ("a", "hammer-v3"): ([0, 0, 4], [0, 0, 0]),
    ("b", "tiny"): ([0, 0, 4], [0, 0, 2]),
    ("b", "hammer-v3"): ([0, 0, 0], [0, 0, 0]),
}


@pytest.fixture(scope="module")
def suite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("suite")
    for (arm, task), curves in SOLVED.items():
        for seed, curve in enumerate(curves):
            write_run(folder / task / arm / f"seed-{seed}", curve, seed=seed, task=task)
    return folder


def test_tasks_are_taken_together(suite: Path) -> None:
    """Areas over (0, 100, 200): of a .75, .5 on tiny and .25, 0 on hammer; of b .25, .125 and 0, 0."""
    found = find(collect([suite]), "success_auc", "arm")
    (group,) = found.groups
    assert group.name == "2 tasks" and set(group.tasks) == set(TASKS) and group.arms == ("a", "b")
    values = {(result.arm, result.metric): float(result.estimate.value) for result in found.results}
    assert values["a", "success_auc"] == pytest.approx((0.5 + 0.25) / 2)
    assert values["b", "success_auc"] == pytest.approx((0 + 0.125) / 2)
    assert values["a", "final_success"] == 1.0  # 0 and one of three 1 are cut
    assert values["b", "final_success"] == pytest.approx((0 + 0.5) / 2)
    assert values["a", "steps_to_50"] == pytest.approx((100 + 200) / 2)
    assert values["b", "steps_to_50"] == np.inf  # 200, 200, never, never
    assert ("a", "final_return") not in values  # not on one scale
    assert {result.runs for result in found.results} == {4}


def test_pairs_of_arms(suite: Path) -> None:
    """Of a against b, 4 of 4 pairs are better on tiny; on hammer 2 better, 2 equal. Differences: .5, .375, .25, 0."""
    (pair,) = find(collect([suite]), "success_auc", "arm").comparisons
    assert (pair.arm, pair.other) == ("a", "b")
    assert pair.improvement.value == pytest.approx((4 / 4 + 3 / 4) / 2)
    assert sorted(pair.pairs) == [0, 0.25, 0.375, 0.5]
    assert present(pair.difference).value == pytest.approx((0.25 + 0.375) / 2)
    assert present(pair.means).value == pytest.approx(((0.625 - 0.1875) + (0.125 - 0)) / 2)


def test_fewer_steps_are_better_and_never_is_the_whole_length(suite: Path) -> None:
    """Steps of a 100, 100, 200, never; of b 200, 200, never, never; a run is 200 steps long."""
    (pair,) = find(collect([suite]), "steps_to_50", "arm").comparisons
    assert pair.improvement.value == pytest.approx((4 / 4 + 3 / 4) / 2)
    assert sorted(pair.pairs) == [-100, -100, 0, 0]
    assert present(pair.difference).value == -50


def test_tasks_are_kept_apart(suite: Path) -> None:
    found = find(collect([suite]), "final_return", "task")
    assert [group.name for group in found.groups] == ["hammer-v3", "tiny"]
    values = {(r.group.name, r.arm): float(r.estimate.value) for r in found.results if r.metric == "final_return"}
    assert values == {("hammer-v3", "a"): 2, ("hammer-v3", "b"): 0, ("tiny", "a"): 4, ("tiny", "b"): 3}
    assert {(line.group.name, line.quantity) for line in found.curves} == {
        (task, quantity) for task in TASKS for quantity in ("success", "return", "fade")
    }


def test_curves_are_means_over_runs_at_each_step(suite: Path) -> None:
    curve, _, fade, _ = find(collect([suite]), "success_auc", "arm").curves
    assert (curve.arm, curve.quantity, curve.x.tolist()) == ("a", "success", [0, 100, 200])
    assert curve.estimate.value.tolist() == [0, (0 + 0.5) / 2, 1]
    assert (fade.quantity, fade.x.tolist()) == ("fade", [0, 100, 200])
    assert fade.estimate.value.tolist() == pytest.approx([0.1, 0.1 / 2, 0.1 / 3])


def test_arms_without_shaping_have_no_fade(tmp_path: Path) -> None:
    for arm in ("shaped", "plain"):
        write_run(tmp_path / "tiny" / arm / "seed-0", [0, 4], shaping=arm == "shaped")
    curves = find(collect([tmp_path]), "success_auc", "arm").curves
    assert [line.arm for line in curves if line.quantity == "fade"] == ["shaped"]


def test_profiles_are_shares_of_runs(suite: Path) -> None:
    (profile, _) = find(collect([suite]), "success_auc", "arm").profiles
    at = dict(zip(np.round(profile.x, 2).tolist(), profile.estimate.value, strict=True))
    assert (at[0.0], at[0.3], at[0.6], at[0.8]) == (0.75, 0.5, 0.25, 0)
    (profile, _) = find(collect([suite]), "steps_to_50", "arm").profiles  # those of fewer steps than x
    assert profile.x[0] == 100 and profile.x[-1] == 200
    assert (profile.estimate.value[0], profile.estimate.value[50]) == (0, 0.5)


def test_returns_of_different_tasks_are_not_averaged(suite: Path) -> None:
    with pytest.raises(ConfigError, match=r"not on one scale; give --by task"):
        find(collect([suite]), "final_return", "arm")


def test_returns_of_different_rewards_are_not_compared(tmp_path: Path) -> None:
    for arm, reward in (("a", "dense"), ("b", "sparse")):
        write_run(tmp_path / "push-v3" / arm / "seed-0", [0, 4], task="push-v3", task_reward=reward)
    with pytest.raises(ConfigError, match="returns of push-v3 are of different rewards, dense and sparse"):
        find(collect([tmp_path]), "final_return", "task")
    found = find(collect([tmp_path]), "success_auc", "arm")
    assert {line.quantity for line in found.curves} == {"success", "fade"}
    assert "final_return" not in {result.metric for result in found.results}


def test_a_task_that_says_nothing_of_success(tmp_path: Path) -> None:
    for arm in ("a", "b"):
        write_run(tmp_path / "tiny" / arm / "seed-0", None, returns=[0, 5])
    with pytest.raises(ConfigError, match="tiny never reports success; give --metric final_return"):
        find(collect([tmp_path]), "success_auc", "arm")
    found = find(collect([tmp_path]), "final_return", "arm")
    assert {result.metric for result in found.results} == {"final_return"}
    assert {line.quantity for line in found.curves} == {"return", "fade"}
    assert np.isnan(found.comparisons[0].improvement.low)  # one seed


def test_tasks_that_an_arm_lacks_are_left_out(tmp_path: Path) -> None:
    for arm, task in (("a", "tiny"), ("a", "hammer-v3"), ("b", "tiny")):
        write_run(tmp_path / task / arm / "seed-0", [0, 4], task=task)
    found = find(collect([tmp_path]), "success_auc", "arm")
    assert found.groups[0].tasks == ("tiny",) and found.notes == ("Left out, as an arm has no runs of it: hammer-v3.",)
    write_run(tmp_path / "push-v3" / "c" / "seed-0", [0, 4], task="push-v3")
    with pytest.raises(ConfigError, match=r"no task has runs of all arms \(a, b, c\); give --by task"):
        find(collect([tmp_path]), "success_auc", "arm")


def test_seeds_that_are_not_shared_are_not_paired(tmp_path: Path) -> None:
    for arm, seed in (("a", 0), ("a", 1), ("b", 1), ("b", 2)):
        write_run(tmp_path / "tiny" / arm / f"seed-{seed}", [0, seed + 1], seed=seed)
    (pair,) = find(collect([tmp_path]), "final_success", "arm").comparisons
    assert pair.pairs.tolist() == [0] and present(pair.difference).value == 0
    (apart,) = find(collect([tmp_path / "tiny/a/seed-0", tmp_path / "tiny/b"]), "final_success", "arm").comparisons
    assert apart.difference is None and not len(apart.pairs)


def test_curves_of_other_steps_meet_where_all_have_some() -> None:
    grid = common_steps([np.array([0, 100, 200]), np.array([0, 150, 180])])
    assert grid.tolist() == [0, 100, 150, 180]
