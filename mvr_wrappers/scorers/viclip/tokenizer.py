"""CLIP's byte-pair encoding, built from its published list of merges on the `tokenizers` library."""

from __future__ import annotations

import gzip
import html
import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers, processors

from mvr_wrappers.errors import ScorerError

START, END = "<|startoftext|>", "<|endoftext|>"
# Two forms of every byte (inside a word, at its end) and the two markers are tokens without a merge.
UNMERGED = 2 * 256 + 2
# A word is a run of letters, one digit, a run of other signs, or an English contraction's tail.
WORDS = r"'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+"


class ClipTokenizer:
    """Turns prompts into rows of token numbers, as CLIP does (arXiv 2103.00020, section 2.4).

    Text is lower-cased, put in Unicode's composed form, and freed of HTML entities. What CLIP's own code does besides,
    repairing text that was decoded with the wrong character set, is left out.
    """

    def __init__(self, merges: Sequence[tuple[str, str]], context: int) -> None:
        """Builds the encoder.

        Args:
            merges: pairs of tokens to join, most frequent first.
            context: tokens in a row, both markers included.
        """
        alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())  # by code point: the order that numbers CLIP's bytes
        tokens = [*alphabet, *(sign + "</w>" for sign in alphabet), *("".join(pair) for pair in merges), START, END]
        self._numbers = {token: number for number, token in enumerate(tokens)}
        model = models.BPE(self._numbers, list(merges), end_of_word_suffix="</w>", unk_token=END)
        self._encoder = Tokenizer(model)
        self._encoder.normalizer = normalizers.Sequence(
            [normalizers.NFC(), normalizers.Replace(Regex(r"\s+"), " "), normalizers.Lowercase()]
        )
        self._encoder.pre_tokenizer = pre_tokenizers.Sequence(
            [
                pre_tokenizers.Split(Regex(WORDS), behavior="removed", invert=True),
                pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
            ]
        )
        self._encoder.add_special_tokens([START, END])
        markers = [(mark, self._numbers[mark]) for mark in (START, END)]
        self._encoder.post_processor = processors.TemplateProcessing(f"{START} $A {END}", special_tokens=markers)
        self._encoder.enable_truncation(context)  # counts the markers, and keeps both
        self._encoder.enable_padding(length=context, pad_id=0, pad_token=tokens[0])

    @classmethod
    def from_file(cls, path: Path, context: int, vocabulary: int) -> ClipTokenizer:
        """Reads the merges from `bpe_simple_vocab_16e6.txt.gz`: a headline, then two tokens a line.

        Args:
            path: the gzipped list.
            context: tokens in a row.
            vocabulary: tokens the encoder numbers; later merges of the list are unused.

        Raises:
            ScorerError: the file cannot be read, or lists too few merges.
        """
        try:
            lines = gzip.decompress(path.read_bytes()).decode("utf-8").split("\n")
        except (OSError, EOFError, zlib.error, UnicodeDecodeError) as error:
            raise ScorerError(f"vocabulary {path} cannot be read ({error}); fetch the file again") from error
        needed = vocabulary - UNMERGED
        merges = [(first, second) for first, second in map(_pair, lines[1 : needed + 1]) if second]
        if len(merges) < needed:
            raise ScorerError(
                f"vocabulary {path} lists {len(merges)} merges where {needed} are needed; it is truncated or "
                "belongs to another model. Fetch bpe_simple_vocab_16e6.txt.gz again"
            )
        return cls(merges, context)

    def encode(self, prompts: Sequence[str]) -> tuple[NDArray[np.int64], list[int]]:
        """Encodes prompts.

        Args:
            prompts: P sentences of any length.

        Returns:
            Token numbers, int64 (P, context): start marker, text, end marker, zeros. And for each prompt, how many
            of its tokens did not fit.
        """
        rows = self._encoder.encode_batch([html.unescape(html.unescape(prompt)) for prompt in prompts])
        lost = [sum(len(part.ids) - part.special_tokens_mask.count(1) for part in row.overflowing) for row in rows]
        return np.array([row.ids for row in rows], np.int64), lost


def _pair(line: str) -> tuple[str, str]:
    first, _, second = line.partition(" ")
    return first, second
