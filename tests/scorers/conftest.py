"""A client of the model hub, in each test, that has not looked yet whether it is offline."""

from __future__ import annotations

import huggingface_hub.utils
import pytest


@pytest.fixture(autouse=True)
def forget_sessions() -> None:
    if hasattr(huggingface_hub.utils, "reset_sessions"):  # before 1.0 a session remembers whether it was offline
        huggingface_hub.utils.reset_sessions()
