"""Files of the model hub: downloaded once at a pinned revision, resumed when cut off, and checked before use."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from huggingface_hub import HfApi, constants, hf_hub_url
from huggingface_hub.errors import HfHubHTTPError, OfflineModeIsEnabled
from huggingface_hub.file_download import http_get
from huggingface_hub.hf_api import RepoFile
from huggingface_hub.utils import WeakFileLock, build_hf_headers  # type: ignore[attr-defined]  # its stubs lack them

from mvr_wrappers.errors import ScorerError, UnknownNameError, nearest

WEIGHTS, VOCABULARY = "model.safetensors", "bpe_simple_vocab_16e6.txt.gz"
# A dropped connection raises the HTTP library's own error, which is the base of the hub's.
HUB_ERRORS: tuple[type[Exception], ...] = (OSError, *HfHubHTTPError.__bases__)

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
    """

    repo: str
    revision: str
    files: tuple[tuple[str, ...], ...] = _VICLIP
    optional: tuple[str, ...] = ()

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

    Files that are there already are checked against the sizes and checksums that the hub states, and fetched again
    where they differ. With HF_HUB_OFFLINE set a complete folder is returned as it is.

    Raises:
        UnknownNameError: no scorer of that name has files on the hub.
        ScorerError: the hub cannot be reached, or what came differs from what it states.
    """
    if name not in HUB:
        raise UnknownNameError(f"no scorer {name!r} has files to download. Nearest: {nearest(name, HUB)}")
    hub = HUB[name]
    try:
        stated = _stated(hub, [*(alternative for names in hub.files for alternative in names), *hub.optional])
    except OfflineModeIsEnabled as error:
        if hub.missing:
            raise _unavailable(name, hub.missing, hub.folder, error) from error
        return [path for path in sorted(hub.folder.iterdir()) if path.is_file()]
    except HUB_ERRORS as error:
        raise _unavailable(name, hub.missing, hub.folder, error) from error
    wanted: dict[str, RepoFile] = {}
    for names in hub.files:
        found = next((stated[alternative] for alternative in names if alternative in stated), None)
        if found is None:
            raise ScorerError(f"{hub.repo} at revision {hub.revision} has no {' or '.join(names)}")
        wanted[found.path] = found
    wanted |= {path: stated[path] for path in hub.optional if path in stated}
    return [_bring(name, hub, file) for file in wanted.values()]


def fetch(name: str, filename: str, folder: Path | None = None) -> Path:
    """Returns a file of a scorer, from the hub's cache or downloaded and checked.

    HF_HUB_OFFLINE, HF_HOME, HF_ENDPOINT and the hub's other variables are honoured.

    Args:
        name: a scorer.
        filename: file in its repository.
        folder: where the error tells to put files by hand; None takes the hub's cache.

    Raises:
        ScorerError: the file is neither cached nor to be downloaded, or differs from what the hub states.
    """
    hub = HUB.get(name)
    if hub is None:
        raise ScorerError(f"{name} is not on the hub: pass weights= a file of it, with {VOCABULARY} in the same folder")
    if (hub.folder / filename).is_file():
        return hub.folder / filename
    files = [filename] if folder else dict.fromkeys([filename, *hub.missing])
    try:
        stated = _stated(hub, [filename])
    except HUB_ERRORS as error:
        raise _unavailable(name, files, folder or hub.folder, error) from error
    if filename not in stated:
        raise ScorerError(f"{hub.repo} at revision {hub.revision} has no {filename}")
    return _bring(name, hub, stated[filename], folder)


def fetch_folder(name: str) -> Path:
    """Returns the folder that holds all files of a scorer, downloaded first where one is missing.

    Raises:
        ScorerError: see `download`.
    """
    if HUB[name].missing:
        download(name)
    return HUB[name].folder


def _stated(hub: HubFiles, names: Sequence[str]) -> dict[str, RepoFile]:
    """Returns what the hub says of those of the files that it has."""
    infos = HfApi().get_paths_info(hub.repo, list(names), revision=hub.revision)
    return {info.path: info for info in infos if isinstance(info, RepoFile)}


def _bring(name: str, hub: HubFiles, stated: RepoFile, folder: Path | None = None) -> Path:
    """Returns the file with the content the hub states; downloads it unless it is there, from where it was cut off."""
    path = hub.folder / stated.path
    if path.is_file() and not _differs(stated, path):
        return path
    # Named by its content, so that what is resumed is the same file; locked, so that no two processes append to it.
    repository = hub.folder.parents[1]
    part = repository / "blobs" / f"{_checksum(stated)}.part"
    lock = repository.parent / ".locks" / repository.name / f"{_checksum(stated)}.lock"
    for folder_needed in (path.parent, part.parent, lock.parent):
        folder_needed.mkdir(parents=True, exist_ok=True)
    with WeakFileLock(lock):
        try:
            _append(hub, stated, part, label=f"{name} {path.name}")
        except HUB_ERRORS as error:
            failure = _unavailable(name, [stated.path], folder or hub.folder, error)
            raise ScorerError(
                f"{part.stat().st_size} bytes have come; run again to go on from there. {failure}"
            ) from error
        wrong = _differs(stated, part)
        if wrong:
            part.unlink()
            raise ScorerError(
                f"the download of {stated.path} from {hub.repo} is damaged and was removed ({wrong}); run again"
            )
        part.replace(path)  # where a link into the hub's blobs was, the link goes and the blob stays
    return path


def _append(hub: HubFiles, stated: RepoFile, part: Path, label: str) -> None:
    """Downloads what a partial file lacks, with a progress bar."""
    with part.open("ab") as file:
        if file.tell() > stated.size:
            file.seek(0)
            file.truncate()
        http_get(
            hf_hub_url(hub.repo, stated.path, revision=hub.revision, endpoint=HfApi().endpoint),
            file,
            resume_size=file.tell(),
            headers=build_hf_headers(),
            expected_size=stated.size,
            displayed_filename=label,
        )


def _checksum(stated: RepoFile) -> str:
    return stated.blob_id if stated.lfs is None else stated.lfs.sha256


def _differs(stated: RepoFile, path: Path) -> str:
    """Tells how a file differs from what the hub states: in size, SHA-256, or git's own sum for a small file."""
    size = path.stat().st_size
    if size != stated.size:
        return f"{size} bytes, the hub states {stated.size}"
    digest = hashlib.sha256() if stated.lfs is not None else hashlib.sha1(b"blob %d\0" % size)
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    found, expected = digest.hexdigest(), _checksum(stated)
    kind = "SHA-256" if stated.lfs is not None else "git's SHA-1"
    return "" if found == expected else f"{kind} {found}, the hub states {expected}"


def _unavailable(name: str, files: Iterable[str], folder: Path, error: Exception) -> ScorerError:
    hub = HUB[name]
    listed = " and ".join(files)
    cause = str(error).partition("\n")[0]
    return ScorerError(
        f"{listed} of {name} cannot be had from the hub ({type(error).__name__}: {cause}). "
        f"Put {listed} of {hub.repo}, revision {hub.revision}, by hand into the folder {folder}"
    )
