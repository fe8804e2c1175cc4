"""CLIP's byte-pair encoding against transformers' CLIPTokenizerFast, on a vocabulary made here."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mvr_wrappers.errors import ScorerError
from mvr_wrappers.scorers.viclip.tokenizer import UNMERGED, ClipTokenizer
from tests.support.tiny_viclip import TINY, merges, write_vocabulary

PROMPTS = [
    "a robot gripper hammering a screw on the wall",
    "A Humanoid ROBOT running",
    "don't they'll we've i'm it's he'd you're",
    "window, closing... the-window! 3D point 12345 (no)",
    "naïve café \u2014 e\u0301clair",
    "北京的机器人 走路 рука робота हिन्दी",
    "🤖 grasps 🟥!!!",
    "tabs\tand\nlines   and \u00a0 spaces ",
    "<|startoftext|> marked <|endoftext|> up",
    "",
    "   ",
    "robot " * 200,
    "x" * 500,
]


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> ClipTokenizer:
    return ClipTokenizer.from_file(write_vocabulary(tmp_path_factory.mktemp("vocabulary")), 32, TINY.vocabulary)


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Transformers' tokenizer, its two files written here: bytes, bytes at a word's end, merges."""
    from transformers import CLIPTokenizerFast  # before 5, the other one parts Chinese signs, which CLIP does not

    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [byte for byte in range(256) if byte not in printable]
    alphabet = [chr(byte) for byte in printable] + [chr(256 + i) for i in range(len(others))]
    tokens = [*alphabet, *(sign + "</w>" for sign in alphabet), *(a + b for a, b in merges())]
    tokens += ["<|startoftext|>", "<|endoftext|>"]
    folder = tmp_path_factory.mktemp("clip")
    (folder / "vocab.json").write_text(json.dumps({token: i for i, token in enumerate(tokens)}))
    (folder / "merges.txt").write_text("\n".join(["#version: 0.2", *(" ".join(pair) for pair in merges())]) + "\n")
    return CLIPTokenizerFast.from_pretrained(folder)


@pytest.mark.parametrize("prompt", PROMPTS, ids=lambda prompt: repr(prompt[:16]))
def test_equals_transformers(tokenizer: ClipTokenizer, reference: Any, prompt: str) -> None:
    expected = reference(prompt, truncation=True, max_length=32)["input_ids"]
    rows, _ = tokenizer.encode([prompt])
    assert rows.shape == (1, 32) and rows.dtype == np.int64
    assert rows[0].tolist() == expected + [0] * (32 - len(expected))


def test_numbers_by_hand(tokenizer: ClipTokenizer) -> None:
    start, end = TINY.vocabulary - 2, TINY.vocabulary - 1
    robot = 512 + merges().index(("robo", "t</w>"))
    rows, lost = tokenizer.encode(["Robot!", ""])
    # "!" is the first printable byte, and 256 higher as a word's end.
    assert rows[0, :5].tolist() == [start, robot, 256, end, 0]
    assert rows[1, :3].tolist() == [start, end, 0]
    assert lost == [0, 0]


def test_truncation_keeps_the_end_token_and_counts_what_is_lost(tokenizer: ClipTokenizer) -> None:
    rows, lost = tokenizer.encode(["robot " * 30, "robot " * 31, "robot " * 100])
    assert lost == [0, 1, 70]
    assert (rows[:, -1] == TINY.vocabulary - 1).all()
    assert np.array_equal(rows[0], rows[2])


def test_html_entities_are_read_as_clip_reads_them(tokenizer: ClipTokenizer) -> None:
    rows, _ = tokenizer.encode(["robot &amp;amp; hammer", "robot & hammer"])
    assert np.array_equal(rows[0], rows[1])


def test_markers_are_the_last_two_numbers_and_unused_merges_stay_out(tmp_path: Path) -> None:
    pairs = merges()
    small = ClipTokenizer.from_file(write_vocabulary(tmp_path, pairs), 8, UNMERGED + 3)
    rows, _ = small.encode(["robot"])
    assert rows[0, 0] == UNMERGED + 1 and rows.max() == UNMERGED + 2
    assert rows[0].tolist().count(0) == 8 - len(["<", "rob", "o", "t</w>", ">"])


def test_too_few_merges(tmp_path: Path) -> None:
    path = write_vocabulary(tmp_path, merges()[:10])
    with pytest.raises(ScorerError, match=r"bpe_simple_vocab_16e6.txt.gz lists \d+ merges where 62 are needed"):
        ClipTokenizer.from_file(path, 32, TINY.vocabulary)


@pytest.mark.parametrize(
    "content",
    [b"", b"not gzip", gzip.compress(b"a b\n" * 1000)[:-20], gzip.compress(b"\xff\xfe")],
    ids=["empty", "plain", "truncated", "not utf-8"],
)
def test_damaged_vocabulary(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "bpe_simple_vocab_16e6.txt.gz"
    path.write_bytes(content)
    with pytest.raises(ScorerError, match=r"vocabulary .*bpe_simple"):
        ClipTokenizer.from_file(path, 32, TINY.vocabulary)
