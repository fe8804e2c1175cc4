"""Files of ViCLIP's weights: found locally or on the model hub, and read without running any code of theirs."""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from mvr_wrappers.errors import ScorerError
from mvr_wrappers.scorers.hub import VOCABULARY, WEIGHTS, fetch
from mvr_wrappers.scorers.viclip.net import SIZES, ViCLIP


def locate_weights(name: str, weights: Path | None) -> Path:
    """Returns the file of weights for the scorer `name`.

    Args:
        name: a row of `SIZES`.
        weights: local file; None takes the hub's.

    Raises:
        ScorerError: the file is missing, or the hub cannot be reached; the message says where to put it by hand.
    """
    if weights is None:
        return fetch(name, WEIGHTS)
    if not weights.is_file():
        raise ScorerError(f"the weights file {weights} of {name} does not exist; pass weights= a file that does")
    return weights


def locate_vocabulary(name: str, weights: Path | None) -> Path:
    """Returns the file of vocabulary for the scorer `name`: beside a local file of weights, else the hub's.

    Arguments and errors are those of `locate_weights`.
    """
    if weights is None:
        return fetch(name, VOCABULARY)
    beside = weights.with_name(VOCABULARY)
    return beside if beside.is_file() else fetch(name, VOCABULARY, folder=weights.parent)


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0]


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


def read_tensors(path: Path) -> dict[str, Tensor]:
    """Reads a state dict in either layout, known by its first bytes. Tensors stay in the file where it can be mapped.

    Raises:
        ScorerError: the file is empty, truncated, of another format, or holds pickled code.
    """
    with path.open("rb") as file:
        head = file.read(9)
    try:
        if head[8:] == b"{":  # safetensors: eight bytes of length, then JSON
            with safe_open(path, framework="pt") as archive:
                return {key: archive.get_tensor(key) for key in archive.keys()}
        zipped = head.startswith(b"PK")
        checkpoint = torch.load(path, map_location="cpu", weights_only=True, mmap=zipped)
    except pickle.UnpicklingError as error:
        raise ScorerError(
            f"{path} is no file of weights, or holds Python objects besides its tensors, which are never unpickled. "
            'Save it anew as torch.save({"model": state_dict}, FILE) or with safetensors'
        ) from error
    except (SafetensorError, RuntimeError, EOFError, OSError, ValueError) as error:
        raise ScorerError(
            f"{path} cannot be read ({_first_line(error)}); it is truncated or damaged: fetch it again"
        ) from error
    state = checkpoint.get("model", checkpoint) if isinstance(checkpoint, Mapping) else None
    if not isinstance(state, Mapping) or not all(isinstance(value, Tensor) for value in state.values()):
        raise ScorerError(f'{path} holds no state dict; it must be {{"model": state_dict}} or a state dict itself')
    return dict(state)


def _check_architecture(name: str, path: Path, tensors: Mapping[str, Tensor]) -> None:
    """Refuses tensors that are not those of the row `name`, and tells what they look like."""
    found = {key: tuple(tensor.shape) for key, tensor in tensors.items()}
    wrong = _mismatches(name, found)
    if not wrong:
        return
    fitting = [other for other in SIZES if not _mismatches(other, found)]
    if fitting:
        looks = f'It looks like {fitting[0]}: load_scorer("{fitting[0]}", weights=...)'
    else:
        prefixes = ", ".join(sorted({key.partition(".")[0] for key in found})[:6])
        looks = (
            f"It looks like no ViCLIP of {', '.join(SIZES)}: its {len(found)} tensors belong to {prefixes or 'nothing'}"
        )
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
