from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from mvr_wrappers.scorers import load_scorer
from mvr_wrappers.scorers.pocket.net import PocketConfig, VideoTower
from tests.support.known import of_type
from tests.support.pocket_films import write_films
from tools.pocket.batches import Sampler
from tools.pocket.films import read_films
from tools.pocket.labels import label
from tools.pocket.train import Settings, Trainer, build, fold, main, save

SMALL = PocketConfig(widths=(8, 12, 16, 20), temporal_widths=(12, 16), embed_dim=8, buckets=64)
CPU = torch.device("cpu")


@pytest.fixture
def folder(tmp_path: Path, rng: np.random.Generator) -> Path:
    write_films(tmp_path / "train", rng, bodies=False)
    return tmp_path


@pytest.fixture
def batches(folder: Path) -> Sampler:
    films = read_films(folder / "train")
    return Sampler(films, label(films), seed=0, groups=2)


def _trainer(**settings: float) -> Trainer:
    return Trainer(Settings(steps=4, groups=2, half=False, **settings), CPU, SMALL)  # type: ignore[arg-type]


def test_folding_keeps_the_function(rng: np.random.Generator) -> None:
    torch.manual_seed(0)
    video = build(SMALL)["video"]
    assert isinstance(video, VideoTower)
    frames = torch.from_numpy(rng.uniform(0, 255, (4, 8, 3, 96, 96)).astype(np.float32))
    norms: Any = video.norms
    for norm in norms:
        torch.nn.init.normal_(norm.weight)
        torch.nn.init.normal_(norm.bias)
    for _ in range(3):
        video(frames)
    torch.testing.assert_close(fold(video, SMALL)(frames), video.eval()(frames), atol=1e-4, rtol=1e-4)


def test_saved_weights_load(tmp_path: Path, rng: np.random.Generator) -> None:
    save(build(SMALL), SMALL, tmp_path / "small.safetensors")
    scorer = load_scorer("pocket", "cpu", weights=tmp_path / "small.safetensors")
    assert scorer.embed_video(rng.integers(0, 256, (2, 8, 96, 96, 3), np.uint8)).shape == (2, 8)


def test_a_run_that_was_cut_goes_on_to_the_bit(folder: Path, batches: Sampler) -> None:
    whole, first, second = _trainer(), _trainer(), _trainer()
    for step in range(4):
        whole.advance(batches[step])
    for step in range(2):
        first.advance(batches[step])
    first.save(folder / "run.checkpoint")
    second.load(folder / "run.checkpoint")
    for step in range(second.step, 4):
        second.advance(batches[step])
    assert second.step == whole.step == 4
    for name, tensor in whole.towers.state_dict().items():
        assert torch.equal(tensor, second.towers.state_dict()[name]), name


def test_steps_lower_the_loss(batches: Sampler) -> None:
    """On one batch again and again."""
    trainer, batch, terms = _trainer(rate=5e-3), batches[0], []
    for _ in range(30):
        trainer.step = 1  # neither rising from zero for long nor falling to it
        terms.append(trainer.advance(batch))
    assert terms[-1][0] < 0.8 * terms[0][0]


@pytest.fixture
def deterministic(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Takes back what the command sets for its own process."""
    monkeypatch.setenv("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    yield
    torch.use_deterministic_algorithms(False)


@pytest.mark.usefixtures("deterministic")
def test_the_command_goes_on_where_it_was(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = folder / "out" / "pocket.safetensors"
    for steps in (1, 2):
        main(Settings(steps=steps, groups=1, half=False), folder, out, "cpu")
    assert "going on from step 1" in capsys.readouterr().out
    assert load_scorer("pocket", "cpu", weights=out).embed_dim == 128


def test_training_may_start_from_weights(folder: Path, batches: Sampler, rng: np.random.Generator) -> None:
    """What is saved without a step taken is what was there, but for half precision."""
    save(build(SMALL), SMALL, folder / "first.safetensors")
    trainer = Trainer(Settings(steps=4, groups=2, half=False), CPU, start=folder / "first.safetensors")
    save(trainer.towers, trainer.config, folder / "second.safetensors")
    video = rng.integers(0, 256, (2, 8, 96, 96, 3), np.uint8)
    first, second = (
        load_scorer("pocket", "cpu", weights=folder / f"{n}.safetensors").embed_video(video)
        for n in ("first", "second")
    )
    np.testing.assert_array_equal(first, second)
    video_tower = of_type(VideoTower, trainer.towers["video"])
    before = video_tower.project.weight.clone()
    trainer.advance(batches[0])
    assert not torch.equal(before, video_tower.project.weight)
