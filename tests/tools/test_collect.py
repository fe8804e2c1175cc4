from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tools.pocket.captions import HELD_OUT, TASKS
from tools.pocket.collect import AFTER, CLIP, TEST_SEEDS, Job, draw_times, plan, run
from tools.pocket.films import FRAMES, Facts, Films, read_films


def _collect(folder: Path, subject: str, split: str, episodes: int) -> Films:
    folder.mkdir(parents=True)
    name, frames = run(Job(subject, split, episodes, 0, 0, folder / f"00-{subject}"))  # type: ignore[arg-type]
    assert name == f"00-{subject}"
    films = read_films(folder)
    assert films.columns["frames"].sum() == frames
    return films


def test_training_films_of_a_task(tmp_path: Path) -> None:
    films = _collect(tmp_path / "a", "window-close-v3", "train", 3)
    c = films.columns
    assert (c["seed"] < TEST_SEEDS).all() and len(films.start) == 6
    assert (c["first"] + c["spacing"] * (c["frames"] - 1) < c["states"]).all()
    again = _collect(tmp_path / "b", "window-close-v3", "train", 3)
    np.testing.assert_array_equal(films.pixels[0], again.pixels[0])


def test_test_films_of_a_task(tmp_path: Path) -> None:
    films = _collect(tmp_path / "a", "window-close-v3", "test", 1)
    c = films.columns
    assert (c["seed"] >= TEST_SEEDS).all()
    assert c["kind"].tolist() == ["expert"] * 6 + ["random"] * 6
    weak = {name: column[0] for name, column in c.items()}
    stops = weak["first"] + weak["spacing"] * np.arange(FRAMES - 1, weak["frames"]) + weak["spacing"] // 2
    assert weak["solved"] + AFTER in stops and stops[-1] == weak["solved"] + AFTER + CLIP
    strong = {name: column[4] for name, column in c.items()}
    assert strong["noise"] == 1 and strong["first"] + CLIP - strong["spacing"] // 2 == weak["solved"] + AFTER


def test_films_of_a_body(tmp_path: Path) -> None:
    films = _collect(tmp_path / "a", "hopper", "train", 1)
    assert films.columns["frames"].tolist() == [12] * 18
    assert set(films.columns["kind"][:4]) == {"stand", "hop"}
    assert all(pixels.std() > 5 for pixels in films.pixels)


@pytest.mark.parametrize("states", [40, 90, 200, 480])
def test_times_fit_the_episode(states: int, rng: np.random.Generator) -> None:
    for _ in range(100):
        first, spacing, count = draw_times(Facts("expert", 0, states, 0, 10, 20), rng)
        assert first >= 0 and FRAMES <= count <= 20
        assert first + spacing * (count - 1) < states


def test_plan_keeps_held_out_tasks_for_the_test(tmp_path: Path) -> None:
    train = plan(tmp_path, "train", 12, 4, 2, 0)
    assert not {job.subject for job in train} & set(HELD_OUT) and len(train) == 2 * 50
    assert set(TASKS) <= {job.subject for job in plan(tmp_path, "test", 6, 6, 1, 0)}
    assert len({job.path for job in train}) == len(train)
