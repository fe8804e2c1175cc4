"""A ViCLIP small enough to make in a test, registered as "viclip-tiny": random weights and a vocabulary."""

from __future__ import annotations

import functools
import gzip
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file

from mvr_wrappers.scorers import register_scorer
from mvr_wrappers.scorers.viclip.net import SIZES, ViCLIP, ViCLIPSize
from mvr_wrappers.scorers.viclip.scorer import load_viclip

# Nobody trained this one: it lets tests run every path in milliseconds.
TINY = ViCLIPSize(patch=8, vision=(32, 2, 2), text=(24, 2, 2), embed_dim=16, image_size=32, vocabulary=576)
SIZES["viclip-tiny"] = TINY
register_scorer("viclip-tiny", functools.partial(load_viclip, "viclip-tiny"))

WORDS = [
    "robot",
    "hammer",
    "window",
    "humanoid",
    "running",
    "closing",
    "gripper",
    "walking",
    "pressing",
    "kettle",
    "throwing",
]


def state_dict(seed: int = 0, name: str = "viclip-tiny") -> dict[str, torch.Tensor]:
    """Draws every tensor from one NumPy stream, in the order of the names, so that the numbers never change."""
    rng = np.random.default_rng(seed)
    with torch.device("meta"):
        shapes = {key: tuple(value.shape) for key, value in ViCLIP(SIZES[name]).state_dict().items()}
    return {
        key: torch.tensor((rng.random(shapes[key]) - 0.5) * 2 * (shapes[key] or (1,))[-1] ** -0.25, dtype=torch.float32)
        for key in sorted(shapes)
    }


def network(seed: int = 0) -> ViCLIP:
    net = ViCLIP(TINY)
    net.load_state_dict(state_dict(seed))
    return net.eval()


def merges(count: int = TINY.vocabulary - 514) -> list[tuple[str, str]]:
    """Joins the letters of some words from left to right, the last one with its end-of-word mark."""
    pairs: dict[tuple[str, str], None] = {("Ã", "©</w>"): None}  # the two bytes of "é"
    for word in WORDS:
        signs = [*word[:-1], word[-1] + "</w>"]
        pairs |= {("".join(signs[:i]), signs[i]): None for i in range(1, len(signs))}
    assert len(pairs) >= count
    return list(pairs)[:count]


def write_vocabulary(folder: Path, pairs: list[tuple[str, str]] | None = None) -> Path:
    path = folder / "bpe_simple_vocab_16e6.txt.gz"
    lines = ["#version", *(" ".join(pair) for pair in (merges() if pairs is None else pairs)), "not used", ""]
    path.write_bytes(gzip.compress("\n".join(lines).encode()))
    return path


def write_pth(folder: Path, seed: int = 0) -> Path:
    path = folder / "tiny.pth"
    torch.save({"model": state_dict(seed)}, path)
    return path


def write_safetensors(folder: Path, seed: int = 0) -> Path:
    path = folder / "model.safetensors"
    save_file(state_dict(seed), path)
    return path
