"""Prompts: what counts as one, and those of single episodes: `env.reset(options={"prompt": "..."})`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from mvr_wrappers.errors import ConfigError

OPTION = "prompt"


def checked_prompt(prompt: object) -> str:
    """Returns the prompt if it is one.

    Raises:
        ConfigError: it is no text, or blank.
    """
    if not isinstance(prompt, str) or not prompt.strip():
        raise ConfigError(f"prompt is {prompt!r}; write one sentence that says what the behaviour looks like")
    return prompt


def take_prompt(options: dict[str, Any] | None) -> tuple[str | None, dict[str, Any] | None]:
    """Takes the prompt out of the options of a reset, so that the base env never meets it.

    Returns:
        The prompt of the episode, None where the env's own counts, and the other options, None where there are none.

    Raises:
        ConfigError: the prompt is no text, or blank.
    """
    if options is None or OPTION not in options:
        return None, options
    prompt = options[OPTION]
    others = {key: value for key, value in options.items() if key != OPTION}
    return None if prompt is None else checked_prompt(prompt), others or None


def prompts_of_each(value: Any, count: int) -> list[str | None]:
    """Reads the option of a vector of `count` envs that gives a prompt, or None, to each.

    Raises:
        ConfigError: not as many as there are envs, or one that is no prompt.
    """
    if not isinstance(value, Sequence | np.ndarray) or len(value) != count:
        raise ConfigError(f"prompt is {value!r}; give one sentence, or {count}, one an env")
    return [None if prompt is None else checked_prompt(prompt) for prompt in value]
