"""The scorer in the package: small enough for a laptop, trained on MetaWorld alone (see data/POCKET.md)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import TypeAdapter
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn
from torch.nn import functional

from mvr_wrappers.errors import ConfigError, ScorerError
from mvr_wrappers.scorers.devices import resolve_device, resolve_dtype
from mvr_wrappers.scorers.pocket.net import PocketConfig, TextTower, VideoTower

WEIGHTS = Path(__file__).parent / "data" / "pocket.safetensors"
BATCH = 16  # clips a forward pass; more gain nothing on a CPU


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
        self._device = resolve_device(device)
        self._dtype = resolve_dtype(dtype, self._device)
        config, towers = read_weights(Path(weights or WEIGHTS))
        self._video = towers["video"].to(self._device, self._dtype)
        self._text = towers["text"].to(self._device)
        self.n_frames = config.n_frames
        self.image_size = config.image_size
        self.embed_dim = config.embed_dim

    def embed_video(self, frames: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Embeds videos.

        Args:
            frames: uint8 (B, F, H, W, 3), RGB, upright, F >= 1.

        Returns:
            float32 (B, E), unit rows.

        Raises:
            ConfigError: wrong dtype or shape.
        """
        if frames.dtype != np.uint8 or frames.ndim != 5 or frames.shape[-1] != 3 or 0 in frames.shape[1:]:
            raise ConfigError(f"videos must be uint8 (B, F, H, W, 3), got {frames.dtype} {frames.shape}")
        with torch.inference_mode():
            rows = [self._embed(frames[i : i + BATCH]) for i in range(0, len(frames), BATCH)]
        return np.concatenate([np.zeros((0, self.embed_dim), np.float32), *rows])

    def embed_text(self, prompts: Sequence[str]) -> NDArray[np.float32]:
        """Embeds sentences, of any words and any length.

        Args:
            prompts: P sentences.

        Returns:
            float32 (P, E), unit rows.

        Raises:
            ConfigError: a bare string instead of a list, or a sentence without any word.
        """
        if isinstance(prompts, str):
            raise ConfigError(f"give a list of sentences, [{prompts!r}], not one string")
        blank = [prompt for prompt in prompts if not prompt.strip()]
        if blank:
            raise ConfigError(f"an empty prompt ({blank[0]!r}) describes nothing; write what success looks like")
        if not prompts:
            return np.zeros((0, self.embed_dim), np.float32)
        with torch.inference_mode():
            return _numpy(self._text(prompts))

    def _embed(self, frames: NDArray[np.uint8]) -> NDArray[np.float32]:
        count = frames.shape[1]
        if count != self.n_frames:
            frames = frames[:, (2 * np.arange(self.n_frames) + 1) * count // (2 * self.n_frames)]
        pixels = torch.from_numpy(np.ascontiguousarray(frames)).to(self._device).permute(0, 1, 4, 2, 3).float()
        if pixels.shape[-2:] != (self.image_size, self.image_size):
            flat, size = pixels.flatten(0, 1), (self.image_size, self.image_size)
            flat = functional.interpolate(flat, size, mode="bilinear", antialias=True)
            pixels = flat.reshape(*pixels.shape[:3], *size)
        return _numpy(self._video(pixels.to(self._dtype)))


def _numpy(rows: Tensor) -> NDArray[np.float32]:
    array: NDArray[np.float32] = rows.cpu().numpy()
    return array


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
