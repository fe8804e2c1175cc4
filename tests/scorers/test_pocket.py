from __future__ import annotations

import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from mvr_wrappers.errors import ConfigError, ScorerError
from mvr_wrappers.scorers import Scorer, load_scorer
from mvr_wrappers.scorers.pocket.net import PocketConfig, TextTower, VideoTower, pieces
from mvr_wrappers.scorers.pocket.scorer import WEIGHTS, PocketScorer, load_pocket
from tests.support.tiny_viclip import write_pth

CPU = torch.device("cpu")
SENTENCES = [
    "a robot gripper pushing a cylinder",
    "Робот закрывает окно",
    "zxqv",
    "🙂",
    "?!",
    "push " * 2_000,
]


@pytest.fixture(scope="module")
def pocket() -> PocketScorer:
    return load_pocket(CPU, torch.float32)


@pytest.fixture
def videos(rng: np.random.Generator) -> np.ndarray:
    return rng.integers(0, 256, (3, 8, 96, 96, 3), np.uint8)


def test_comes_with_the_package(pocket: PocketScorer) -> None:
    assert isinstance(pocket, Scorer)
    assert load_scorer("pocket", device="cpu").embed_dim == pocket.embed_dim
    assert WEIGHTS.stat().st_size <= 10e6


def test_rows_are_unit_vectors(pocket: PocketScorer, videos: np.ndarray) -> None:
    for rows, count in ((pocket.embed_video(videos), 3), (pocket.embed_text(SENTENCES), len(SENTENCES))):
        assert rows.dtype == np.float32 and rows.shape == (count, pocket.embed_dim)
        np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1, atol=1e-5)


def test_is_deterministic_and_does_not_depend_on_the_batch(pocket: PocketScorer, videos: np.ndarray) -> None:
    rows = pocket.embed_video(videos)
    np.testing.assert_array_equal(rows, load_pocket(CPU, torch.float32).embed_video(videos))
    np.testing.assert_allclose(rows, np.concatenate([pocket.embed_video(v[None]) for v in videos]), atol=1e-5)
    many = pocket.embed_video(np.repeat(videos, 6, axis=0))  # more than one forward pass
    np.testing.assert_allclose(many, np.repeat(rows, 6, axis=0), atol=1e-5)


def test_resamples_other_numbers_of_frames(pocket: PocketScorer, videos: np.ndarray) -> None:
    rows = pocket.embed_video(videos)
    np.testing.assert_array_equal(pocket.embed_video(np.repeat(videos, 3, axis=1)), rows)
    halved = pocket.embed_video(videos[:, ::2])
    np.testing.assert_array_equal(halved, pocket.embed_video(np.repeat(videos[:, ::2], 2, axis=1)))
    assert pocket.embed_video(videos[:, :1]).shape == rows.shape


def test_resizes_other_frames(pocket: PocketScorer) -> None:
    gradient = np.linspace(0, 255, 224).astype(np.uint8)
    large = np.broadcast_to(gradient[None, None, :, None, None], (1, 8, 224, 224, 3))
    small = np.broadcast_to(np.linspace(0, 255, 96).astype(np.uint8)[None, None, :, None, None], (1, 8, 96, 96, 3))
    assert (pocket.embed_video(large) @ pocket.embed_video(small).T).item() > 0.99
    assert pocket.embed_video(large[:, :, :60, :90]).shape == (1, pocket.embed_dim)


def test_the_order_of_frames_matters(pocket: PocketScorer, videos: np.ndarray) -> None:
    assert np.abs(pocket.embed_video(videos) - pocket.embed_video(videos[:, ::-1])).max() > 1e-3


def test_empty_batches(pocket: PocketScorer) -> None:
    assert pocket.embed_video(np.zeros((0, 8, 96, 96, 3), np.uint8)).shape == (0, pocket.embed_dim)
    assert pocket.embed_text([]).shape == (0, pocket.embed_dim)


@pytest.mark.parametrize(
    "bad",
    [
        np.zeros((1, 8, 96, 96, 3), np.float32),
        np.zeros((8, 96, 96, 3), np.uint8),
        np.zeros((1, 8, 3, 96, 96), np.uint8),
        np.zeros((1, 0, 96, 96, 3), np.uint8),
    ],
)
def test_refuses_what_is_no_video(pocket: PocketScorer, bad: np.ndarray) -> None:
    with pytest.raises(ConfigError, match=re.escape("uint8 frames (B, F, H, W, 3)")):
        pocket.embed_video(bad)


def test_refuses_empty_prompts_and_bare_strings(pocket: PocketScorer) -> None:
    with pytest.raises(ConfigError, match="prompt is '  '; write one sentence"):
        pocket.embed_text(["fine", "  "])
    with pytest.raises(ConfigError, match="takes a list of prompts"):
        pocket.embed_text("a robot")


def test_prompts_are_embedded_once(pocket: PocketScorer, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[list[str]] = []
    run = pocket._text.forward
    monkeypatch.setattr(pocket._text, "forward", lambda prompts: seen.append(list(prompts)) or run(prompts))
    rows = pocket.embed_text(["a lamp", "a cup", "a lamp"])
    np.testing.assert_array_equal(pocket.embed_text(["a cup", "a lamp"]), rows[[1, 0]])
    assert seen == [["a lamp", "a cup"]]


def test_paraphrases_are_near_and_opposites_are_not(pocket: PocketScorer) -> None:
    prompt, *others = pocket.embed_text(
        [
            "a robot gripper pushing and closing a window",
            "A robot gripper, closing the window!",
            "a robotic gripper slides the window shut",
            "a robot gripper moving at random near a window",
            "a robot gripper pushing and opening a window",
        ]
    )
    same, shut, random, opening = (float(prompt @ other) for other in others)
    assert min(same, shut) > 0.9
    assert random < 0.7
    assert opening < min(same, shut) - 0.05  # one word differs


def test_pieces_ignore_case_and_punctuation() -> None:
    assert pieces("Push, it!") == pieces("push it")
    assert pieces("ab c") == ["<ab>", "<c>", "ab c", "<ab", "ab>", "<ab>", "<c>"]
    assert pieces("🙂 🙂")[:3] == ["<🙂>", "<🙂>", "🙂 🙂"]


def test_first_layer_sees_frames_and_their_difference_from_the_mean(rng: np.random.Generator) -> None:
    """Concatenating frame - mean to every frame is one linear map of (frame, mean): filters (a + b, -b)."""
    tower = VideoTower(PocketConfig())
    frames = torch.from_numpy(rng.uniform(0, 255, (1, 8, 3, 96, 96)).astype(np.float32))
    on_frame, on_difference = tower.frame.weight + tower.mean.weight, -tower.mean.weight
    pixels = (frames - 128) / 64
    both = torch.cat([pixels, pixels - pixels.mean(1, keepdim=True)], 2).flatten(0, 1)
    expected = torch.conv2d(both, torch.cat([on_frame, on_difference], 1), tower.frame.bias, 4, 3).relu()
    seen = []
    tower.spatial[0].register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0].clone()))
    tower(frames)
    torch.testing.assert_close(seen[0], expected, atol=1e-4, rtol=1e-4)


def test_half_precision_is_close(pocket: PocketScorer, videos: np.ndarray) -> None:
    rows = load_pocket(CPU, torch.bfloat16).embed_video(videos)
    assert (rows * pocket.embed_video(videos)).sum(1).min() > 0.98


def refusal(weights: Path) -> str:
    with pytest.raises(ScorerError) as caught:
        load_pocket(CPU, torch.float32, weights)
    return str(caught.value)


def test_weights_come_from_a_file_or_its_folder(tmp_path: Path, pocket: PocketScorer, videos: np.ndarray) -> None:
    shutil.copy(WEIGHTS, tmp_path / "pocket.safetensors")
    for weights in (tmp_path, tmp_path / "pocket.safetensors"):
        scorer = load_scorer("pocket", "cpu", weights=weights)
        np.testing.assert_array_equal(scorer.embed_video(videos), pocket.embed_video(videos))


def test_weights_that_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "pocket.safetensor").touch()
    assert "does not exist; nearest there: pocket.safetensor" in refusal(tmp_path / "pocket.safetensors")
    assert "holds no pocket.safetensors; nearest there: pocket.safetensor" in refusal(tmp_path)
    (tmp_path / "cut.safetensors").write_bytes(WEIGHTS.read_bytes()[:5_000])
    assert "cut.safetensors cannot be read" in refusal(tmp_path / "cut.safetensors")
    (tmp_path / "words.txt").write_text("east of the sun")
    assert "words.txt is no file of weights" in refusal(tmp_path / "words.txt")


def test_weights_of_something_else(tmp_path: Path) -> None:
    save_file({"x": torch.zeros(1)}, tmp_path / "other.safetensors")
    assert "does not fit pocket" in refusal(tmp_path / "other.safetensors")
    assert "its 1 tensors belong to x" in refusal(tmp_path / "other.safetensors")
    assert "It looks like weights of a ViCLIP (viclip-l, viclip-b)" in refusal(write_pth(tmp_path))
    tower = TextTower(PocketConfig(buckets=4, piece_dim=2))
    metadata = {"pocket": '{"image_size": 96}'}
    save_file({f"text.{k}": v for k, v in tower.state_dict().items()}, tmp_path / "half.safetensors", metadata)
    assert "does not fit pocket: Error(s) in loading state_dict" in refusal(tmp_path / "half.safetensors")
