"""ViCLIP behind the Scorer protocol: NumPy in, NumPy out."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from mvr_wrappers.scorers.base import check_frames
from mvr_wrappers.scorers.batches import VideoBatches
from mvr_wrappers.scorers.devices import compiled
from mvr_wrappers.scorers.pixels import fold_normalisation, to_pixels
from mvr_wrappers.scorers.texts import TextCache
from mvr_wrappers.scorers.viclip.files import locate_vocabulary, locate_weights
from mvr_wrappers.scorers.viclip.net import SIZES, ViCLIP
from mvr_wrappers.scorers.viclip.tokenizer import ClipTokenizer
from mvr_wrappers.scorers.viclip.weights import load_network

# Published normalisation of the authors' evaluation, on pixels in [0, 1].
MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def load_viclip(
    name: str,
    device: torch.device,
    dtype: torch.dtype,
    weights: Path | None = None,
    *,
    vocabulary: str | Path | None = None,
    compile: bool = False,
) -> ViCLIPScorer:
    """Returns the ViCLIP called `name` with weights from a local file or the hub.

    Args:
        name: a row of `SIZES`.
        device: where it computes.
        dtype: of weights and activations; nothing is cast on the way.
        weights: local file or folder, see `locate_weights`; None takes the hub's, unless MVR_VICLIP_DIR names a folder.
        vocabulary: local file or folder of the byte-pair vocabulary, see `locate_vocabulary`.
        compile: fuse the video tower with `torch.compile`, which takes a minute at the first batch.

    Raises:
        ScorerError: a file is missing, damaged, or of another architecture; or there is no compiler to compile with.
    """
    size = SIZES[name]
    words = None if vocabulary is None else Path(vocabulary).expanduser()
    # The weights first: if both files are wrong, theirs is the fault worth hearing of.
    network = load_network(name, locate_weights(name, weights), device, dtype)
    tokenizer = ClipTokenizer.from_file(locate_vocabulary(name, weights, words), size.context, size.vocabulary)
    return ViCLIPScorer(name, network, tokenizer, compile=compile)


class ViCLIPScorer:
    """Embeds videos and prompts with a frozen ViCLIP (arXiv 2307.06942).

    Attributes:
        name: how `load_scorer` calls it.
        n_frames: frames it was trained on; other numbers interpolate its positions in time.
        image_size: pixels it works at; frames of other sizes are resized on the device.
        embed_dim: E, length of an embedding.
    """

    def __init__(self, name: str, network: ViCLIP, tokenizer: ClipTokenizer, *, compile: bool = False) -> None:
        """Takes over a loaded network, folding the pixels' normalisation into it; it stays where and as precise it is.

        Raises:
            ScorerError: `compile` is asked for where there is no compiler.
        """
        self.name = name
        self.n_frames, self.image_size = network.size.frames, network.size.image_size
        self.embed_dim = network.size.embed_dim
        self._network, self._tokenizer = network, tokenizer
        self._device, self._dtype = network.temp.device, network.temp.dtype
        fold_normalisation(network.vision_encoder.conv1, MEAN, DEVIATION)
        self._batches = VideoBatches(self._device, network.size.patches)
        self._embed = compiled(self._embed_batch, self._device) if compile else self._embed_batch
        self._texts = TextCache(name, network.size.context, self.embed_dim, self._encode)

    def embed_video(self, frames: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Embeds videos.

        Args:
            frames: uint8 (B, F, H, W, 3), RGB; any B, F, H and W. At another F than `n_frames` the learned positions in
                time are interpolated linearly between the middles of the frames (a single frame takes their mean);
                frames of another size are resized, antialiased, which stretches those that are not square.

        Returns:
            float32 (B, E), unit rows.

        Raises:
            ConfigError: frames of another type or rank.
            ScorerError: not even one clip fits the device's memory.
        """
        check_frames(frames)
        return self._batches.run(frames, self._embed, self.embed_dim)

    def embed_text(self, prompts: Sequence[str]) -> NDArray[np.float32]:
        """Embeds prompts, each computed once in the scorer's life.

        Args:
            prompts: P sentences. What exceeds the context is cut off, with a warning.

        Returns:
            float32 (P, E), unit rows.

        Raises:
            ConfigError: a prompt is empty.
        """
        return self._texts.embed(prompts)

    def _embed_batch(self, videos: Tensor) -> Tensor:
        """Embeds uint8 (B, F, H, W, 3) on the device as one batch -> float32 (B, E)."""
        pixels = to_pixels(videos, self.image_size, self._dtype)
        return F.normalize(self._network.embed_video(pixels).float())

    @torch.inference_mode()
    def _encode(self, prompts: list[str]) -> tuple[NDArray[np.float32], list[int]]:
        tokens, lost = self._tokenizer.encode(prompts)
        embeddings = self._network.embed_text(torch.tensor(tokens, device=self._device))
        return F.normalize(embeddings.float()).cpu().numpy(), lost
