"""Downloads from the model hub: the real client against a hub on this machine."""

from __future__ import annotations

import functools
import gzip
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
from mvr_wrappers.scorers.viclip.scorer import load_viclip
from mvr_wrappers.scorers.viclip.weights import locate_vocabulary, read_tensors
from tests.support.fake_hub import FakeHub
from tests.support.tiny_viclip import state_dict, write_pth, write_safetensors, write_vocabulary

CPU = torch.device("cpu")
REPO = HubFiles("someone/ViCLIP-tiny-hf", "0123456789abcdef0123456789abcdef01234567")


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache of the hub, and a client that has not looked yet whether it is offline."""
    if hasattr(huggingface_hub.utils, "reset_sessions"):  # before 1.0 a session remembers it
        huggingface_hub.utils.reset_sessions()
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setitem(hub.HUB, "viclip-tiny", REPO)
    return tmp_path / "cache"


@pytest.fixture
def offline(cache: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    return cache


@pytest.fixture
def server(tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeHub]:
    paths = write_safetensors(tmp_path), write_vocabulary(tmp_path)
    fake = FakeHub({path.name: path.read_bytes() for path in paths}, git={paths[1].name})
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(hub, "HfApi", functools.partial(huggingface_hub.HfApi, fake.url))
    monkeypatch.setattr(huggingface_hub.constants, "DOWNLOAD_CHUNK_SIZE", 500)  # what a cut connection loses at most
    yield fake
    fake.close()


def test_files_come_from_the_pinned_revision_with_a_progress_bar(
    server: FakeHub, cache: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TQDM_POSITION", "-1")  # the client's way to show its bar where there is no terminal
    paths = hub.download("viclip-tiny")
    assert paths == [REPO.folder / "model.safetensors", REPO.folder / "bpe_simple_vocab_16e6.txt.gz"]
    assert cache in paths[0].parents
    assert [path.read_bytes() for path in paths] == [*server.files.values()]
    assert server.requests[0] == f"POST /api/models/{REPO.repo}/paths-info/{REPO.revision}"
    assert server.requests[1] == f"GET /{REPO.repo}/resolve/{REPO.revision}/model.safetensors"
    bar = capsys.readouterr().err
    assert "viclip-tiny model.safetensors" in bar and "100%" in bar
    assert load_scorer("viclip-tiny", "cpu").embed_dim == 16


def test_what_is_there_is_checked_and_not_fetched_again(server: FakeHub) -> None:
    paths = hub.download("viclip-tiny")
    paths[1].write_bytes(gzip.compress(b"something else"))
    server.requests.clear()
    assert hub.download("viclip-tiny") == paths
    assert [request.rpartition("/")[2] for request in server.requests if request.startswith("GET")] == [paths[1].name]
    assert paths[1].read_bytes() == server.files[paths[1].name]


def test_loading_fetches_what_is_missing_and_then_asks_no_more(server: FakeHub) -> None:
    load_viclip("viclip-tiny", CPU, torch.float32)
    assert len(server.requests) == 4
    load_viclip("viclip-tiny", CPU, torch.float32)
    assert len(server.requests) == 4


def test_a_download_that_was_cut_off_goes_on_where_it_ended(server: FakeHub) -> None:
    server.cut = 1000
    with pytest.raises(ScorerError, match="1000 bytes have come; run again to go on from there"):
        hub.fetch("viclip-tiny", "model.safetensors")
    assert not (REPO.folder / "model.safetensors").exists()
    server.broken = False
    server.ranges.clear()
    assert read_tensors(hub.fetch("viclip-tiny", "model.safetensors")).keys() == state_dict().keys()
    assert server.ranges == ["bytes=1000-"]


@pytest.mark.parametrize("name", ["model.safetensors", "bpe_simple_vocab_16e6.txt.gz"], ids=["sha256", "git"])
def test_a_damaged_download_is_removed(server: FakeHub, name: str) -> None:
    good = server.files[name]
    server.files[name] = good[:-1] + bytes([good[-1] ^ 1])
    with pytest.raises(ScorerError, match=r"damaged and was removed \(.*SHA.* the hub states"):
        hub.fetch("viclip-tiny", name)
    assert not (REPO.folder / name).exists()
    server.files[name] = good
    assert hub.fetch("viclip-tiny", name).read_bytes() == good


def test_the_size_is_checked(server: FakeHub) -> None:
    server.files["model.safetensors"] += b"more"
    with pytest.raises(ScorerError, match=r"should be of size|the hub states"):
        hub.fetch("viclip-tiny", "model.safetensors")
    assert not (REPO.folder / "model.safetensors").exists()


def test_another_content_under_way_is_not_appended_to(server: FakeHub) -> None:
    server.cut = 1000
    with pytest.raises(ScorerError):
        hub.fetch("viclip-tiny", "model.safetensors")
    (part,) = (REPO.folder.parents[1] / "blobs").iterdir()
    part.write_bytes(part.read_bytes() + bytes(len(server.files["model.safetensors"])))
    server.broken = False
    assert hub.fetch("viclip-tiny", "model.safetensors").read_bytes() == server.files["model.safetensors"]


def test_a_file_that_the_repository_lacks(server: FakeHub) -> None:
    del server.stated["model.safetensors"]
    for bring in (hub.download, lambda name: hub.fetch(name, "model.safetensors")):
        with pytest.raises(ScorerError, match=r"someone/ViCLIP-tiny-hf at revision 0123\w* has no model.safetensors"):
            bring("viclip-tiny")


def test_the_first_name_of_a_file_that_the_hub_has_is_taken(server: FakeHub, monkeypatch: pytest.MonkeyPatch) -> None:
    vocabulary = "bpe_simple_vocab_16e6.txt.gz"
    files = (("model.bin", "model.safetensors"),)
    monkeypatch.setitem(hub.HUB, "viclip-tiny", HubFiles(REPO.repo, REPO.revision, files, (vocabulary, "absent.json")))
    assert hub.HUB["viclip-tiny"].missing == ["model.bin"]
    assert [path.name for path in hub.download("viclip-tiny")] == ["model.safetensors", vocabulary]
    assert hub.HUB["viclip-tiny"].missing == []
    server.requests.clear()
    assert hub.fetch_folder("viclip-tiny") == REPO.folder and not server.requests


def test_offline_error_names_the_folder_where_files_put_by_hand_are_found(offline: Path) -> None:
    with pytest.raises(ScorerError) as caught:
        load_viclip("viclip-tiny", CPU, torch.float32)
    message = str(caught.value)
    assert "someone/ViCLIP-tiny-hf" in message and REPO.revision in message
    assert "Put model.safetensors and bpe_simple_vocab_16e6.txt.gz of" in message
    folder = Path(message.rpartition(" by hand into the folder ")[2])
    assert offline in folder.parents
    folder.mkdir(parents=True)
    paths = [write_safetensors(folder), write_vocabulary(folder)]
    assert load_viclip("viclip-tiny", CPU, torch.float32).embed_dim == 16
    assert hub.download("viclip-tiny") == sorted(paths)


@pytest.mark.usefixtures("offline")
def test_offline_nothing_is_asked_of_the_network() -> None:
    with pytest.raises(ScorerError, match=r"OfflineModeIsEnabled.* by hand into the folder "):
        hub.download("viclip-tiny")


@pytest.mark.usefixtures("offline")
def test_offline_without_a_vocabulary_says_to_put_it_beside_the_weights(tmp_path: Path) -> None:
    with pytest.raises(
        ScorerError, match=f"Put bpe_simple_vocab_16e6.txt.gz of .* by hand into the folder {tmp_path}$"
    ):
        locate_vocabulary("viclip-tiny", write_pth(tmp_path))


def test_a_hub_that_cannot_be_reached(server: FakeHub) -> None:
    server.close()
    with pytest.raises(ScorerError, match=r"cannot be had from the hub \(Connect\w*Error: .* by hand into the folder"):
        hub.download("viclip-tiny")


def test_names_without_files_on_the_hub() -> None:
    with pytest.raises(UnknownNameError, match=r"'viclip-xl' has files to download. Nearest: viclip-"):
        hub.download("viclip-xl")


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
