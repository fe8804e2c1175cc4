"""A scorer without weights."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Rows = NDArray[np.float32]


class FakeScorer:
    """Embeds a video as its mean colours (unit rows) and a prompt as a direction drawn from its letters."""

    name: str = "fake"
    n_frames: int = 4
    image_size: int = 32
    embed_dim: int = 12

    def embed_video(self, frames: NDArray[np.uint8]) -> Rows:
        assert frames.dtype == np.uint8 and frames.ndim == 5 and frames.shape[-1] == 3
        halves = np.array_split(frames.astype(np.float32) / 255, 2, axis=3)
        thirds = [part.mean(axis=(2, 3)) for part in halves]  # two of (B, F, 3)
        features = np.concatenate([t[:, [0, -1]].reshape(len(frames), -1) for t in thirds], axis=1) - 0.45
        return _unit(features)

    def embed_text(self, prompts: Sequence[str]) -> Rows:
        rows = [np.random.default_rng(list(p.encode())).normal(size=self.embed_dim) for p in prompts]
        return _unit(np.array(rows, np.float32))


def _unit(rows: NDArray[np.floating[Any]]) -> Rows:
    unit: Rows = (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)
    return unit
