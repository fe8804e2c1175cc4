"""What a scorer gives back, checked once, where it enters: psi is a cosine only between unit vectors."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from numbers import Integral

import numpy as np
from numpy.typing import NDArray

from mvr_wrappers.errors import ScorerError
from mvr_wrappers.scorers.base import ParallelScorer, Scorer

TOLERANCE = 0.01  # of the length of a row; encoders that normalise in half precision are off by 0.001


def embed_videos(scorer: Scorer, frames: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Embeds videos and checks what comes back: uint8 (B, F, H, W, 3) -> float32 (B, E), unit rows.

    Raises:
        ScorerError: it is no array of finite floats (B, E) with rows of length 1, or there is no memory for it.
    """
    try:
        rows = scorer.embed_video(frames)
    except (MemoryError, RuntimeError) as error:
        if isinstance(error, MemoryError) or "allocate memory" in str(error):  # NumPy's, and torch's on a CPU
            raise ScorerError(
                f"the scorer {scorer.name} has no memory for {len(frames)} videos of shape {frames.shape[1:]}: film "
                "fewer clips at a time (schedule.max_clips), or smaller ones (clip.image_size)"
            ) from error
        raise
    return _checked(scorer, rows, len(frames), "embed_video")


def submit_videos(scorer: Scorer, frames: NDArray[np.uint8]) -> Callable[[], NDArray[np.float32]]:
    """Begins to embed videos where the scorer is a `ParallelScorer`, and embeds them now where it is not.

    Returns:
        What waits for the rows and gives them, checked as `embed_videos` does: float32 (B, E).
    """
    if not isinstance(scorer, ParallelScorer):
        rows = embed_videos(scorer, frames)
        return lambda: rows
    count, future = len(frames), scorer.submit_video(frames)
    return lambda: _checked(scorer, future.result(), count, "submit_video")


def batches_ahead(scorer: Scorer) -> int:
    """Returns how many batches to submit before the rows of the first are waited for."""
    return scorer.workers if isinstance(scorer, ParallelScorer) else 0


def embed_prompts(scorer: Scorer, prompts: Sequence[str]) -> NDArray[np.float32]:
    """Embeds P prompts and checks what comes back: float32 (P, E), unit rows; errors as of `embed_videos`."""
    return _checked(scorer, scorer.embed_text(prompts), len(prompts), "embed_text")


def check_scorer(scorer: Scorer) -> None:
    """Checks the sizes that an encoder states.

    Raises:
        ScorerError: `n_frames`, `image_size` or `embed_dim` is no whole number of at least 1.
    """
    for attribute in ("n_frames", "image_size", "embed_dim"):
        value = getattr(scorer, attribute)
        if isinstance(value, bool) or not isinstance(value, Integral) or value < 1:
            raise ScorerError(
                f"{attribute} of the scorer {scorer.name} is {value!r}; it must be a whole number of at least 1"
            )


def _checked(scorer: Scorer, rows: object, count: int, method: str) -> NDArray[np.float32]:
    returned = f"{method} of the scorer {scorer.name} returned"
    shape = (count, int(scorer.embed_dim))
    if not isinstance(rows, np.ndarray) or not np.issubdtype(rows.dtype, np.floating):
        found = rows.dtype if isinstance(rows, np.ndarray) else type(rows).__name__
        raise ScorerError(f"{returned} {found}; it must return a NumPy array of float32, of shape (rows, embed_dim)")
    if rows.shape != shape:
        raise ScorerError(f"{returned} an array of shape {rows.shape}; it must be {shape}: rows, embed_dim")
    lengths = np.linalg.norm(rows.astype(np.float64), axis=1)
    if not np.isfinite(lengths).all():
        raise ScorerError(f"{returned} NaN or infinite values in {(~np.isfinite(lengths)).sum()} of {count} rows")
    if (abs(lengths - 1) > TOLERANCE).any():
        raise ScorerError(
            f"{returned} rows of length {lengths.min():.3g} to {lengths.max():.3g}; they must be of length 1, as "
            "scores are cosines: divide each row by its norm"
        )
    return rows.astype(np.float32, copy=False)
