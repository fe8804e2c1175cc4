from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from mvr_wrappers.filming.renderer import Renderer
from mvr_wrappers.scorers.pocket import PocketScorer
from mvr_wrappers.scorers.pocket_net import PocketConfig, VideoTower
from tools.pocket.captions import TASKS
from tools.pocket.collect import TEST_SEEDS, UNSEEN, UNSEEN_HALF_WIDTH, Take, draw_camera, film_take, ring_camera
from tools.pocket.episodes import Behaviour, Episode, Scene, window
from tools.pocket.evaluate import auc, view_share
from tools.pocket.train import build, fold, matching_term, order_term, save


def test_auc_by_hand() -> None:
    assert auc(np.array([3.0, 1.0]), np.array([2.0, 1.0, 0.0])) == pytest.approx((3 + 1.5) / 6)
    assert auc(np.array([2.0]), np.array([1.0])) == 1.0


def test_view_share() -> None:
    scores, views = np.array([0.0, 0.0, 1.0, 1.0]), np.array([0, 0, 90, 90])
    assert view_share(scores, views) == 1.0
    noise = np.random.default_rng(0).normal(size=4_000)
    assert view_share(noise, np.arange(4_000) % 4) < 0.01
    # Two views whose means differ by 2 deviations: variance 1 between, 1 within.
    assert view_share(noise + 2 * (np.arange(4_000) % 2), np.arange(4_000) % 2) == pytest.approx(0.5, abs=0.03)


def test_matching_term_by_hand() -> None:
    logits, match = torch.tensor([[2.0, -1.0], [0.5, 3.0]]), torch.eye(2)
    weight = torch.tensor([[1.0, 1.0], [0.0, 1.0]])
    expected = -sum(np.log(1 / (1 + np.exp(-x))) for x in (2.0, 1.0, 3.0)) / 2
    assert matching_term(logits, match, weight).item() == pytest.approx(expected, rel=1e-5)


def test_order_term_by_hand() -> None:
    scores, level, owner = torch.tensor([0.3, 0.1, 0.9]), torch.tensor([3.0, 0.0, 1.0]), torch.tensor([0, 0, 1])
    assert order_term(scores, level, owner).item() == pytest.approx(np.log1p(np.exp(-2.0)), rel=1e-5)
    assert order_term(scores, torch.zeros(3), owner).item() == 0


def test_folding_keeps_the_function(rng: np.random.Generator) -> None:
    torch.manual_seed(0)
    config = PocketConfig(widths=(8, 12, 16, 20), temporal_widths=(12, 16), embed_dim=8)
    towers = build(config)
    video = towers["video"]
    assert isinstance(video, VideoTower)
    frames = torch.from_numpy(rng.uniform(0, 255, (4, 8, 3, 96, 96)).astype(np.float32))
    for norm in video.norms:
        torch.nn.init.normal_(norm.weight)
        torch.nn.init.normal_(norm.bias)
    for _ in range(3):
        video(frames)
    torch.testing.assert_close(fold(video, config)(frames), video.eval()(frames), atol=1e-4, rtol=1e-4)


def test_saved_weights_load(tmp_path: Path, rng: np.random.Generator) -> None:
    config = PocketConfig(widths=(8, 12, 16, 20), temporal_widths=(12, 16), embed_dim=8, buckets=64)
    save(build(config), config, tmp_path / "small.safetensors")
    scorer = PocketScorer("cpu", weights=tmp_path / "small.safetensors")
    assert scorer.embed_video(rng.integers(0, 256, (2, 8, 96, 96, 3), np.uint8)).shape == (2, 8)


def test_training_views_leave_the_test_windows_alone(rng: np.random.Generator) -> None:
    azimuths = np.array([draw_camera(rng).azimuth for _ in range(500)])
    gaps = np.abs((azimuths[:, None] - UNSEEN + 180) % 360 - 180)
    assert gaps.min() >= UNSEEN_HALF_WIDTH
    assert len(np.unique(azimuths // 30)) == 8  # of twelve bins, the four about the test views are empty


def _episode(kind: str, states: int, touched: int, solved: int | None, begun: int = 0) -> Episode:
    success = np.zeros(states, bool)
    if solved is not None:
        success[solved:] = True
    return Episode(Behaviour(kind), np.zeros((states, 1)), success, touched, begun)  # type: ignore[arg-type]


def test_windows_show_what_they_are_said_to(rng: np.random.Generator) -> None:
    solved = _episode("expert", states=220, touched=60, solved=100)
    for _ in range(50):
        start, stop = window(solved, "success", 64, rng) or (0, 0)
        assert stop - start == 64 and start < 100 < stop <= 120
        start, stop = window(solved, "held", 64, rng) or (0, 0)
        assert start >= 100
        start, stop = window(solved, "partial", 64, rng) or (0, 0)
        assert 60 < stop <= 90
        start, stop = window(solved, "approach", 64, rng) or (0, 0)
        assert 24 <= stop < 60
    for stage in ("failed", "random", "idle"):
        assert window(solved, stage, 64, rng) is None
    lucky = _episode("random", states=150, touched=20, solved=40)
    assert all(window(lucky, stage, 64, rng) is None for stage in ("success", "random"))
    start, stop = window(_episode("random", 150, 150, None, begun=50), "random", 60, rng) or (0, 0)
    assert start >= 30  # at most a third of the clip is the prelude
    assert window(_episode("missed", 150, 150, None), "failed", 64, rng) is not None
    assert window(_episode("missed", 150, 60, 100), "failed", 64, rng) is None


@pytest.mark.parametrize("task", ["window-close-v3", "faucet-close-v3"])
def test_success_scores_above_random_behaviour(task: str) -> None:
    """Episodes played and filmed here, with seeds never trained on, from two views of the usual ring."""
    scene, scorer = Scene(task), PocketScorer("cpu")
    plans = {"good": Behaviour("expert", noise=0.1), "bad": Behaviour("random", steps=100)}
    clips: dict[str, list[np.ndarray]] = {name: [] for name in plans}
    with Renderer(scene.env.model, scorer.image_size, "fast") as renderer:
        for seed in range(TEST_SEEDS + 500_000, TEST_SEEDS + 500_003):
            for name, plan in plans.items():
                episode = scene.play(plan, seed)
                span = len(episode.physics) - 64, len(episode.physics)
                take = Take(name, seed, episode, span, [ring_camera(0), ring_camera(180)])
                clips[name].append(film_take(renderer, take))
    prompt = scorer.embed_text([TASKS[task].prompt])[0]
    good, bad = (scorer.embed_video(np.concatenate(clips[name])) @ prompt for name in plans)
    assert auc(good, bad) > 0.9
