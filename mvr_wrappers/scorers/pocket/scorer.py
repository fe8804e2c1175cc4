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
from mvr_wrappers.scorers.devices import resolve_device, resolve_dtype
from mvr_wrappers.scorers.pixels import to_pixels
from mvr_wrappers.scorers.pocket.net import PocketConfig, TextTower, VideoTower
from mvr_wrappers.scorers.texts import TextCache

WEIGHTS = Path(__file__).parent / "data" / "pocket.safetensors"
PATCHES = 16  # what a frame costs, as `VideoBatches` counts it: 16 clips a batch on a CPU, where more gain nothing


class PocketScorer:
    """A small video-text encoder behind the Scorer protocol.

    Clips of another number of frames are resampled in time to 8, taking the middle of each eighth; fewer frames are
    repeated. Frames of another size are resized, which stretches those that are not square.

    Args:
        device: "auto", "cpu", "cuda", "cuda:N" or a torch.device.
        dtype: "auto", "float32", "bfloat16" or a torch.dtype; the video tower computes in it.
        weights: a file that `tools.pocket.train` wrote; None takes the one in the package.

    Raises:
        ScorerError: the weights cannot be read, or belong to something else.
    """

    name = "pocket"

    def __init__(
        self,
        device: str | torch.device = "auto",
        dtype: str | torch.dtype = "auto",
        weights: str | Path | None = None,
    ) -> None:
        where = resolve_device(device)
        self._dtype = resolve_dtype(dtype, where)
        config, towers = read_weights(Path(weights or WEIGHTS))
        self._video = towers["video"].to(where, self._dtype)
        self._text = towers["text"].to(where)
        self.n_frames = config.n_frames
        self.image_size = config.image_size
        self.embed_dim = config.embed_dim
        self._batches = VideoBatches(where, PATCHES)
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
    mend = "give a file that `python -m tools.pocket.train` wrote, or leave `weights` out for the one in the package"
    try:
        with safe_open(path, "pt") as file:
            metadata = file.metadata() or {}
            state = {name: file.get_tensor(name).float() for name in file.keys()}
    except (OSError, SafetensorError) as error:
        raise ScorerError(f"cannot read pocket weights from {path}: {error}; {mend}") from error
    try:
        config = TypeAdapter(PocketConfig).validate_json(metadata["pocket"])
        towers = nn.ModuleDict({"video": VideoTower(config), "text": TextTower(config)})
        towers.load_state_dict(state)
    except (KeyError, ValueError, RuntimeError) as error:
        raise ScorerError(f"{path} does not hold weights of the pocket scorer: {error}; {mend}") from error
    towers.eval().requires_grad_(False)
    return config, towers
