"""From bytes to what a network's stem reads, on the device the bytes are on."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mvr_wrappers.errors import ScorerError

Mode = Literal["bilinear", "bicubic"]


@dataclass(frozen=True, slots=True)
class Preprocessing:
    """What becomes of pixels in [0, 1] before the network, from the folder's preprocessor_config.json.

    Attributes:
        mean: of the three channels.
        deviation: of each channel, as the mean.
        mode: how frames of another size are resized.
    """

    mean: tuple[float, ...]
    deviation: tuple[float, ...]
    mode: Mode

    @classmethod
    def read(cls, folder: Path) -> Preprocessing:
        """Reads preprocessor_config.json, or the image processor's part of processor_config.json.

        Raises:
            ScorerError: neither is there, or what it says is not understood.
        """
        for name in ("preprocessor_config.json", "processor_config.json"):
            if (folder / name).is_file():
                try:
                    values = json.loads((folder / name).read_text(encoding="utf-8"))
                    values = values.get("image_processor", values)
                    mode: Mode = "bilinear" if values["resample"] == 2 else "bicubic"
                    return cls(tuple(values["image_mean"]), tuple(values["image_std"]), mode)
                except (ValueError, KeyError, TypeError, AttributeError) as error:
                    raise ScorerError(f"{folder / name} is not understood ({error!r}); fetch it anew") from error
        raise ScorerError(f"{folder} has no preprocessor_config.json; save the model's processor there too")


def to_pixels(videos: Tensor, size: int, dtype: torch.dtype, mode: Mode = "bilinear") -> Tensor:
    """Turns frames into planes of colour, resized on their device where they need it, stretching what is not square.

    Args:
        videos: uint8 (B, F, H, W, 3).
        size: height and width wanted.
        dtype: of the result; bfloat16 holds every byte exactly.
        mode: of the resizing, which is antialiased.

    Returns:
        (B, F, 3, size, size), in [0, 255].
    """
    planes = videos.permute(0, 1, 4, 2, 3)
    if planes.shape[-2:] != (size, size):
        resized = F.interpolate(planes.flatten(0, 1).float(), size=(size, size), mode=mode, antialias=True)
        planes = resized.clamp(0, 255).reshape(*planes.shape[:3], size, size)  # bicubic weights overshoot
    return planes.to(dtype).contiguous()


def fold_normalisation(stem: nn.Conv2d | nn.Conv3d, mean: Sequence[float], deviation: Sequence[float]) -> None:
    """Makes a stem read pixels in [0, 255] instead of normalised ones: it changes its weights and its bias.

    stem((p / 255 - mean) / deviation) = sum_c w_c p_c / (255 deviation_c) + b - sum_c w_c mean_c / deviation_c,
    exactly, because the stem does not pad. The bias is computed from the new weights as they are rounded to the stem's
    precision, so that a frame of the mean colour still gives what it gave.

    Args:
        stem: the convolution over patches; a bias is added if it has none.
        mean: of the three channels, for pixels in [0, 1].
        deviation: of each channel, as the mean.
    """
    weight = stem.weight.data
    shape = (1, 3, *[1] * (weight.ndim - 2))
    scale, colour = (torch.tensor(values, dtype=torch.float64).reshape(shape) for values in (deviation, mean))
    folded = (weight.double().cpu() / (255 * scale)).to(weight.dtype)
    shift = -(folded.double() * 255 * colour).flatten(1).sum(dim=1)
    if stem.bias is not None:
        shift += stem.bias.data.double().cpu()
    stem.weight.data = folded.to(weight.device)
    stem.bias = nn.Parameter(shift.to(weight.device, weight.dtype), requires_grad=False)
