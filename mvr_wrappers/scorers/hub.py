"""Files of the model hub, at pinned revisions: brought to this machine once by the hub's own client.

The client keeps them in its cache, takes up a dropped connection where it broke off, compares the size with what the
hub states, and honours HF_HOME, HF_ENDPOINT, HF_HUB_OFFLINE and its other variables. Content is checked where the table
has its SHA-256. Where it has none, the pinned revision, TLS and the size are what there is.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from huggingface_hub import constants, hf_hub_download
from huggingface_hub.errors import EntryNotFoundError, HfHubHTTPError, LocalEntryNotFoundError

from mvr_wrappers.errors import ScorerError, UnknownNameError, nearest

WEIGHTS, VOCABULARY = "model.safetensors", "bpe_simple_vocab_16e6.txt.gz"
# A dropped connection raises the HTTP library's own error, which is the base of the hub's.
HUB_ERRORS: tuple[type[Exception], ...] = (OSError, *HfHubHTTPError.__bases__)

_ELSEWHERE = "pass weights= a local file or folder"

_VICLIP = ((WEIGHTS,), (VOCABULARY,))
_TRANSFORMERS = (
    *(("config.json",), ("preprocessor_config.json",)),
    *((WEIGHTS, "pytorch_model.bin"), ("tokenizer.json", "vocab.json"), ("tokenizer_config.json",)),
)
_TOKENIZER_PARTS = ("special_tokens_map.json", "vocab.json", "merges.txt")


@dataclass(frozen=True, slots=True)
class HubFiles:
    """A repository of the model hub, at one revision for ever.

    Attributes:
        repo: owner and name.
        revision: the commit.
        files: what a scorer needs, each as the names it may have, the preferred one first.
        optional: what it takes along where the repository has it.
        sha256: file -> SHA-256 of its content, in hexadecimal; of the files for which it is known.
    """

    repo: str
    revision: str
    files: tuple[tuple[str, ...], ...] = _VICLIP
    optional: tuple[str, ...] = ()
    sha256: Mapping[str, str] = field(default_factory=dict)

    @property
    def folder(self) -> Path:
        """Where the hub's client keeps the files, and where files put by hand are found."""
        repository = "models--" + self.repo.replace("/", "--")
        return Path(constants.HF_HUB_CACHE) / repository / "snapshots" / self.revision

    @property
    def missing(self) -> list[str]:
        """The files needed that the folder lacks."""
        return [names[0] for names in self.files if not any((self.folder / name).is_file() for name in names)]


HUB = {
    "viclip-l": HubFiles("OpenGVLab/ViCLIP-L-14-hf", "1652361522e1cb41c28cdfae870f690d00e7456b"),
    "viclip-b": HubFiles("OpenGVLab/ViCLIP-B-16-hf", "8484a9cb5b1b86e43c3ded53abe7485f52d8b789"),
    "clip-l": HubFiles(
        *("openai/clip-vit-large-patch14", "32bd64288804d66eefd0ccbe215aa642df71cc41"), _TRANSFORMERS, _TOKENIZER_PARTS
    ),
    "xclip-l": HubFiles(
        *("microsoft/xclip-large-patch14", "a9dd1429a16cf305df2aaea232d5e8dceba1c675"), _TRANSFORMERS, _TOKENIZER_PARTS
    ),
    "siglip2": HubFiles(
        "google/siglip2-large-patch16-256", "787800c8990e6f058423089178e718139608408c", _TRANSFORMERS, _TOKENIZER_PARTS
    ),
}
"""Scorer -> its files on the hub."""


def download(name: str) -> list[Path]:
    """Brings every file of a scorer to this machine, with a progress bar, and returns where they are.

    Raises:
        UnknownNameError: no scorer of that name has files on the hub.
        ScorerError: the hub cannot be reached, or a file has not the content it should have.
    """
    if name not in HUB:
        raise UnknownNameError(f"no scorer {name!r} has files to download. Nearest: {nearest(name, HUB)}")
    paths = [_bring(name, names) for names in HUB[name].files]
    for optional in HUB[name].optional:
        try:
            paths.append(_bring(name, (optional,)))
        except ScorerError as error:
            if not isinstance(error.__cause__, EntryNotFoundError):  # the repository has none, or nothing can be had
                raise
    return list(dict.fromkeys(paths))


def fetch(name: str, filename: str, elsewhere: str = _ELSEWHERE) -> Path:
    """Returns a file of a scorer, from the hub's cache or downloaded.

    Args:
        name: a scorer.
        filename: file in its repository.
        elsewhere: ends the error: what to do instead of putting the file into the hub's cache by hand.

    Raises:
        ScorerError: the file is neither cached nor to be downloaded, or has not the content it should have.
    """
    if name not in HUB:
        raise ScorerError(f"{filename} of {name} is not on the hub; {elsewhere}")
    return _bring(name, (filename,), elsewhere)


def fetch_folder(name: str) -> Path:
    """Returns the folder that holds all files of a scorer, downloaded first where one is missing; see `download`."""
    if HUB[name].missing:
        download(name)
    return HUB[name].folder


def _bring(name: str, names: tuple[str, ...], elsewhere: str = _ELSEWHERE) -> Path:
    """Returns the first of `names` that is there, else the first that the repository has."""
    hub = HUB[name]
    filename = next((each for each in names if (hub.folder / each).is_file()), names[0])
    try:
        path = Path(hf_hub_download(hub.repo, filename, revision=hub.revision))
    except HUB_ERRORS as error:
        if len(names) > 1 and isinstance(error, EntryNotFoundError) and not isinstance(error, LocalEntryNotFoundError):
            return _bring(name, names[1:], elsewhere)
        listed = " and ".join(dict.fromkeys([filename, *hub.missing]))
        cause = str(error.__cause__ or error).strip().partition("\n")[0]
        raise ScorerError(
            f"{filename} of {name} cannot be had from the hub ({type(error).__name__}: {cause}). Put {listed} of "
            f"{hub.repo}, revision {hub.revision}, by hand into the folder {hub.folder}; or {elsewhere}"
        ) from error
    expected = hub.sha256.get(filename)
    if expected is not None and (found := _sha256(path)) != expected:
        path.resolve().unlink()  # what the link in the cache points to
        path.unlink(missing_ok=True)
        raise ScorerError(
            f"{filename} of {hub.repo}, revision {hub.revision}, has SHA-256 {found} where {expected} is pinned; it is "
            "damaged or was changed on its way, and was removed. Run again, or fetch it from another network"
        )
    return path


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
