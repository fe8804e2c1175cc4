"""Noticing that a library builds several shaped envs side by side, each with an engine of its own.

Envs never share an engine behind the user's back, so `gymnasium.make_vec` in its "sync" and "async" modes and SB3's own
`make_vec_env` give every env one. That works, at the price of scoring and learning once an env: worth one sentence.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterator
from types import FrameType

_GYMNASIUM = ("gymnasium.envs.registration", "make_vec")
_SB3 = ("stable_baselines3.common.env_util", "_init")  # makes one env, the `rank`-th; runs in the child if there is one

_last_call: int | None = None  # id of the spec that `make_vec` copied for itself: one a call


def warn_of_separate_engines() -> None:
    """Warns, once a vector, if one of those calls is asking for a shaped env right now."""
    for frame in _callers():
        place = (frame.f_globals.get("__name__"), frame.f_code.co_name)
        if place == _GYMNASIUM and frame.f_locals.get("num_envs", 2) > 1 and _is_new_call(frame):
            _warn('gymnasium.make_vec(id, vectorization_mode="vector_entry_point"), which is its default')
        elif place == _SB3 and frame.f_locals.get("rank") == 1:
            _warn("mvr_wrappers.sb3.make_vec_env, which takes the same arguments")


def _callers() -> Iterator[FrameType]:
    frame: FrameType | None = sys._getframe(2)
    while frame is not None:
        yield frame
        frame = frame.f_back


def _is_new_call(frame: FrameType) -> bool:
    global _last_call
    known, _last_call = _last_call, id(frame.f_locals.get("env_spec"))
    return known != _last_call


def _warn(call: str) -> None:
    warnings.warn(
        f"each of these envs gets a reward engine of its own, which scores and learns alone. To share one, use {call}.",
        stacklevel=3,
    )
