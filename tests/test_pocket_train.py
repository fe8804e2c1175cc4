from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from mvr_wrappers.scorers.pocket import PocketScorer
from mvr_wrappers.scorers.pocket_net import PocketConfig, VideoTower
from tests.pocket_films import write_films
from tools.pocket.batches import Sampler
from tools.pocket.films import read_films
from tools.pocket.labels import label
from tools.pocket.train import Settings, Trainer, build, fold, save

SMALL = PocketConfig(widths=(8, 12, 16, 20), temporal_widths=(12, 16), embed_dim=8, buckets=64)
CPU = torch.device("cpu")


@pytest.fixture
def folder(tmp_path: Path, rng: np.random.Generator) -> Path:
    write_films(tmp_path / "train", rng, bodies=False)
    return tmp_path


def _trainer(folder: Path, **settings: float) -> Trainer:
    chosen = Settings(steps=4, groups=2, half=False, **settings)  # type: ignore[arg-type]
    films = read_films(folder / "train")
    return Trainer(Sampler(films, label(films), chosen.seed, chosen.groups), chosen, CPU, SMALL)


def test_folding_keeps_the_function(rng: np.random.Generator) -> None:
    torch.manual_seed(0)
    video = build(SMALL)["video"]
    assert isinstance(video, VideoTower)
    frames = torch.from_numpy(rng.uniform(0, 255, (4, 8, 3, 96, 96)).astype(np.float32))
    for norm in video.norms:
        torch.nn.init.normal_(norm.weight)
        torch.nn.init.normal_(norm.bias)
    for _ in range(3):
        video(frames)
    torch.testing.assert_close(fold(video, SMALL)(frames), video.eval()(frames), atol=1e-4, rtol=1e-4)


def test_saved_weights_load(tmp_path: Path, rng: np.random.Generator) -> None:
    save(build(SMALL), SMALL, tmp_path / "small.safetensors")
    scorer = PocketScorer("cpu", weights=tmp_path / "small.safetensors")
    assert scorer.embed_video(rng.integers(0, 256, (2, 8, 96, 96, 3), np.uint8)).shape == (2, 8)


def test_a_run_that_was_cut_goes_on_to_the_bit(folder: Path) -> None:
    whole = _trainer(folder)
    for _ in range(4):
        whole.advance()
    first = _trainer(folder)
    for _ in range(2):
        first.advance()
    first.save(folder / "run.checkpoint")
    second = _trainer(folder)
    second.load(folder / "run.checkpoint")
    for _ in range(2):
        second.advance()
    assert second.step == whole.step == 4
    for name, tensor in whole.towers.state_dict().items():
        assert torch.equal(tensor, second.towers.state_dict()[name]), name


def test_steps_lower_the_loss(folder: Path) -> None:
    """On a batch drawn again and again."""
    trainer = _trainer(folder, rate=5e-3)
    state = trainer.sampler.rng.bit_generator.state
    terms = []
    for _ in range(30):
        trainer.sampler.rng.bit_generator.state = state
        trainer.step = 1  # neither rising from zero for long nor falling to it
        terms.append(trainer.advance())
    assert terms[-1][0] < 0.8 * terms[0][0]


def test_training_may_start_from_weights(folder: Path, rng: np.random.Generator) -> None:
    """What is saved without a step taken is what was there, but for half precision."""
    save(build(SMALL), SMALL, folder / "first.safetensors")
    films = read_films(folder / "train")
    sampler = Sampler(films, label(films), 0, 2)
    trainer = Trainer(sampler, Settings(steps=4, groups=2, half=False), CPU, start=folder / "first.safetensors")
    save(trainer.towers, trainer.config, folder / "second.safetensors")
    video = rng.integers(0, 256, (2, 8, 96, 96, 3), np.uint8)
    rows = [PocketScorer("cpu", weights=folder / f"{n}.safetensors").embed_video(video) for n in ("first", "second")]
    np.testing.assert_array_equal(*rows)
    before = trainer.towers["video"].project.weight.clone()
    trainer.advance()
    assert not torch.equal(before, trainer.towers["video"].project.weight)
