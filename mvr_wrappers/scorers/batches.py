"""Videos on their way to a device: bytes through pinned memory, in batches that fit, and one wait at the end."""

from __future__ import annotations

import logging
from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mvr_wrappers.errors import ScorerError

_log = logging.getLogger(__name__)

# Patches a batch begins with. A GPU is kept busy by 32 clips of 8 frames of ViCLIP-L, whose widest activation is then
# 0.5 GB in bfloat16; a CPU is fastest with one clip, whose activations stay in its caches.
PATCHES_PER_BATCH = {"cuda": 32 * 8 * 256, "cpu": 8 * 256}


class VideoBatches:
    """Runs videos through a network, batch by batch.

    A batch that does not fit the device's memory is halved until it does. The size found is kept for good, so that the
    search happens once in the life of a scorer.

    Args:
        device: where the network computes.
        patches: of one frame; decides how many frames the first batch has.
    """

    def __init__(self, device: torch.device, patches: int) -> None:
        self._device = device
        self._frames = max(1, PATCHES_PER_BATCH.get(device.type, PATCHES_PER_BATCH["cpu"]) // patches)

    @torch.inference_mode()
    def run(self, videos: NDArray[np.uint8], embed: Callable[[Tensor], Tensor], embed_dim: int) -> NDArray[np.float32]:
        """Embeds videos, waiting for the device only when all batches are under way.

        Args:
            videos: uint8 (B, F, H, W, 3).
            embed: uint8 (b, F, H, W, 3) on the device -> float32 (b, E).
            embed_dim: E.

        Returns:
            float32 (B, E).

        Raises:
            ScorerError: a single clip does not fit the device's memory.
        """
        rows: list[Tensor] = [torch.zeros((0, embed_dim), device=self._device)]
        start = 0
        while start < len(videos):
            batch = videos[start : start + max(1, self._frames // videos.shape[1])]
            embedded = self._try(batch, embed)
            if embedded is None:
                self._halve(len(batch), videos.shape[1])
                continue
            rows.append(embedded)
            start += len(batch)
        result: NDArray[np.float32] = torch.cat(rows).cpu().numpy()
        return result

    def _try(self, videos: NDArray[np.uint8], embed: Callable[[Tensor], Tensor]) -> Tensor | None:
        """Embeds one batch; None if the device's memory does not suffice."""
        # Bytes travel, not floats; from pinned memory the copy overlaps with the batch before.
        staged = torch.empty(videos.shape, dtype=torch.uint8, pin_memory=self._device.type == "cuda")
        staged.numpy()[...] = videos
        try:
            return embed(staged.to(self._device, non_blocking=True))
        except torch.cuda.OutOfMemoryError:
            return None  # the error holds the activations: they are only free once it is gone

    def _halve(self, clips: int, frames: int) -> None:
        torch.cuda.empty_cache()
        if clips == 1:
            raise ScorerError(
                f"one clip of {frames} frames does not fit the memory of {self._device}; "
                'use dtype="bfloat16", a smaller scorer, or device="cpu"'
            )
        _log.warning("%s is out of memory with %d clips a batch: %d from here on", self._device, clips, clips // 2)
        self._frames = clips // 2 * frames
