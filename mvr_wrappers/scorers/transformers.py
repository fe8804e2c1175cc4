"""Encoders of the transformers library behind the Scorer protocol: CLIP, SigLIP and X-CLIP, on one adapter."""

from __future__ import annotations

import importlib.util
import pickle
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from torch import Tensor
from torch.nn import functional as F

from mvr_wrappers.errors import ConfigError, MissingExtraError, ScorerError
from mvr_wrappers.scorers.base import check_frames, resampled
from mvr_wrappers.scorers.batches import VideoBatches
from mvr_wrappers.scorers.devices import compiled
from mvr_wrappers.scorers.files import local_file
from mvr_wrappers.scorers.hub import WEIGHTS, fetch_folder
from mvr_wrappers.scorers.pixels import Preprocessing, fold_normalisation, to_pixels
from mvr_wrappers.scorers.texts import TextCache

Pooling = Literal["mean", "frames"]
FRAMES = 8  # that an encoder of images is shown, as the other scorers


@dataclass(frozen=True, slots=True)
class Family:
    """How encoders of one architecture differ from those of another.

    Attributes:
        model_type: what their configuration says.
        whole_clips: they embed all frames of a clip together.
        masked: their text tower is told where the prompt ends; SigLIP's was trained to see the padding.
        lower: prompts are lower-cased first, where the tokenizer leaves that to its caller.
    """

    model_type: str
    whole_clips: bool = False
    masked: bool = True
    lower: bool = False


FAMILIES = {
    "clip-l": Family("clip"),
    "xclip-l": Family("xclip", whole_clips=True),
    "siglip2": Family("siglip", masked=False, lower=True),
}
"""Scorer -> its architecture; `hub.HUB` says which files are its own."""


def load_transformers(
    name: str,
    device: torch.device,
    dtype: torch.dtype,
    weights: Path | None = None,
    *,
    pooling: Pooling = "mean",
    compile: bool = False,
) -> TransformersScorer:
    """Returns the encoder called `name`, from a folder that `save_pretrained` wrote or from the hub.

    Args:
        name: a row of `FAMILIES`.
        device: where it computes.
        dtype: of weights and activations.
        weights: local folder with model, tokenizer and preprocessor_config.json, or the model's file in it; None takes
            the hub's files.
        pooling: how an encoder of images makes one embedding of F frames. "mean" averages their unit embeddings and
            scales the mean to unit length: psi = cos(mean_f e_f, t). "frames" keeps them all, (e_1, ..., e_F) / sqrt(F)
            against (t, ..., t) / sqrt(F): psi = mean_f cos(e_f, t).
        compile: fuse the video tower with `torch.compile`, which takes a minute at the first batch.

    Raises:
        MissingExtraError: transformers is not installed.
        ConfigError: there is no such pooling, or the encoder pools by itself.
        ScorerError: a file is missing, damaged, or of another architecture; or there is no compiler to compile with.
    """
    if importlib.util.find_spec("transformers") is None:
        raise MissingExtraError("transformers", "transformers", f"the scorer {name}")
    family = FAMILIES[name]
    if pooling not in get_args(Pooling):
        raise ConfigError(f"pooling is {pooling!r}; give one of {', '.join(get_args(Pooling))}")
    if family.whole_clips and pooling != "mean":
        raise ConfigError(f"{name} embeds whole clips and has no pooling to choose; leave it out")
    folder = fetch_folder(name) if weights is None else _folder(name, weights)
    model, tokenizer = _read(name, folder)
    model = model.to(device=device, dtype=dtype).eval().requires_grad_(False)
    return TransformersScorer(name, model, tokenizer, Preprocessing.read(folder), pooling=pooling, compile=compile)


def _folder(name: str, weights: Path) -> Path:
    """Returns the folder that `weights` means: itself, or the one around the model's file."""
    found = local_file("weights", weights, ("config.json",), name)
    names = (WEIGHTS, "pytorch_model.bin", "config.json")
    if found.name not in names or not (found.parent / "config.json").is_file():
        raise ScorerError(
            f"{weights}, given as weights of {name}, is not {' or '.join(names[:2])} beside a config.json; "
            "give the folder that save_pretrained wrote"
        )
    return found.parent


def _read(name: str, folder: Path) -> tuple[Any, Any]:
    """Returns model and tokenizer from a folder, without a look at the network and without running code of theirs."""
    from transformers import AutoConfig, AutoModel, AutoTokenizer

    expected = FAMILIES[name].model_type
    safely = {"local_files_only": True, "trust_remote_code": False}
    try:
        config = AutoConfig.from_pretrained(folder, **safely)
        if config.model_type != expected:
            fitting = next((row for row, family in FAMILIES.items() if family.model_type == config.model_type), None)
            instead = (
                f"give {fitting} as scorer" if fitting else f"the scorers of transformers are {', '.join(FAMILIES)}"
            )
            raise ScorerError(
                f"{folder} holds a model of type {config.model_type}; {name} is of type {expected}: {instead}"
            )
        model, info = AutoModel.from_pretrained(folder, config=config, output_loading_info=True, **safely)
        tokenizer = AutoTokenizer.from_pretrained(folder, **safely)
    except (OSError, ValueError, RuntimeError, KeyError, TypeError, SafetensorError, pickle.UnpicklingError) as error:
        if isinstance(error, ScorerError):
            raise
        cause = str(error).partition("\n")[0]
        raise ScorerError(f"{name} cannot be read from {folder} ({cause}); fetch its files again") from error
    missing = sorted(info["missing_keys"])
    if missing:
        raise ScorerError(
            f"{folder} does not hold all of {name}: {len(missing)} tensors are missing, such as {missing[0]}"
        )
    return model, tokenizer


class TransformersScorer:
    """Embeds videos and prompts with a frozen encoder of transformers.

    psi is a cosine for all of them. X-CLIP (arXiv 2208.02816) embeds a clip of exactly `n_frames` frames with attention
    across them. What it offers besides, video-specific prompting, adds to the text's embedding a term computed from the
    video, and is off here: the text then is one vector for all clips, as the reward's equations need it. In
    transformers' words psi = cos(get_video_features, get_text_features), not `logits_per_video`.

    Attributes:
        name: how `load_scorer` calls it.
        n_frames: frames of a clip. X-CLIP, and pooling "frames", take the middle frames of as many equal parts of a
            clip of another length; pooling "mean" takes any number as it is.
        image_size: pixels it works at; frames of other sizes are resized on the device, which stretches those that are
            not square.
        embed_dim: E, length of an embedding.
    """

    def __init__(
        self,
        name: str,
        model: Any,
        tokenizer: Any,
        preprocessing: Preprocessing,
        *,
        pooling: Pooling = "mean",
        compile: bool = False,
    ) -> None:
        """Takes over a loaded model of a row of `FAMILIES`, folding the pixels' normalisation into it.

        Raises:
            ScorerError: `compile` is asked for where there is no compiler.
        """
        self.name, self._family = name, FAMILIES[name]
        vision, text = model.config.vision_config, model.config.text_config
        self.n_frames: int = vision.num_frames if self._family.whole_clips else FRAMES
        self.image_size: int = vision.image_size
        self._repeat = FRAMES if pooling == "frames" else 1
        self._exact = self._family.whole_clips or pooling == "frames"
        self._model, self._tokenizer, self._mode = model, tokenizer, preprocessing.mode
        fold_normalisation(model.vision_model.embeddings.patch_embedding, preprocessing.mean, preprocessing.deviation)
        self._batches = VideoBatches(model.device, (vision.image_size // vision.patch_size) ** 2)
        self._context: int = text.max_position_embeddings
        self.embed_dim: int = self._repeat * len(self._embed_tokens(["a"])[0])
        self._texts = TextCache(name, self._context, self.embed_dim, self._encode)
        self._embed = compiled(self._embed_batch, model.device) if compile else self._embed_batch

    def embed_video(self, frames: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Embeds videos.

        Args:
            frames: uint8 (B, F, H, W, 3), RGB; any B, F, H and W.

        Returns:
            float32 (B, E), unit rows.

        Raises:
            ConfigError: frames of another type or rank.
            ScorerError: not even one clip fits the device's memory.
        """
        check_frames(frames)
        shown = resampled(frames, self.n_frames) if self._exact else frames
        return self._batches.run(shown, self._embed, self.embed_dim)

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
        pixels = to_pixels(videos, self.image_size, self._model.dtype, self._mode)
        if self._family.whole_clips:
            return F.normalize(self._embed_clips(pixels).float())
        frames = _unit(self._model.get_image_features(pixel_values=pixels.flatten(0, 1)))
        frames = frames.reshape(*videos.shape[:2], -1)
        pooled = frames.mean(dim=1) if self._repeat == 1 else frames.flatten(1)
        return F.normalize(pooled)

    def _embed_clips(self, pixels: Tensor) -> Tensor:
        """Does what `get_video_features` of X-CLIP does, which transformers 4.57 breaks: (B, F, 3, H, W) -> (B, E)."""
        pooled = self._model.vision_model(pixel_values=pixels.flatten(0, 1))[1]
        frames = self._model.visual_projection(pooled).reshape(*pixels.shape[:2], -1)
        video: Tensor = self._model.mit(frames)[1]
        return video

    def _encode(self, prompts: list[str]) -> tuple[NDArray[np.float32], list[int]]:
        lost = [max(0, len(tokens) - self._context) for tokens in self._tokenizer(self._prepared(prompts))["input_ids"]]
        rows = F.normalize(self._embed_tokens(prompts).repeat(1, self._repeat))
        return rows.cpu().numpy(), lost

    @torch.inference_mode()
    def _embed_tokens(self, prompts: list[str]) -> Tensor:
        """Embeds prompts -> float32 (P, E), unit rows, on the device."""
        encoded = self._tokenizer(
            *(self._prepared(prompts),),
            padding="max_length",
            truncation=True,
            max_length=self._context,
            return_tensors="pt",
        ).to(self._model.device)
        mask = {"attention_mask": encoded["attention_mask"]} if self._family.masked else {}
        return _unit(self._model.get_text_features(input_ids=encoded["input_ids"], **mask))

    def _prepared(self, prompts: list[str]) -> list[str]:
        return [prompt.lower() for prompt in prompts] if self._family.lower else prompts


def _unit(features: Any) -> Tensor:
    """Returns features as float32 unit rows; transformers before 5 returns a tensor, since then an object around it."""
    return F.normalize((features if isinstance(features, Tensor) else features.pooler_output).float(), dim=-1)
