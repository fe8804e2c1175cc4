"""Downloads from the model hub: the real client against a hub on this machine."""

from __future__ import annotations

import functools
import hashlib
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import huggingface_hub
import pytest
import torch

from mvr_agents import cli
from mvr_wrappers.errors import ScorerError, UnknownNameError
from mvr_wrappers.scorers import hub, load_scorer
from mvr_wrappers.scorers.hub import HubFiles
from mvr_wrappers.scorers.tensors import read_tensors
from mvr_wrappers.scorers.viclip.scorer import load_viclip
from tests.support.fake_hub import FakeHub
from tests.support.tiny_viclip import state_dict, write_safetensors, write_vocabulary

CPU = torch.device("cpu")
WEIGHTS, VOCABULARY = "model.safetensors", "bpe_simple_vocab_16e6.txt.gz"
REPO = HubFiles("someone/ViCLIP-tiny-hf", "0123456789abcdef0123456789abcdef01234567")


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache of the hub."""
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setitem(hub.HUB, "viclip-tiny", REPO)
    return tmp_path / "cache"


@pytest.fixture
def offline(cache: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    return cache


@pytest.fixture
def server(tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeHub]:
    fake = FakeHub({path.name: path.read_bytes() for path in (write_safetensors(tmp_path), write_vocabulary(tmp_path))})
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(huggingface_hub.constants, "DOWNLOAD_CHUNK_SIZE", 500)  # what a cut connection loses at most
    monkeypatch.setattr(hub, "hf_hub_download", functools.partial(huggingface_hub.hf_hub_download, endpoint=fake.url))
    yield fake
    fake.close()


def pin(monkeypatch: pytest.MonkeyPatch, **sha256: str) -> None:
    pinned = {{"weights": WEIGHTS, "vocabulary": VOCABULARY}[key]: value for key, value in sha256.items()}
    monkeypatch.setitem(hub.HUB, "viclip-tiny", HubFiles(REPO.repo, REPO.revision, sha256=pinned))


def test_files_come_from_the_pinned_revision_with_a_progress_bar(
    server: FakeHub, cache: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TQDM_POSITION", "-1")  # the client's way to show its bar where there is no terminal
    paths = hub.download("viclip-tiny")
    assert paths == [REPO.folder / WEIGHTS, REPO.folder / VOCABULARY]
    assert cache in paths[0].parents
    assert [path.read_bytes() for path in paths] == [*server.files.values()]
    assert f"GET /{REPO.repo}/resolve/{REPO.revision}/{WEIGHTS}" in server.requests
    bar = capsys.readouterr().err
    assert WEIGHTS in bar and "100%" in bar
    assert load_scorer("viclip-tiny", "cpu").embed_dim == 16


def test_what_is_there_is_not_asked_for_again(server: FakeHub) -> None:
    load_viclip("viclip-tiny", CPU, torch.float32)
    assert server.fetched() == [WEIGHTS, VOCABULARY]
    server.requests.clear()
    load_viclip("viclip-tiny", CPU, torch.float32)
    hub.download("viclip-tiny")
    assert server.requests == []


def test_a_connection_that_is_cut_off_goes_on_where_it_ended(server: FakeHub) -> None:
    server.cut = 1000
    if int(huggingface_hub.__version__.partition(".")[0]) < 1:  # such a client goes on at the next call only
        with pytest.raises(ScorerError, match=r"cannot be had from the hub .*IncompleteRead"):
            hub.fetch("viclip-tiny", WEIGHTS)
    assert read_tensors(hub.fetch("viclip-tiny", WEIGHTS)).keys() == state_dict().keys()
    assert server.ranges == [None, "bytes=1000-"]


def test_a_pinned_sum_that_fits(server: FakeHub, monkeypatch: pytest.MonkeyPatch) -> None:
    pin(monkeypatch, weights=hashlib.sha256(server.files[WEIGHTS]).hexdigest())
    assert hub.fetch("viclip-tiny", WEIGHTS).read_bytes() == server.files[WEIGHTS]


@pytest.mark.parametrize("name", [WEIGHTS, VOCABULARY])
def test_a_changed_file_is_refused_and_removed(server: FakeHub, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    good = server.files[name]
    pin(monkeypatch, **{"weights" if name == WEIGHTS else "vocabulary": hashlib.sha256(good).hexdigest()})
    server.files[name] = good[:-1] + bytes([good[-1] ^ 1])
    changed = hashlib.sha256(server.files[name]).hexdigest()
    with pytest.raises(ScorerError, match=f"has SHA-256 {changed} where [0-9a-f]{{64}} is pinned; it is damaged"):
        hub.fetch("viclip-tiny", name)
    kept = [path for path in REPO.folder.parents[1].rglob("*") if path.is_file() and "refs" not in path.parts]
    assert kept == []
    server.files[name] = good
    assert hub.fetch("viclip-tiny", name).read_bytes() == good


def test_a_file_that_was_changed_on_this_machine_is_refused_offline(
    offline: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    REPO.folder.mkdir(parents=True)
    path = write_safetensors(REPO.folder)
    pin(monkeypatch, weights=hashlib.sha256(path.read_bytes()).hexdigest())
    assert hub.fetch("viclip-tiny", WEIGHTS) == path
    path.write_bytes(path.read_bytes() + b"more")
    with pytest.raises(ScorerError, match="was removed"):
        hub.fetch("viclip-tiny", WEIGHTS)
    assert not path.exists()


def test_a_file_that_the_repository_lacks(server: FakeHub) -> None:
    del server.files[WEIGHTS]
    for bring in (hub.download, lambda name: hub.fetch(name, WEIGHTS)):
        with pytest.raises(ScorerError, match=r"model.safetensors of viclip-tiny cannot be had.*EntryNotFound.*404"):
            bring("viclip-tiny")


def test_the_first_name_of_a_file_that_the_hub_has_is_taken(server: FakeHub, monkeypatch: pytest.MonkeyPatch) -> None:
    files = (("model.bin", WEIGHTS),)
    monkeypatch.setitem(hub.HUB, "viclip-tiny", HubFiles(REPO.repo, REPO.revision, files, (VOCABULARY, "absent.json")))
    assert hub.HUB["viclip-tiny"].missing == ["model.bin"]
    assert [path.name for path in hub.download("viclip-tiny")] == [WEIGHTS, VOCABULARY]
    assert hub.HUB["viclip-tiny"].missing == []
    server.requests.clear()
    assert hub.fetch_folder("viclip-tiny") == REPO.folder and not server.requests


def test_offline_error_names_the_folder_where_files_put_by_hand_are_found(offline: Path) -> None:
    with pytest.raises(ScorerError) as caught:
        load_viclip("viclip-tiny", CPU, torch.float32)
    message = str(caught.value)
    assert "someone/ViCLIP-tiny-hf" in message and REPO.revision in message
    assert f"Put {WEIGHTS} and {VOCABULARY} of" in message
    folder = Path(message.partition(" by hand into the folder ")[2].partition(";")[0])
    assert offline in folder.parents
    folder.mkdir(parents=True)
    paths = [write_safetensors(folder), write_vocabulary(folder)]
    assert load_viclip("viclip-tiny", CPU, torch.float32).embed_dim == 16
    assert hub.download("viclip-tiny") == paths


def test_offline_a_folder_is_complete_without_what_is_optional(offline: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(
        hub.HUB, "viclip-tiny", HubFiles(REPO.repo, REPO.revision, (("model.bin", WEIGHTS),), ("absent.json",))
    )
    REPO.folder.mkdir(parents=True)
    path = write_safetensors(REPO.folder)
    assert hub.download("viclip-tiny") == [path]


@pytest.mark.usefixtures("offline")
def test_offline_nothing_is_asked_of_the_network() -> None:
    with pytest.raises(ScorerError, match=r"[Oo]ffline.* by hand into the folder "):
        hub.download("viclip-tiny")


def test_a_hub_that_cannot_be_reached(server: FakeHub, monkeypatch: pytest.MonkeyPatch) -> None:
    server.close()
    monkeypatch.setattr("time.sleep", lambda seconds: None)  # the client waits between its attempts
    with pytest.raises(ScorerError, match=r"cannot be had .*refused.* by hand into the folder"):
        hub.download("viclip-tiny")


@pytest.mark.parametrize("offline_variable", ["0", "1"])
def test_the_hubs_environment_variables_are_honoured(tmp_path: Path, offline_variable: str) -> None:
    fake = FakeHub({WEIGHTS: b"weights", VOCABULARY: b"words"})
    code = "from mvr_wrappers.scorers import hub; print(*hub.download('viclip-l'), sep='\\n')"
    variables = {"HF_ENDPOINT": fake.url, "HF_HOME": str(tmp_path), "HF_HUB_OFFLINE": offline_variable}
    environment = {key: value for key, value in os.environ.items() if not key.startswith("HF_")} | variables
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=False)
    fake.close()
    if offline_variable == "1":
        assert fake.requests == [] and "ScorerError: model.safetensors of viclip-l cannot be had" in done.stderr
        return
    assert fake.fetched() == [WEIGHTS, VOCABULARY]
    paths = [Path(line) for line in done.stdout.splitlines()]
    assert [path.read_bytes() for path in paths] == [b"weights", b"words"]
    assert all(tmp_path in path.parents for path in paths)


def test_names_without_files_on_the_hub() -> None:
    with pytest.raises(UnknownNameError, match=r"'viclip-xl' has files to download. Nearest: viclip-"):
        hub.download("viclip-xl")
    with pytest.raises(ScorerError, match=r"model.safetensors of mine is not on the hub; pass weights="):
        hub.fetch("mine", WEIGHTS)


@pytest.mark.parametrize(
    ("name", "repo", "revision"),
    [
        ("viclip-l", "OpenGVLab/ViCLIP-L-14-hf", "1652361522e1cb41c28cdfae870f690d00e7456b"),
        ("viclip-b", "OpenGVLab/ViCLIP-B-16-hf", "8484a9cb5b1b86e43c3ded53abe7485f52d8b789"),
        ("clip-l", "openai/clip-vit-large-patch14", "32bd64288804d66eefd0ccbe215aa642df71cc41"),
        ("xclip-l", "microsoft/xclip-large-patch14", "a9dd1429a16cf305df2aaea232d5e8dceba1c675"),
        ("siglip2", "google/siglip2-large-patch16-256", "787800c8990e6f058423089178e718139608408c"),
    ],
)
def test_revisions_are_pinned(name: str, repo: str, revision: str) -> None:
    assert (hub.HUB[name].repo, hub.HUB[name].revision) == (repo, revision)


def test_the_command_downloads_and_names_the_files(server: FakeHub, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["download", "viclip-tiny"]) == 0
    printed = capsys.readouterr().out.splitlines()
    assert [line.partition("  ")[0] for line in printed] == [str(REPO.folder / name) for name in server.files]


@pytest.mark.usefixtures("offline")
def test_the_command_explains_what_cannot_be_had(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["download", "viclip-tiny"]) == 2
    assert "by hand into the folder" in capsys.readouterr().err
    assert cli.main(["download"]) == 2
    assert "name the scorers to download: viclip-l, viclip-b, clip-l" in capsys.readouterr().err
    assert cli.main(["download", "pocket"]) == 2
    assert "'pocket' has files to download" in capsys.readouterr().err


def test_no_code_but_the_hubs_client_is_needed() -> None:
    code = "import sys, mvr_wrappers.scorers.hub; sys.exit('torch' in sys.modules or 'transformers' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
