from __future__ import annotations

import numpy as np
import pytest

from mvr_wrappers.filming.renderer import Renderer, film
from mvr_wrappers.scorers import load_scorer
from tools.pocket.captions import TASKS, prompt
from tools.pocket.collect import TEST_SEEDS
from tools.pocket.episodes import Behaviour, Scene
from tools.pocket.evaluate import COMPARISONS, Scored, compare, follow, judge, motions, select, view_shares
from tools.pocket.figures import auc
from tools.pocket.films import SIZE, Facts, Film, Films, read_films, write_shard
from tools.pocket.views import table_camera

WEAK = Facts("expert", 0.1, states=195, begun=64, touched=104, solved=120)
STRONG, RANDOM = Facts("expert", 1.0, 131, 64, 128, 131), Facts("random", 0.0, 141, 0, 141, 141)
NEAR = Facts("random", 0.0, 101, 20, 101, 101)


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> Films:
    """Two episodes of a task from four views, as the test split has them, and a body's two motions."""
    folder, rows = tmp_path_factory.mktemp("films"), []
    for seed in (1, 2):
        for azimuth in (0.0, 90.0):
            rows.append(Film("push-v3", seed, azimuth, 6, 8, 24, WEAK))
            rows.append(Film("push-v3", seed, azimuth, 70, 8, 8, STRONG))
            rows.append(Film("push-v3", seed, azimuth, 40, 8, 8, NEAR))
        rows += [Film("push-v3", seed, azimuth, 70, 8, 8, WEAK) for azimuth in (47.0, 131.0)]
        rows += [Film("push-v3", seed, azimuth, 80, 8, 8, RANDOM) for azimuth in (0.0, 90.0, 47.0, 131.0)]
    for number, motion in enumerate(("walk", "lie")):
        rows += [Film("ant", number, a, 0, 8, 8, Facts(motion, 0, 64, 0, 64, 64)) for a in (0.0, 90.0, 50.0, 130.0)]
    rng = np.random.default_rng(0)
    write_shard(folder / "00-a", rows, [rng.integers(0, 256, (row.frames, SIZE, SIZE, 3), np.uint8) for row in rows])
    return read_films(folder)


def _scored(films: Films, score: dict[str, float]) -> Scored:
    """Scores that are the given number for each kind of clip, and the progress where none is given."""
    film, _, kind, progress = select(films, TASKS)
    values = np.array([score.get(k, p) for k, p in zip(kind, progress, strict=True)])
    return Scored(film, kind, progress, values, -values)


def test_clips_of_the_test_are_where_they_are_said_to_be(films: Films) -> None:
    film, frame, kind, progress = select(films, TASKS)
    c = films.columns
    stop = c["first"][film] + 8 * (frame + 7) + 4
    weak = (c["kind"][film] == "expert") & (c["noise"][film] < 0.5)
    assert set(stop[weak & (kind == "success")]) == {130}
    assert set(stop[weak & (kind == "held")]) == {194}
    assert set(stop[weak & (kind == "approach")]) == {98}  # the last before the touch at 104
    assert sorted(set(stop[weak & (kind == "")])) == [66, 74, 82, 90, 106, 114, 122]
    np.testing.assert_allclose(progress[weak & (stop == 90)], 26 / 56)
    assert [(kind == name).sum() for name in ("success", "strong", "random", "near")] == [8, 4, 8, 4]


def test_comparisons(films: Films) -> None:
    scored = _scored(films, {"success": 1.0, "strong": 0.5, "random": 0.0, "approach": 1.0, "near": 2.0, "held": -1.0})
    means = {title[0]: compare(films, scored, title, ["push-v3"], 10).mean for title in COMPARISONS}
    assert means["a"] == means["b"] == 1  # over random clips, in views of the ring and in others
    assert means["c"] == 0.5
    assert means["f"] == 0  # the reworded prompt's scores have the other sign
    assert compare(films, scored, "j. success / near", ["push-v3"], 10).mean == 0
    assert not compare(films, scored, "j. success / near", ["push-v3", "hammer-v3"], 10).tasks.keys() - {"push-v3"}


def test_following_progress(films: Films) -> None:
    assert follow(films, _scored(films, {"success": 1.0}), ["push-v3"], 10).mean == pytest.approx(1)
    scored = _scored(films, {"success": 1.0})
    backwards = Scored(scored.film, scored.kind, scored.progress, -scored.published, scored.reworded)
    assert follow(films, backwards, ["push-v3"], 10).mean == pytest.approx(-1)


@pytest.mark.filterwarnings("error")
def test_view_shares(films: Films) -> None:
    film, _, kind, progress = select(films, TASKS)
    by_view = films.columns["azimuth"][film]
    shares = view_shares(films, Scored(film, kind, progress, by_view, by_view))
    assert shares["all"] == [1.0]


def test_motions_of_a_body(films: Films) -> None:
    figure = motions(load_scorer("pocket", "cpu"), films, True, 10)
    assert figure.tasks.keys() == {"ant"} and 0 <= figure.mean <= 1


def test_a_report_of_what_there_is(films: Films) -> None:
    report = judge(load_scorer("pocket", "cpu"), films, 3.0, 10)
    assert list(report.tasks) == ["trained tasks (1)", "the paper's (1)"]
    lines = report.lines()
    assert [line[:4] for line in lines[2:11]] == [f"| {letter}." for letter in "abcdefijk"]
    assert any(line.startswith("| of which ant | ") for line in lines)


@pytest.mark.parametrize("task", ["window-close-v3", "faucet-close-v3"])
def test_success_scores_above_random_behaviour(task: str) -> None:
    """Episodes played and filmed here, with seeds never trained on, from two views of the usual ring."""
    scene, scorer = Scene(task), load_scorer("pocket", "cpu")
    plans = {"good": Behaviour("expert", noise=0.1), "bad": Behaviour("random", steps=100)}
    clips: dict[str, list[np.ndarray]] = {name: [] for name in plans}
    with Renderer(scene.model, scorer.image_size, "fast") as renderer:
        for seed in range(TEST_SEEDS + 500_000, TEST_SEEDS + 500_003):
            for name, behaviour in plans.items():
                physics = scene.play(behaviour, seed).physics
                times = len(physics) - 60 + 8 * np.arange(8)
                clips[name].append(film(renderer, physics, times, [table_camera(0), table_camera(180)]))
    sentence = scorer.embed_text([prompt(task)])[0]
    good, bad = (scorer.embed_video(np.concatenate(clips[name])) @ sentence for name in plans)
    assert auc(good, bad) > 0.9
