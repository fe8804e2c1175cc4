"""Clips made of arrays, for tests that need no simulator: the redder the film, the higher the first state feature."""

from __future__ import annotations

import numpy as np

from mvr_wrappers.clips import Clip

LENGTH, FRAMES, SIZE, STATE_DIM = 8, 4, 8, 3


def make_clips(count: int, seed: int = 0, n_views: int = 1) -> list[Clip]:
    rng = np.random.default_rng(seed)
    return [_make_clip(rng, n_views) for _ in range(count)]


def _make_clip(rng: np.random.Generator, n_views: int) -> Clip:
    goodness = rng.uniform(-1, 1)
    states = rng.normal(scale=0.2, size=(LENGTH, STATE_DIM)).astype(np.float32)
    states[:, 0] += goodness
    frames = rng.integers(0, 90, (n_views, FRAMES, SIZE, SIZE, 3)).astype(np.uint8)
    frames[..., 0] += np.uint8(80 * (goodness + 1))
    return Clip(states, frames, np.arange(n_views))
