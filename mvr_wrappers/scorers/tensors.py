"""Files of tensors, read without running any code of theirs, and whose weights they look like."""

from __future__ import annotations

import pickle
import struct
from collections.abc import Iterable, Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from mvr_wrappers.errors import ScorerError

# What torch's unpickler raises besides its own error where a file is damaged.
_DAMAGED = (
    *(SafetensorError, struct.error, RuntimeError, EOFError, OSError),
    *(LookupError, ValueError, TypeError, AttributeError, AssertionError),
)
# A tensor of each kind of weights that no kind after it has.
_MARKS = {
    "vision_encoder.conv1.weight": "a ViCLIP (viclip-l, viclip-b)",
    "text.pieces.weight": "pocket",
    "mit.position_embedding": "xclip-l",
    "logit_bias": "siglip2",
    "visual_projection.weight": "clip-l",
}


def read_tensors(path: Path) -> dict[str, Tensor]:
    """Reads a state dict: safetensors, {"model": state dict} or a state dict itself as torch saves them.

    The layout is known by the first bytes. Tensors stay in the file where it can be mapped into memory.

    Raises:
        ScorerError: the file is empty, truncated, of another format, or holds pickled code.
    """
    with path.open("rb") as file:
        head = file.read(9)
    if not (head[8:] == b"{" or head.startswith((b"PK", b"\x80"))):  # safetensors; torch's archives and its old format
        raise ScorerError(f"{path} is {'no file of weights' if head else 'empty'}; fetch the file again")
    try:
        if head[8:] == b"{":
            with safe_open(path, framework="pt") as archive:
                return {key: archive.get_tensor(key) for key in archive.keys()}  # noqa: SIM118 - no dict
        checkpoint = torch.load(path, map_location="cpu", weights_only=True, mmap=head.startswith(b"PK"))
    except pickle.UnpicklingError as error:
        raise ScorerError(
            f"{path} is no file of weights, or holds Python objects besides its tensors, which are never unpickled. "
            'Save it anew as torch.save({"model": state_dict}, FILE) or with safetensors'
        ) from error
    except _DAMAGED as error:
        cause = str(error).partition("\n")[0]
        raise ScorerError(f"{path} cannot be read ({cause}); it is truncated or damaged: fetch it again") from error
    state = checkpoint.get("model", checkpoint) if isinstance(checkpoint, Mapping) else None
    if not isinstance(state, Mapping) or not all(isinstance(value, Tensor) for value in state.values()):
        raise ScorerError(f'{path} holds no state dict; it must be {{"model": state_dict}} or a state dict itself')
    return dict(state)


def looks_like(names: Iterable[str]) -> str:
    """Returns a sentence that says whose weights tensors of these names look like."""
    names = set(names)
    kind = next((kind for mark, kind in _MARKS.items() if mark in names), None)
    if kind is not None:
        return f"It looks like weights of {kind}: give that name as scorer"
    parts = ", ".join(sorted({name.partition(".")[0] for name in names})[:6])
    return f"It looks like no scorer of this package: its {len(names)} tensors belong to {parts or 'nothing'}"
