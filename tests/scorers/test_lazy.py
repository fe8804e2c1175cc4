"""A scorer by name is loaded when it first embeds, and all that can be told before is told before."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import huggingface_hub
import pytest
import torch

from mvr_wrappers.errors import ConfigError, ScorerError, UnknownNameError
from mvr_wrappers.scorers import load_scorer, register_scorer, registry
from mvr_wrappers.scorers.lazy import LazyScorer
from mvr_wrappers.scorers.viclip.net import SIZES
from tests.support.fake_scorer import FakeScorer
from tests.support.tiny_viclip import write_pth, write_vocabulary


@pytest.fixture(autouse=True)
def own_table(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(registry, "_TABLE", dict(registry._TABLE))
    yield
    registry._load.cache_clear()


@pytest.fixture
def loads(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """What the scorer "counted" was made with, load by load."""
    seen: list[dict[str, Any]] = []
    register_scorer("counted", lambda **arguments: seen.append(arguments) or FakeScorer())
    return seen


def test_a_scorer_by_name_is_loaded_once_and_late(loads: list[dict[str, Any]], tmp_path: Path) -> None:
    lazy = LazyScorer("counted", "cpu", "bfloat16", tmp_path, width=3, depth=None)
    assert (lazy.name, lazy.source, loads) == ("counted", "counted", [])
    assert lazy.get() is lazy.get()
    assert loads == [{"device": torch.device("cpu"), "dtype": torch.bfloat16, "weights": tmp_path, "width": 3}]


def test_the_size_of_a_shipped_scorer_is_known_before_it_is_loaded() -> None:
    lazy = LazyScorer("pocket", "cpu")
    assert lazy.image_size == 96 and lazy._scorer is None
    assert load_scorer("pocket", "cpu").image_size == 96
    assert {name: registry._TABLE[name].image_size for name in ("viclip-l", "viclip-b")} == {
        name: SIZES[name].image_size for name in ("viclip-l", "viclip-b")
    }


def test_the_size_of_any_other_is_that_of_the_loaded_one(loads: list[dict[str, Any]], tmp_path: Path) -> None:
    assert LazyScorer("counted").image_size == 32 and len(loads) == 1
    write_vocabulary(tmp_path)
    assert LazyScorer("viclip-tiny", "cpu", weights=write_pth(tmp_path)).image_size == 32


def test_weights_of_your_own_are_looked_at_for_their_size(tmp_path: Path) -> None:
    with pytest.raises(ScorerError, match=r"gone.safetensors, given as weights of pocket, does not exist"):
        LazyScorer("pocket", "cpu", weights=tmp_path / "gone.safetensors").image_size  # noqa: B018


def test_files_of_a_shipped_scorer_are_missed_before_it_is_loaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    for name in ("viclip-l", "clip-l"):
        with pytest.raises(ScorerError, match=f"of {name} cannot be had from the hub"):
            LazyScorer(name).image_size  # noqa: B018


def test_an_object_is_taken_as_it_is() -> None:
    scorer = FakeScorer()
    lazy = LazyScorer(scorer, "cuda:7")
    assert lazy.get() is lazy.source is scorer and (lazy.name, lazy.image_size) == ("fake", 32)


@pytest.mark.parametrize("beside", [{"weights": "file"}, {"dtype": "float32"}, {"pooling": "mean"}, {"compile": False}])
def test_options_beside_an_object_would_change_nothing(beside: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=f"{next(iter(beside))} would change nothing: scorer is an object, fake"):
        LazyScorer(FakeScorer(), **beside)
    assert LazyScorer(FakeScorer(), weights=None, dtype=None, pooling=None).name == "fake"


def test_what_is_neither_name_nor_scorer() -> None:
    with pytest.raises(UnknownNameError, match=r"'pockt'. Nearest: pocket"):
        LazyScorer("pockt")
    with pytest.raises(ConfigError, match="scorer is 7; give the name of one"):
        LazyScorer(7)  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="dtype is 'half'"):
        LazyScorer("pocket", dtype="half")


@pytest.mark.parametrize(
    "sizes", [{"image_size": "16"}, {"image_size": 16.0}, {"n_frames": 0}, {"embed_dim": True}, {"n_frames": None}]
)
def test_sizes_are_whole_numbers(sizes: dict[str, Any]) -> None:
    scorer = FakeScorer()
    for name, value in sizes.items():
        setattr(scorer, name, value)
    register_scorer("odd", lambda **_: scorer)
    for make in (lambda: LazyScorer(scorer), lambda: LazyScorer("odd").image_size):
        with pytest.raises(
            ScorerError, match=f"{next(iter(sizes))} of the scorer fake is .*; it must be a whole number"
        ):
            make()


def test_nothing_heavy_is_loaded_before_the_scorer_is() -> None:
    code = (
        "import sys; from mvr_wrappers.scorers.lazy import LazyScorer; "
        "assert LazyScorer('pocket').image_size == 96; sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
