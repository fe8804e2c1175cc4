"""An env whose process dies: by itself, by a signal, or with an error."""

from __future__ import annotations

import os
import signal
from typing import Any

from tests.support.tiny_env import TinyEnv


class DyingEnv(TinyEnv):
    """Dies in a step.

    Args:
        how: "exits", "crashes", "raises" or "lives".
        step: in which step of its first episode.
    """

    def __init__(self, how: str, step: int = 5, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._how, self._last = how, step

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        if self._t + 1 == self._last and self._how != "lives":
            if self._how == "raises":
                raise RuntimeError("broken on purpose")
            if self._how == "crashes":
                os.kill(os.getpid(), signal.SIGSEGV)
            os._exit(3)
        return super().step(action)
