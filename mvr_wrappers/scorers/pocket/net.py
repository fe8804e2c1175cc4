"""The pocket scorer's two towers: convolutions over frames, and a bag of hashed word pieces."""

from __future__ import annotations

import itertools
import re
import unicodedata
import zlib
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional


@dataclass(frozen=True, slots=True)
class PocketConfig:
    """Sizes of both towers; kept in the weights file.

    Attributes:
        image_size: height and width of a frame, pixels.
        n_frames: frames of a clip.
        widths: channels of the convolutions over single frames, the first of stride 4, the others of stride 2.
        temporal_widths: channels of the convolutions over time and space, each of stride 2 in time.
        embed_dim: length of an embedding.
        buckets: rows of the table that word pieces are hashed into.
        piece_dim: length of such a row.
        text_width: hidden units of the text tower.
    """

    image_size: int = 96
    n_frames: int = 8
    widths: tuple[int, ...] = (48, 96, 128, 192)
    temporal_widths: tuple[int, ...] = (192, 256)
    embed_dim: int = 128
    buckets: int = 16_384
    piece_dim: int = 64
    text_width: int = 256


class VideoTower(nn.Module):
    """Maps clips to unit vectors.

    The first layer sees each frame beside the clip's mean frame, so that it can respond to what moves. As convolution
    is linear, the mean is convolved once a clip instead of being concatenated to every frame.

    Args:
        config: sizes.
        norm: normalise over the batch after each convolution, as in training. The weights that are shipped have these
            layers folded into the convolutions.
    """

    def __init__(self, config: PocketConfig, norm: bool = False) -> None:
        super().__init__()
        first, *rest = config.widths
        self.frame = nn.Conv2d(3, first, 7, 4, 3)
        self.mean = nn.Conv2d(3, first, 7, 4, 3, bias=False)
        self.spatial = nn.ModuleList(nn.Conv2d(a, b, 3, 2, 1) for a, b in zip(config.widths[:-1], rest, strict=True))
        widths = (config.widths[-1], *config.temporal_widths)
        self.temporal = nn.ModuleList(nn.Conv3d(a, b, 3, (2, 1, 1), 1) for a, b in itertools.pairwise(widths))
        steps = config.n_frames
        for _ in config.temporal_widths:
            steps = (steps + 1) // 2
        self.project = nn.Linear(2 * steps * widths[-1], config.embed_dim)
        convolutions = (*config.widths, *config.temporal_widths)
        kinds = [nn.BatchNorm2d] * len(config.widths) + [nn.BatchNorm3d] * len(config.temporal_widths)
        self.norms = nn.ModuleList(
            kind(width) if norm else nn.Identity() for kind, width in zip(kinds, convolutions, strict=True)
        )

    def forward(self, frames: Tensor) -> Tensor:
        """Maps frames (B, F, 3, H, W), values in [0, 255], to unit rows (B, E)."""
        return self.head(self.features(frames))

    def head(self, features: Tensor) -> Tensor:
        """Maps what `features` returns to unit rows (B, E)."""
        return functional.normalize(self.project(features).float(), dim=1)

    def features(self, frames: Tensor) -> Tensor:
        """Maps frames to what the convolutions see, its mean and maximum over the picture, side by side."""
        batch, steps = frames.shape[:2]
        frames = (frames - 128) / 64
        still = self.mean(frames.mean(1)).repeat_interleave(steps, 0)
        norms = iter(self.norms)
        x = functional.relu(next(norms)(self.frame(frames.flatten(0, 1)) + still), inplace=True)
        for layer in self.spatial:
            x = functional.relu(next(norms)(layer(x)), inplace=True)
        x = x.view(batch, steps, *x.shape[1:]).transpose(1, 2)
        for layer in self.temporal:
            x = functional.relu(next(norms)(layer(x)), inplace=True)
        return torch.cat([x.mean((3, 4)), x.amax((3, 4))], 1).flatten(1)


class TextTower(nn.Module):
    """Maps any sentence to a unit vector: words, pairs of neighbouring words and letter groups, hashed into one table.

    A word never trained on shares letter groups with its relatives; groups never seen have small rows and say little.
    """

    def __init__(self, config: PocketConfig) -> None:
        super().__init__()
        self.buckets = config.buckets
        self.pieces = nn.EmbeddingBag(config.buckets, config.piece_dim, mode="sum")
        self.hidden = nn.Linear(config.piece_dim, config.text_width)
        self.project = nn.Linear(config.text_width, config.embed_dim)

    def forward(self, prompts: Sequence[str]) -> Tensor:
        """Maps P sentences to unit rows (P, E)."""
        bags = [[zlib.crc32(piece.encode()) % self.buckets for piece in pieces(prompt)] for prompt in prompts]
        device = self.pieces.weight.device
        counts = torch.tensor([len(bag) for bag in bags], device=device)
        ids = torch.tensor([i for bag in bags for i in bag], dtype=torch.long, device=device)
        summed = self.pieces(ids, functional.pad(counts.cumsum(0), (1, 0))[:-1])
        x = summed / counts.clamp(min=1)[:, None].sqrt()
        return functional.normalize(self.project(functional.gelu(self.hidden(x))).float(), dim=1)


def pieces(prompt: str) -> list[str]:
    """Cuts a sentence into words, pairs of neighbouring words, and groups of 3 to 5 letters within words.

    Case, punctuation and the compatibility forms of Unicode do not matter; symbols that are no letters count as words.
    """
    text = unicodedata.normalize("NFKC", prompt).casefold()
    words = re.findall(r"\w+", text) or text.split()
    pairs = [f"{a} {b}" for a, b in itertools.pairwise(words)]
    marked = [f"<{word}>" for word in words]
    groups = [word[i : i + n] for word in marked for n in (3, 4, 5) for i in range(len(word) - n + 1)]
    return marked + pairs + groups
