"""Weights in every layout, and every way a file can be wrong."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from mvr_wrappers.errors import ScorerError
from mvr_wrappers.scorers.pocket.scorer import WEIGHTS as POCKET
from mvr_wrappers.scorers.viclip import net as viclip_net
from mvr_wrappers.scorers.viclip.net import ViCLIPSize
from mvr_wrappers.scorers.viclip.scorer import load_viclip
from mvr_wrappers.scorers.viclip.weights import load_network
from tests.support.tiny_encoders import write_encoder
from tests.support.tiny_viclip import state_dict, write_pth, write_safetensors

CPU = torch.device("cpu")


def load(path: Path, dtype: torch.dtype = torch.float32) -> dict[str, torch.Tensor]:
    return load_network("viclip-tiny", path, CPU, dtype).state_dict()


def assert_same(found: dict[str, torch.Tensor], expected: dict[str, torch.Tensor]) -> None:
    assert found.keys() == expected.keys()
    for key, tensor in expected.items():
        torch.testing.assert_close(found[key], tensor, msg=key)


def write_bare(folder: Path) -> Path:
    torch.save(state_dict(), folder / "bare.pt")
    return folder / "bare.pt"


def write_old_format(folder: Path) -> Path:
    torch.save({"model": state_dict()}, folder / "old.pth", _use_new_zipfile_serialization=False)
    return folder / "old.pth"


def write_without_suffix(folder: Path) -> Path:
    return write_safetensors(folder).rename(folder / "blob")


LAYOUTS = [write_pth, write_safetensors, write_bare, write_old_format, write_without_suffix]


@pytest.mark.parametrize("write", LAYOUTS)
def test_every_layout_loads(tmp_path: Path, write: Any) -> None:
    network = load_network("viclip-tiny", write(tmp_path), CPU, torch.float32)
    assert_same(network.state_dict(), state_dict())
    assert not network.training and not any(p.requires_grad for p in network.parameters())


def test_precision_is_the_one_asked_for_not_the_files(tmp_path: Path) -> None:
    halves = {key: tensor.half() for key, tensor in state_dict().items()}
    save_file(halves, tmp_path / "half.safetensors")
    assert_same(load(tmp_path / "half.safetensors"), {key: tensor.float() for key, tensor in halves.items()})
    assert {tensor.dtype for tensor in load(tmp_path / "half.safetensors", torch.bfloat16).values()} == {torch.bfloat16}


@pytest.mark.parametrize("write", [write_pth, write_safetensors])
def test_network_outlives_its_file(tmp_path: Path, write: Any) -> None:
    path = write(tmp_path)
    found = load(path)
    size = path.stat().st_size
    with path.open("r+b") as file:
        file.write(b"\xff" * size)
    assert_same(found, state_dict())


@pytest.mark.parametrize("write", LAYOUTS)
@pytest.mark.parametrize("share", [0.0, 0.001, 0.5, 0.99])
def test_truncated_file(tmp_path: Path, write: Any, share: float) -> None:
    path = write(tmp_path)
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    with pytest.raises(ScorerError, match=path.name):
        load(path)


def test_noise_is_no_weights(tmp_path: Path, rng: np.random.Generator) -> None:
    path = tmp_path / "noise.pth"
    path.write_bytes(rng.bytes(1000))
    with pytest.raises(ScorerError, match=r"noise\.pth"):
        load(path)


class Trap:
    """Creates a file when unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return Path.touch, (self.path,)


@pytest.mark.parametrize("zipped", [True, False])
def test_code_is_never_unpickled(tmp_path: Path, zipped: bool) -> None:
    path, sprung = tmp_path / "trap.pth", tmp_path / "sprung"
    content = {"model": state_dict(), "config": Trap(sprung)}
    torch.save(content, path, _use_new_zipfile_serialization=zipped)
    with pytest.raises(ScorerError, match="never unpickled"):
        load(path)
    assert not sprung.exists()


@pytest.mark.parametrize("content", [[1, 2], {"model": {"a": 3}}, {"model": 5}, {}], ids=str)
def test_checkpoint_without_a_state_dict(tmp_path: Path, content: Any) -> None:
    path = tmp_path / "other.pth"
    torch.save(content, path)
    with pytest.raises(ScorerError, match=r"other.pth .*"):
        load(path)


def test_pickle_of_numpy_arrays_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "arrays.pkl"
    path.write_bytes(pickle.dumps({"model": np.zeros(3)}, protocol=2))
    with pytest.raises(ScorerError, match=r"arrays.pkl"):
        load(path)


def test_another_size_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wide = ViCLIPSize(patch=8, vision=(48, 2, 2), text=(24, 2, 2), embed_dim=16, image_size=32, vocabulary=576)
    monkeypatch.setitem(viclip_net.SIZES, "viclip-wide", wide)
    save_file(state_dict(name="viclip-wide"), tmp_path / "wide.safetensors")
    with pytest.raises(ScorerError) as caught:
        load(tmp_path / "wide.safetensors")
    message = str(caught.value)
    assert "vision_encoder.class_embedding is (48,), expected (32,)" in message
    assert message.endswith("It looks like viclip-wide: give that name as scorer")


def test_another_architecture_is_described(tmp_path: Path) -> None:
    path = tmp_path / "clip.safetensors"
    save_file({"visual.proj": torch.zeros(2), "transformer.weight": torch.zeros(3)}, path)
    with pytest.raises(ScorerError) as caught:
        load(path)
    message = str(caught.value)
    assert "temp is missing, expected ()" in message
    assert "It looks like no scorer of this package: its 2 tensors belong to transformer, visual" in message


def test_one_wrong_tensor_is_enough(tmp_path: Path) -> None:
    tensors = state_dict()
    tensors["vision_encoder.proj"] = torch.zeros(32, 8)
    tensors["extra.weight"] = torch.zeros(1)
    save_file(tensors, tmp_path / "odd.safetensors")
    with pytest.raises(
        ScorerError, match=r"vision_encoder.proj is \(32, 8\), expected \(32, 16\).*extra.weight is not"
    ):
        load(tmp_path / "odd.safetensors")


def test_weights_of_another_scorer_are_named() -> None:
    with pytest.raises(ScorerError, match=r"pocket.safetensors does not fit viclip-tiny.*weights of pocket: give that"):
        load(POCKET)


@pytest.mark.parametrize("name", ["clip-l", "xclip-l", "siglip2"])
def test_weights_of_an_encoder_of_transformers_are_named(tmp_path: Path, name: str) -> None:
    write_encoder(tmp_path, name)
    with pytest.raises(ScorerError, match=f"does not fit viclip-tiny.*It looks like weights of {name}: give that"):
        load(tmp_path / "model.safetensors")


@pytest.mark.parametrize(
    "content", [b"", b"east of the sun", b"{}", b"\x80", b"\x80\x02e", b"\x80\x02M\x01", b"PK\x03\x04"]
)
def test_what_is_no_file_of_weights(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "words.pth").write_bytes(content)
    with pytest.raises(ScorerError, match=r"words\.pth"):
        load(tmp_path / "words.pth")


def test_damaged_weights_are_told_of_before_a_missing_vocabulary(tmp_path: Path) -> None:
    path = tmp_path / "cut.pth"
    path.write_bytes(write_pth(tmp_path).read_bytes()[:200])
    with pytest.raises(ScorerError, match="truncated or damaged"):
        load_viclip("viclip-tiny", CPU, torch.float32, path)
