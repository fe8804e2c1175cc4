"""Embeddings of prompts, each computed once in a scorer's life."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from mvr_wrappers.scorers.base import check_prompts

Encode = Callable[[list[str]], tuple[NDArray[np.float32], list[int]]]


class TextCache:
    """Remembers the embedding of every prompt it was asked for.

    Args:
        name: of the scorer, for the warning about long prompts.
        context: tokens of a prompt that the scorer reads.
        embed_dim: E.
        encode: prompts -> embeddings, float32 (P, E), unit rows; and for each how many of its tokens did not fit.
    """

    def __init__(self, name: str, context: int, embed_dim: int, encode: Encode) -> None:
        self._name, self._context, self._embed_dim, self._encode = name, context, embed_dim, encode
        self._rows: dict[str, NDArray[np.float32]] = {}

    def embed(self, prompts: Sequence[str]) -> NDArray[np.float32]:
        """Returns the embeddings of P prompts, float32 (P, E), computing those that are new.

        Raises:
            ConfigError: a prompt is empty, or a string was given for a list.
        """
        check_prompts(prompts)
        new = [prompt for prompt in dict.fromkeys(prompts) if prompt not in self._rows]
        if new:
            rows, lost = self._encode(new)
            for prompt, count in zip(new, lost, strict=True):
                if count:
                    warnings.warn(
                        f"the prompt is {count} tokens longer than the {self._context} {self._name} reads; "
                        f"its end is ignored: {prompt!r}",
                        stacklevel=3,
                    )
            self._rows.update(zip(new, rows, strict=True))
        return np.array([self._rows[prompt] for prompt in prompts], np.float32).reshape(-1, self._embed_dim)
