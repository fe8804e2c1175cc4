"""Where the files of a ViCLIP lie: its weights and the byte-pair vocabulary. Loads no torch."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from mvr_wrappers.errors import ScorerError
from mvr_wrappers.scorers.files import local_file
from mvr_wrappers.scorers.hub import VOCABULARY, WEIGHTS, fetch

VARIABLE = "MVR_VICLIP_DIR"  # environment variable: a folder with the weights, the vocabulary, or both
AUTHORS_FOLDER = Path("ckpts", "ViCLIP")  # where the code of the paper's authors keeps them
AUTHORS_FILES = {"viclip-l": "ViCLIP-L_InternVid-FLT-10M.pth", "viclip-b": "ViCLIP-B_InternVid-FLT-10M.pth"}


def locate_weights(name: str, weights: Path | None = None) -> Path:
    """Returns the file of weights of the scorer `name`.

    Args:
        name: a row of `SIZES`.
        weights: a file, or a folder with a file of one of `weights_names`. None looks into the folder that the
            environment variable MVR_VICLIP_DIR names, then asks the hub.

    Raises:
        ScorerError: there is none, or the hub cannot be reached; the message says what was looked for and where.
    """
    if weights is not None:
        return local_file("weights", weights, weights_names(name), name)
    found = _in_variables_folder(weights_names(name))
    instead = (
        f"pass weights= a file, or a folder with {' or '.join(weights_names(name))}, or set {VARIABLE} to the folder"
    )
    return found or fetch(name, WEIGHTS, instead)


def locate_vocabulary(name: str, weights: Path | None = None, vocabulary: Path | None = None) -> Path:
    """Returns the byte-pair vocabulary, bpe_simple_vocab_16e6.txt.gz, of the scorer `name`.

    Args:
        name: a row of `SIZES`.
        weights: as given to `locate_weights`.
        vocabulary: the file, or a folder that holds it. None looks beside the weights, then into the folder that the
            environment variable MVR_VICLIP_DIR names, then asks the hub.

    Raises:
        ScorerError: as of `locate_weights`.
    """
    if vocabulary is not None:
        return local_file("vocabulary", vocabulary, (VOCABULARY,), name)
    beside = None if weights is None else (weights if weights.is_dir() else weights.parent) / VOCABULARY
    if beside is not None and beside.is_file():
        return beside
    where = "" if beside is None else f"put it beside the weights, into the folder {beside.parent}; or "
    instead = f"{where}pass vocabulary= the file or its folder, or set {VARIABLE} to the folder"
    return _in_variables_folder((VOCABULARY,)) or fetch(name, VOCABULARY, instead)


def weights_names(name: str) -> tuple[str, ...]:
    """Returns the names that a file of weights has in a folder: the authors', then the hub's."""
    return (AUTHORS_FILES[name], WEIGHTS) if name in AUTHORS_FILES else (WEIGHTS,)


@dataclass(frozen=True, slots=True)
class LocalFiles:
    """What a folder holds of a ViCLIP.

    Attributes:
        folder: to be given as `weights=`, or by MVR_VICLIP_DIR.
        weights: the file of weights, None if it is not there.
        vocabulary: the byte-pair vocabulary, None if it is not there.
    """

    folder: Path
    weights: Path | None
    vocabulary: Path | None


def local_files(name: str) -> LocalFiles | None:
    """Returns what there is of a ViCLIP outside the hub's cache, in MVR_VICLIP_DIR or in ckpts/ViCLIP; None if nothing.

    `load_scorer` looks into the first by itself, into the second where `weights=` names it.
    """
    for folder in (_variables_folder(), AUTHORS_FOLDER):
        if folder is None:
            continue
        weights, vocabulary = _first(folder, weights_names(name)), _first(folder, (VOCABULARY,))
        if weights or vocabulary:
            return LocalFiles(folder, weights, vocabulary)
    return None


def _variables_folder() -> Path | None:
    value = os.environ.get(VARIABLE)
    if not value:
        return None
    folder = Path(value).expanduser().absolute()
    if not folder.is_dir():
        raise ScorerError(f"{VARIABLE} is {value!r}, and there is no such folder; correct the variable, or unset it")
    return folder


def _in_variables_folder(names: tuple[str, ...]) -> Path | None:
    folder = _variables_folder()
    return None if folder is None else _first(folder, names)


def _first(folder: Path, names: tuple[str, ...]) -> Path | None:
    return next((folder / name for name in names if (folder / name).is_file()), None)
