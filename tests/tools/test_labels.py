from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.support.pocket_films import EXPERT, NOISY, RANDOM
from tools.pocket.films import SIZE, Facts, Film, read_films, write_shard
from tools.pocket.labels import Clips, label


def _labelled(folder: Path, facts: Facts, subject: str = "push-v3", count: int = 19) -> Clips:
    film = Film(subject, 0, 0.0, 4, 8, count, facts)
    write_shard(folder / "00-x", [film], [np.zeros((count, SIZE, SIZE, 3), np.uint8)])
    return label(read_films(folder))


def test_stages_of_an_episode_in_order(tmp_path: Path) -> None:
    """Begun at 10, touched at 50, solved at 90; clips begin at 4, 12, ... and their last frame is 56 states later."""
    clips = _labelled(tmp_path, EXPERT)
    stages = dict(zip((4 + 8 * clips.frame).tolist(), clips.stage.tolist(), strict=True))
    assert stages == {4: "partial", 12: "partial", 20: "partial", 28: "partial"} | {
        **dict.fromkeys(range(36, 85, 8), "success"),
        92: "held",
    }
    np.testing.assert_allclose(clips.progress[:3], [50 / 80, 58 / 80, 66 / 80])
    assert (np.diff(clips.level[clips.stage == "partial"]) > 0).all()
    assert clips.level[clips.stage == "success"].tolist() == [1.0] * 7


def test_approach_ends_before_the_touch(tmp_path: Path) -> None:
    clips = _labelled(tmp_path, Facts("expert", 0.0, 160, 10, 70, 90))
    assert clips.stage[:2].tolist() == ["approach", "approach"]  # last frames at 60 and 68
    assert clips.stage[2] == "partial"


def test_rest_before_the_behaviour_is_idle(tmp_path: Path) -> None:
    assert _labelled(tmp_path, Facts("expert", 0.0, 160, 80, 100, 120)).stage[0] == "idle"


@pytest.mark.parametrize(("facts", "stage"), [(NOISY, "shaky"), (RANDOM, "random")])
def test_episodes_without_success(tmp_path: Path, facts: Facts, stage: str) -> None:
    clips = _labelled(tmp_path, facts, count=12)
    assert set(clips.stage.tolist()) == {stage}
    assert clips.level.max() <= 0.2 and not clips.progress.any()


def test_what_a_lucky_random_episode_shows_after_success_is_not_labelled(tmp_path: Path) -> None:
    clips = _labelled(tmp_path, Facts("random", 0.0, 160, 0, 40, 76))
    assert (4 + 8 * (clips.frame + 7) < 76).all()


def test_a_prelude_takes_at_most_a_third_of_a_random_clip(tmp_path: Path) -> None:
    clips = _labelled(tmp_path, Facts("random", 0.0, 160, 50, 160, 160))
    assert (4 + 8 * clips.frame + 18 >= 50).all() and len(clips.frame)


def test_strong_noise_lowers_success(tmp_path: Path) -> None:
    clips = _labelled(tmp_path, Facts("expert", 1.0, 160, 10, 50, 90))
    np.testing.assert_allclose(clips.level[clips.stage == "success"], 0.7)


def test_motions_are_stages(tmp_path: Path) -> None:
    clips = _labelled(tmp_path, Facts("fall", 0.0, 96, 0, 96, 96), "ant", 12)
    assert clips.stage.tolist() == ["fall", "fall"]  # later it may lie
