"""ViCLIP behind the Scorer protocol: NumPy in, NumPy out, batches of bounded size in between."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from mvr_wrappers.scorers.base import check_frames, check_prompts
from mvr_wrappers.scorers.tokenizer import ClipTokenizer
from mvr_wrappers.scorers.viclip_net import SIZES, ViCLIP
from mvr_wrappers.scorers.weights import load_network, locate_vocabulary, locate_weights

# Published normalisation of the authors' evaluation, on pixels in [0, 1].
MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
# Bounds memory: 8 clips of 8 frames at ViCLIP-L, whose widest activation is then 0.13 GB in bfloat16.
TOKENS_PER_BATCH = 8 * 8 * 256


def load_viclip(name: str, device: torch.device, dtype: torch.dtype, weights: Path | None = None) -> ViCLIPScorer:
    """Returns the ViCLIP called `name` with weights from a local file or the hub.

    Raises:
        ScorerError: a file is missing, damaged, or of another architecture.
    """
    size = SIZES[name]
    # The weights first: if both files are wrong, theirs is the fault worth hearing of.
    network = load_network(name, locate_weights(name, weights), device, dtype)
    tokenizer = ClipTokenizer.from_file(locate_vocabulary(name, weights), size.context, size.vocabulary)
    return ViCLIPScorer(name, network, tokenizer)


class ViCLIPScorer:
    """Embeds videos and prompts with a frozen ViCLIP (arXiv 2307.06942).

    Attributes:
        name: how `load_scorer` calls it.
        n_frames: frames it was trained on; other numbers interpolate its positions in time.
        image_size: pixels it works at; frames of other sizes are resized on the device.
        embed_dim: E, length of an embedding.
    """

    def __init__(self, name: str, network: ViCLIP, tokenizer: ClipTokenizer) -> None:
        """Wraps a loaded network; device and precision are those of its parameters."""
        self.name = name
        self.n_frames, self.image_size = network.size.frames, network.size.image_size
        self.embed_dim = network.size.embed_dim
        self._network, self._tokenizer = network, tokenizer
        self._device, self._dtype = network.temp.device, network.temp.dtype
        self._mean = torch.tensor(MEAN, device=self._device).reshape(3, 1, 1)
        self._deviation = torch.tensor(DEVIATION, device=self._device).reshape(3, 1, 1)
        self._texts: dict[str, NDArray[np.float32]] = {}

    @torch.inference_mode()
    def embed_video(self, frames: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Embeds videos.

        Args:
            frames: uint8 (B, F, H, W, 3), RGB; any B, F, H and W.

        Returns:
            float32 (B, E), unit rows.

        Raises:
            ConfigError: frames of another type or rank.
        """
        check_frames(frames)
        batch = max(1, TOKENS_PER_BATCH // (frames.shape[1] * self._network.size.patches))
        rows = [self._embed_batch(frames[start : start + batch]) for start in range(0, len(frames), batch)]
        return _rows(torch.cat(rows)) if rows else np.zeros((0, self.embed_dim), np.float32)

    @torch.inference_mode()
    def embed_text(self, prompts: Sequence[str]) -> NDArray[np.float32]:
        """Embeds prompts, each computed once in the scorer's life.

        Args:
            prompts: P sentences. What exceeds the context is cut off, with a warning.

        Returns:
            float32 (P, E), unit rows.

        Raises:
            ConfigError: a prompt is empty.
        """
        check_prompts(prompts)
        new = [prompt for prompt in dict.fromkeys(prompts) if prompt not in self._texts]
        if new:
            tokens, lost = self._tokenizer.encode(new)
            for prompt, count in zip(new, lost, strict=True):
                if count:
                    warnings.warn(
                        f"the prompt is {count} tokens longer than the {tokens.shape[1]} {self.name} reads; "
                        f"its end is ignored: {prompt!r}",
                        stacklevel=3,
                    )
            rows = _rows(F.normalize(self._network.embed_text(torch.tensor(tokens, device=self._device)).float()))
            self._texts.update(zip(new, rows, strict=True))
        return np.array([self._texts[prompt] for prompt in prompts], np.float32).reshape(-1, self.embed_dim)

    def _embed_batch(self, frames: NDArray[np.uint8]) -> Tensor:
        """Embeds (B, F, H, W, 3) frames as one batch -> float32 (B, E), on the device."""
        # Bytes travel, not floats; from pinned memory the copy overlaps with the batch before.
        staged = torch.empty(frames.shape, dtype=torch.uint8, pin_memory=self._device.type == "cuda")
        staged.numpy()[...] = frames
        pixels = staged.to(self._device, non_blocking=True).permute(0, 1, 4, 2, 3).flatten(0, 1).float()
        if pixels.shape[-2:] != (self.image_size, self.image_size):
            pixels = F.interpolate(pixels, size=(self.image_size, self.image_size), mode="bilinear", antialias=True)
        pixels = (pixels / 255 - self._mean) / self._deviation
        embeddings = self._network.embed_video(pixels.to(self._dtype).reshape(*frames.shape[:2], *pixels.shape[1:]))
        return F.normalize(embeddings.float())


def _rows(embeddings: Tensor) -> NDArray[np.float32]:
    rows: NDArray[np.float32] = embeddings.cpu().numpy()
    return rows
