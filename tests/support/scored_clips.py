"""Scored clips with a known answer: the first state feature is the relevance, and the score is its mean."""

from __future__ import annotations

import numpy as np

from mvr_wrappers.clips import ScoredClip

LENGTH, STATE_DIM, EMBED_DIM = 8, 3, 6


def make_scored(
    rng: np.random.Generator,
    count: int,
    views: tuple[int, ...] = (0,),
    offsets: tuple[float, ...] = (0.0, 0.0, 0.0, 0.0),
    length: int = LENGTH,
    dim: int = STATE_DIM,
) -> list[ScoredClip]:
    """Draws clips; `offsets` are added to the scores of each view, as cameras do."""
    clips = []
    for _ in range(count):
        goodness = rng.uniform(-1, 1)
        states = rng.normal(scale=0.2, size=(length, dim))
        states[:, 0] += goodness
        scores = 0.05 * goodness + np.array([offsets[view] for view in views])
        embeddings = rng.normal(size=(len(views), EMBED_DIM))
        embeddings /= np.linalg.norm(embeddings, axis=1, keepdims=True)
        clips.append(
            ScoredClip(
                states.astype(np.float32),
                np.array(views),
                scores.astype(np.float32),
                embeddings.astype(np.float32),
            )
        )
    return clips


def constant_clip(value: float, scores: list[float], views: list[int], length: int = LENGTH) -> ScoredClip:
    """A clip whose states are all `value`, to be recognised by."""
    embeddings = np.full((len(views), EMBED_DIM), 1 / np.sqrt(EMBED_DIM), np.float32)
    states = np.full((length, STATE_DIM), value, np.float32)
    return ScoredClip(states, np.array(views), np.array(scores, np.float32), embeddings)
