"""ViCLIP's weights: read, and checked against the architecture they are asked for."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from mvr_wrappers.errors import ScorerError
from mvr_wrappers.scorers.tensors import looks_like, read_tensors
from mvr_wrappers.scorers.viclip.net import SIZES, ViCLIP


def load_network(name: str, path: Path, device: torch.device, dtype: torch.dtype) -> ViCLIP:
    """Returns the network of the scorer `name`, frozen, with the weights of `path`.

    Args:
        name: a row of `SIZES`.
        path: the authors' checkpoint ({"model": state dict}), a bare state dict, or safetensors.
        device: where the network computes.
        dtype: precision of its parameters, whatever the file's.

    Raises:
        ScorerError: the file cannot be read, or holds another architecture.
    """
    with torch.device("meta"):  # shapes only: no memory before the weights come
        network = ViCLIP(SIZES[name])
    tensors = read_tensors(path)
    _check_architecture(name, path, tensors)
    # Copied even where nothing converts: a file mapped into memory would change under the network.
    placed = {key: tensor.to(device, dtype, copy=True) for key, tensor in tensors.items()}
    network.load_state_dict(placed, assign=True)
    return network.eval().requires_grad_(False)


def _check_architecture(name: str, path: Path, tensors: Mapping[str, Tensor]) -> None:
    """Refuses tensors that are not those of the row `name`, and tells what they look like."""
    found = {key: tuple(tensor.shape) for key, tensor in tensors.items()}
    wrong = _mismatches(name, found)
    if not wrong:
        return
    fitting = [other for other in SIZES if not _mismatches(other, found)]
    looks = f"It looks like {fitting[0]}: give that name as scorer" if fitting else looks_like(found)
    raise ScorerError(f"{path} does not fit {name}: {'; '.join(wrong[:3])} ({len(wrong)} differ). {looks}")


def _mismatches(name: str, found: Mapping[str, tuple[int, ...]]) -> list[str]:
    with torch.device("meta"):
        wanted = {key: tuple(tensor.shape) for key, tensor in ViCLIP(SIZES[name]).state_dict().items()}
    wrong = [
        f"{key} is {found.get(key, 'missing')}, expected {shape}"
        for key, shape in wanted.items()
        if found.get(key) != shape
    ]
    return wrong + [f"{key} is not part of it" for key in found if key not in wanted]
