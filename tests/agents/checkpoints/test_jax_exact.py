"""A run that was killed twice and resumed ends as the one that was not, to the bit (the TQC in JAX)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from mvr_agents.training import train
from tests.support.killed_run import CHECKPOINT_EVERY, assert_same, run_killed
from tests.support.tiny_run import tiny_config

CASES: dict[str, dict[str, Any]] = {
    "shaped, gSDE, three steps": {"hyperparameters": {"use_sde": True, "sde_sample_freq": 4, "n_steps": 3}},
    "sub-processes, buffer gone round, noise repeated": {
        "subproc": True,
        "hyperparameters": {"buffer_size": 96, "use_sde": False, "noise_repeat": 4},
    },
    "not shaped": {"shaping": False},
}


@pytest.mark.parametrize("name", CASES)
def test_resumed_is_not_killed(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    options = {**CASES[name], "agent": "jax-tqc"}
    more = {"checkpoint_every": CHECKPOINT_EVERY, **options.pop("hyperparameters", {})}
    whole = train(tiny_config(tmp_path / "whole", hyperparameters=more, **options), progress=False)
    killed = run_killed(tiny_config(tmp_path / "killed", hyperparameters=more, **options), [100, 203], monkeypatch)
    assert_same(whole, killed)
