"""The scorer in the package: small, trained on Meta-World and five bodies of Gymnasium's (see data/POCKET.md)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import TypeAdapter
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from mvr_wrappers.errors import ScorerError
from mvr_wrappers.scorers.base import check_frames, resampled
from mvr_wrappers.scorers.batches import VideoBatches
from mvr_wrappers.scorers.files import local_file
from mvr_wrappers.scorers.pixels import to_pixels
from mvr_wrappers.scorers.pocket.net import PocketConfig, TextTower, VideoTower
from mvr_wrappers.scorers.tensors import looks_like, read_tensors
from mvr_wrappers.scorers.texts import TextCache

WEIGHTS = Path(__file__).parent / "data" / "pocket.safetensors"
PATCHES = 16  # what a frame costs, as `VideoBatches` counts it: 16 clips a batch on a CPU, where more gain nothing


def load_pocket(device: torch.device, dtype: torch.dtype, weights: Path | None = None) -> PocketScorer:
    """Returns the scorer in the package.

    Args:
        device: where it computes.
        dtype: the video tower computes in it.
        weights: a file that `tools.pocket.train` wrote, or a folder with its pocket.safetensors; None takes the file in
            the package.

    Raises:
        ScorerError: the weights are missing, cannot be read, or belong to something else.
    """
    path = WEIGHTS if weights is None else local_file("weights", weights, (WEIGHTS.name,), "pocket")
    return PocketScorer(*read_weights(path), device, dtype)


class PocketScorer:
    """A small video-text encoder behind the Scorer protocol.

    Clips of another number of frames are resampled in time to `n_frames`, taking the middle of each of as many equal
    parts; fewer frames are repeated. Frames of another size are resized, which stretches those that are not square.

    Attributes:
        name: how `load_scorer` calls it.
        n_frames: frames of a clip it was trained on.
        image_size: pixels it works at.
        embed_dim: E, length of an embedding.
    """

    name = "pocket"

    def __init__(self, config: PocketConfig, towers: nn.ModuleDict, device: torch.device, dtype: torch.dtype) -> None:
        self._dtype = dtype
        self._video = towers["video"].to(device, dtype)
        self._text = towers["text"].to(device)
        self.n_frames, self.image_size = config.n_frames, config.image_size
        self.embed_dim = config.embed_dim
        self._batches = VideoBatches(device, PATCHES)
        self._texts = TextCache(self.name, 0, self.embed_dim, self._encode)

    def embed_video(self, frames: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Embeds videos.

        Args:
            frames: uint8 (B, F, H, W, 3), RGB, upright; any B, F, H and W.

        Returns:
            float32 (B, E), unit rows.

        Raises:
            ConfigError: frames of another type or rank.
            ScorerError: not even one clip fits the device's memory.
        """
        check_frames(frames)
        return self._batches.run(resampled(frames, self.n_frames), self._embed, self.embed_dim)

    def embed_text(self, prompts: Sequence[str]) -> NDArray[np.float32]:
        """Embeds prompts, of any words and any length, each computed once in the scorer's life.

        Args:
            prompts: P sentences.

        Returns:
            float32 (P, E), unit rows.

        Raises:
            ConfigError: a prompt is blank, or a string was given for a list.
        """
        return self._texts.embed(prompts)

    def _embed(self, videos: Tensor) -> Tensor:
        """Embeds uint8 (B, F, H, W, 3) on the device as one batch -> float32 (B, E)."""
        rows: Tensor = self._video(to_pixels(videos, self.image_size, self._dtype))
        return rows

    @torch.inference_mode()
    def _encode(self, prompts: list[str]) -> tuple[NDArray[np.float32], list[int]]:
        return self._text(prompts).cpu().numpy(), [0] * len(prompts)  # it reads prompts of any length


def read_weights(path: Path) -> tuple[PocketConfig, nn.ModuleDict]:
    """Builds both towers, "video" and "text", from a file; its metadata hold the sizes.

    Raises:
        ScorerError: the file cannot be read, or holds something else.
    """
    state = {name: tensor.float() for name, tensor in read_tensors(path).items()}
    try:
        with safe_open(path, "pt") as file:
            config = TypeAdapter(PocketConfig).validate_json(file.metadata()["pocket"])
        towers = nn.ModuleDict({"video": VideoTower(config), "text": TextTower(config)})
        towers.load_state_dict(state)
    except (LookupError, TypeError, ValueError, RuntimeError, SafetensorError) as error:
        raise ScorerError(
            f"{path} does not fit pocket: {_first_line(error)}. {looks_like(state)}. Give a file that "
            "`python -m tools.pocket.train` wrote, or leave weights out for the one in the package"
        ) from error
    towers.eval().requires_grad_(False)
    return config, towers


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0].rstrip(".:")
