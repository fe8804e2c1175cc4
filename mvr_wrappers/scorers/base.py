"""What every scorer offers: a frozen encoder of videos and sentences into one space."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray


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
