"""The device buffer stores the reward that was paid, as that of Stable-Baselines3 does (tests/wrappers/test_paid)."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

pytest.importorskip("jax")
pytest.importorskip("stable_baselines3")

from mvr_agents import TQC
from tests.support.known import present
from tests.support.reward_wrappers import ABOVE, BELOW, check_stored


@pytest.mark.parametrize("above", ABOVE)
@pytest.mark.parametrize("below", BELOW)
def test_the_device_buffer(below: str, above: str) -> None:
    def make(venv: Any, engine: Any) -> TQC:
        small: dict[str, Any] = {"learning_starts": 70, "batch_size": 8, "buffer_size": 400, "seed": 3, "device": "cpu"}
        return TQC("MlpPolicy", venv, policy_kwargs={"net_arch": [8], "n_quantiles": 4}, **small)

    def read(agent: TQC) -> tuple[np.ndarray, ...]:
        buffer = present(agent.replay_buffer)
        buffer.flush()
        storage, rows = buffer.storage, buffer.size()
        parts = (storage.observations, storage.next_observations, storage.task_rewards, storage.shaping)
        return tuple(np.asarray(part[:rows]) for part in parts)

    check_stored(make, read, below, above)
