"""Where the files of a ViCLIP are looked for, and what is said where they are not."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import huggingface_hub
import pytest

from mvr_wrappers.errors import ScorerError
from mvr_wrappers.scorers import load_scorer
from mvr_wrappers.scorers.viclip.files import VARIABLE, local_files, locate_vocabulary, locate_weights
from tests.support.known import present
from tests.support.tiny_viclip import write_pth, write_safetensors, write_vocabulary

AUTHORS = "ViCLIP-L_InternVid-FLT-10M.pth"
BPE = "bpe_simple_vocab_16e6.txt.gz"


@pytest.fixture(autouse=True)
def offline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No hub, an empty cache of it, no environment variable, and a working directory without files."""
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    monkeypatch.delenv(VARIABLE, raising=False)
    (tmp_path / "cwd").mkdir()
    monkeypatch.chdir(tmp_path / "cwd")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    found = tmp_path / "given"
    found.mkdir()
    return found


def test_weights_are_a_file_or_a_folder_with_the_authors_or_the_hubs_file(folder: Path) -> None:
    hubs = write_safetensors(folder)
    assert locate_weights("viclip-l", folder) == locate_weights("viclip-l", hubs) == hubs
    authors = write_pth(folder).rename(folder / AUTHORS)
    assert locate_weights("viclip-l", folder) == authors
    assert locate_weights("viclip-b", folder) == hubs  # the other size's file is not for it


def test_a_folder_loads_with_the_vocabulary_in_it(folder: Path) -> None:
    write_safetensors(folder)
    write_vocabulary(folder)
    assert load_scorer("viclip-tiny", "cpu", weights=folder).embed_text(["robot"]).shape == (1, 16)


def test_the_vocabulary_lies_beside_the_weights_before_all_but_the_option(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other, third = tmp_path / "other", tmp_path / "third"
    for each in (other, third):
        each.mkdir()
    weights, named = write_pth(folder), write_vocabulary(other)
    monkeypatch.setenv(VARIABLE, str(other))
    assert locate_vocabulary("viclip-l", weights) == named
    beside = write_vocabulary(folder)
    assert locate_vocabulary("viclip-l", weights) == locate_vocabulary("viclip-l", folder) == beside
    given = write_vocabulary(third)
    assert locate_vocabulary("viclip-l", weights, third) == locate_vocabulary("viclip-l", weights, given) == given


def test_a_vocabulary_elsewhere_is_given_as_an_option(folder: Path, tmp_path: Path) -> None:
    weights = write_pth(folder)
    with pytest.raises(ScorerError, match=f"put it beside the weights, into the folder {folder}; or pass vocabulary="):
        load_scorer("viclip-tiny", "cpu", weights=weights)
    vocabulary = write_vocabulary(tmp_path / "cwd")
    assert load_scorer("viclip-tiny", "cpu", weights=weights, vocabulary=str(vocabulary)).embed_dim == 16
    assert load_scorer("viclip-tiny", "cpu", weights=weights, vocabulary=tmp_path / "cwd").embed_dim == 16


def test_the_variable_names_a_folder_for_both(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, str(folder))
    weights, vocabulary = write_safetensors(folder), write_vocabulary(folder)
    assert (locate_weights("viclip-l"), locate_vocabulary("viclip-l")) == (weights, vocabulary)
    assert load_scorer("viclip-tiny", "cpu").embed_dim == 16


def test_a_variable_that_names_no_folder(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, str(folder / "gone"))
    with pytest.raises(ScorerError, match=r"MVR_VICLIP_DIR is '.*gone', and there is no such folder; correct"):
        locate_weights("viclip-l")


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("ViCLIP-L.pth", f"ViCLIP-L.pth, given as weights of viclip-l, does not exist; nearest there: {AUTHORS}"),
        ("gone/ViCLIP-L.pth", r"does not exist; there is no folder .*gone either"),
        ("empty", f"holds no {AUTHORS} and no model.safetensors; it is empty"),
        ("others", r"holds no ViCLIP-L\S* and no model.safetensors; nearest there: ViCLIP-B_InternVid-FLT-10M.pth"),
    ],
)
def test_weights_that_are_not_there(given: str, message: str, folder: Path) -> None:
    for name in ("empty", "others"):
        (folder / name).mkdir()
    (folder / AUTHORS).touch()
    (folder / "others" / AUTHORS.replace("-L_", "-B_")).touch()
    with pytest.raises(ScorerError, match=message):
        load_scorer("viclip-l", "cpu", weights=folder / given)


def test_a_vocabulary_that_is_not_there(folder: Path) -> None:
    weights = write_pth(folder)
    with pytest.raises(ScorerError, match=r"gone, given as vocabulary of viclip-l, does not exist"):
        locate_vocabulary("viclip-l", weights, folder / "gone")
    with pytest.raises(ScorerError, match=f"given as vocabulary of viclip-l, holds no {BPE}; nearest there: tiny.pth"):
        locate_vocabulary("viclip-l", weights, folder)


def test_without_weights_and_hub_every_way_out_is_named() -> None:
    with pytest.raises(ScorerError) as caught:
        locate_weights("viclip-l")
    message = str(caught.value)
    for part in ("OpenGVLab/ViCLIP-L-14-hf", "by hand into the folder", "pass weights=", AUTHORS, VARIABLE):
        assert part in message


def test_files_in_the_authors_folder_are_found_for_the_doctor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert local_files("viclip-l") is None
    authors = tmp_path / "cwd" / "ckpts" / "ViCLIP"
    authors.mkdir(parents=True)
    weights = write_pth(authors).rename(authors / AUTHORS)
    found = local_files("viclip-l")
    assert found is not None
    assert (found.folder, found.weights, found.vocabulary) == (
        Path("ckpts/ViCLIP"),
        Path("ckpts/ViCLIP") / AUTHORS,
        None,
    )
    assert weights.samefile(present(found.weights)) and local_files("viclip-b") is None
    write_vocabulary(authors)
    assert load_scorer("viclip-tiny", "cpu", weights="ckpts/ViCLIP/" + AUTHORS).embed_dim == 16
    monkeypatch.setenv(VARIABLE, str(tmp_path))
    write_vocabulary(tmp_path)
    assert present(local_files("viclip-l")).folder == tmp_path


def test_looking_for_files_loads_no_torch() -> None:
    code = "import sys, mvr_wrappers.scorers.viclip.files; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
