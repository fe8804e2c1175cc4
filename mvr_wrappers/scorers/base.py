"""What every scorer offers: a frozen encoder of videos and sentences into one space."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Future
from typing import Literal, Protocol, get_args, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from mvr_wrappers.errors import ConfigError
from mvr_wrappers.prompts import checked_prompt

Dtype = Literal["auto", "float32", "bfloat16"]
"""In which precision a scorer computes; "auto" is what is fast on the device."""


@runtime_checkable
class Scorer(Protocol):
    """A frozen, stateless video-text encoder. Scores are cosines of its embeddings.

    Attributes:
        name: how `load_scorer` calls it.
        n_frames: frames of a clip the encoder was trained on.
        image_size: height and width in pixels the encoder works at; other sizes are resized.
        embed_dim: E, length of an embedding.
    """

    name: str
    n_frames: int
    image_size: int
    embed_dim: int

    def embed_video(self, frames: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Embeds videos: uint8 (B, F, H, W, 3), RGB -> float32 (B, E), unit rows."""
        ...

    def embed_text(self, prompts: Sequence[str]) -> NDArray[np.float32]:
        """Embeds P sentences -> float32 (P, E), unit rows."""
        ...


@runtime_checkable
class ParallelScorer(Scorer, Protocol):
    """A scorer that embeds several batches of videos at a time, elsewhere.

    Attributes:
        workers: how many batches.
    """

    workers: int

    def submit_video(self, frames: NDArray[np.uint8]) -> Future[NDArray[np.float32]]:
        """Begins to embed videos and returns at once: uint8 (B, F, H, W, 3) -> the future of float32 (B, E)."""
        ...


def checked_dtype(dtype: object) -> str:
    """Returns the word for a precision if it is one.

    Raises:
        ConfigError: it is none of "auto", "float32" and "bfloat16".
    """
    if not isinstance(dtype, str) or dtype not in get_args(Dtype):
        raise ConfigError(f'dtype is {dtype!r}; give "auto", "float32" or "bfloat16"')
    return dtype


def check_frames(frames: NDArray[np.uint8]) -> None:
    """Refuses what is no batch of RGB videos.

    Raises:
        ConfigError: `frames` is not uint8 (B, F, H, W, 3) with F, H and W at least 1.
    """
    if frames.ndim != 5 or frames.shape[-1] != 3 or 0 in frames.shape[1:] or frames.dtype != np.uint8:
        raise ConfigError(f"embed_video takes uint8 frames (B, F, H, W, 3), got {frames.dtype} {frames.shape}")


def check_prompts(prompts: Sequence[str]) -> None:
    """Refuses prompts that say nothing, and one sentence given where a list of them belongs.

    Raises:
        ConfigError: `prompts` is a string, or one of them is blank or no text.
    """
    if isinstance(prompts, str):
        raise ConfigError(f"embed_text takes a list of prompts, got one string; pass [{prompts!r}]")
    for prompt in prompts:
        checked_prompt(prompt)


def resampled(frames: NDArray[np.uint8], count: int) -> NDArray[np.uint8]:
    """Returns videos (B, count, H, W, 3): the middle frames of `count` equal parts; too few frames are repeated."""
    found = frames.shape[1]
    return frames if found == count else frames[:, (2 * np.arange(count) + 1) * found // (2 * count)]
