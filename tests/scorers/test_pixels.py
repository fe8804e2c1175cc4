"""What the stem reads: bytes resized on their device, and normalisation folded into the weights."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from mvr_wrappers.errors import ScorerError
from mvr_wrappers.scorers.pixels import Preprocessing, fold_normalisation, to_pixels

MEAN, DEVIATION = (0.48, 0.46, 0.41), (0.27, 0.26, 0.28)


def stem(kind: Any, bias: bool) -> Any:
    torch.manual_seed(0)
    size = (1, 4, 4) if kind is nn.Conv3d else (4, 4)
    return kind(3, 6, size, size, bias=bias).requires_grad_(False)


def normalised(pixels: torch.Tensor) -> torch.Tensor:
    shape = (1, 3, *[1] * (pixels.ndim - 2))
    mean, deviation = (torch.tensor(values).reshape(shape) for values in (MEAN, DEVIATION))
    return (pixels / 255 - mean) / deviation


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("kind", [nn.Conv2d, nn.Conv3d])
def test_a_folded_stem_reads_bytes(kind: Any, bias: bool, rng: np.random.Generator) -> None:
    conv = stem(kind, bias)
    pixels = torch.tensor(rng.integers(0, 256, (2, 3, *([5] if kind is nn.Conv3d else []), 8, 12)), dtype=torch.float32)
    expected = conv(normalised(pixels))
    fold_normalisation(conv, MEAN, DEVIATION)
    torch.testing.assert_close(conv(pixels), expected, atol=1e-4, rtol=0)
    assert conv.bias is not None and not conv.bias.requires_grad


def test_a_frame_of_the_mean_colour_gives_the_bias_in_every_precision() -> None:
    conv = stem(nn.Conv2d, bias=True).to(torch.bfloat16)
    bias = conv.bias.clone()
    fold_normalisation(conv, MEAN, DEVIATION)
    assert conv.weight.dtype == conv.bias.dtype == torch.bfloat16
    grey = (255 * torch.tensor(MEAN)).reshape(1, 3, 1, 1).expand(1, 3, 4, 4)
    found = nn.functional.conv2d(grey, conv.weight.float(), conv.bias.float()).flatten()
    scale = conv.bias.float().abs().max().item()
    torch.testing.assert_close(found, bias.float(), atol=scale / 256, rtol=0)


def test_frames_of_the_right_size_are_only_transposed(rng: np.random.Generator) -> None:
    videos = rng.integers(0, 256, (2, 3, 8, 8, 3), np.uint8)
    for dtype in (torch.float32, torch.bfloat16):
        pixels = to_pixels(torch.from_numpy(videos), 8, dtype)
        assert pixels.dtype == dtype and pixels.shape == (2, 3, 3, 8, 8) and pixels.is_contiguous()
        assert np.array_equal(pixels.float().numpy(), videos.transpose(0, 1, 4, 2, 3))


@pytest.mark.parametrize(
    ("mode", "filter_"), [("bilinear", Image.Resampling.BILINEAR), ("bicubic", Image.Resampling.BICUBIC)]
)
@pytest.mark.parametrize("size", [8, 20, 50])
def test_resizing_is_pillows(mode: Any, filter_: Image.Resampling, size: int, rng: np.random.Generator) -> None:
    videos = rng.integers(100, 156, (1, 2, 32, 24, 3), np.uint8)  # Pillow clips what overshoots between its two passes
    pixels = to_pixels(torch.from_numpy(videos), size, torch.float32, mode)
    assert pixels.min() >= 0 and pixels.max() <= 255
    for found, frame in zip(pixels[0], videos[0], strict=True):
        expected = np.asarray(Image.fromarray(frame).resize((size, size), filter_)).transpose(2, 0, 1)
        assert np.abs(found.numpy() - expected).max() < 1.1  # Pillow rounds to whole numbers after each pass


def test_preprocessing_is_read_from_either_file(tmp_path: Path) -> None:
    values = {"image_mean": [0.1, 0.2, 0.3], "image_std": [0.4, 0.5, 0.6], "resample": 2, "size": {"height": 8}}
    (tmp_path / "processor_config.json").write_text(json.dumps({"image_processor": values}))
    assert Preprocessing.read(tmp_path) == Preprocessing((0.1, 0.2, 0.3), (0.4, 0.5, 0.6), "bilinear")
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(values | {"resample": 3}))
    assert Preprocessing.read(tmp_path).mode == "bicubic"


@pytest.mark.parametrize(
    "text", ["{", "[]", '{"image_mean": [1, 1, 1]}', '{"image_mean": 1, "image_std": 1, "resample": 2}']
)
def test_preprocessing_that_is_not_understood(tmp_path: Path, text: str) -> None:
    with pytest.raises(ScorerError, match="has no preprocessor_config"):
        Preprocessing.read(tmp_path)
    (tmp_path / "preprocessor_config.json").write_text(text)
    with pytest.raises(ScorerError, match=r"preprocessor_config\.json is not understood"):
        Preprocessing.read(tmp_path)
