"""A run that was killed twice and resumed ends as the one that was not, to the bit (sb3-contrib's TQC)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from mvr_agents.training import train
from tests.support.killed_run import CHECKPOINT_EVERY, assert_same, run_killed
from tests.support.tiny_run import tiny_config

CASES: dict[str, dict[str, Any]] = {
    "shaped": {},
    "sub-processes": {"subproc": True},
    "potential rule, three steps": {"reward": {"rule": "potential"}, "hyperparameters": {"n_steps": 3}},
    "gSDE, buffer gone round": {"hyperparameters": {"use_sde": True, "sde_sample_freq": 4, "buffer_size": 96}},
    "one env, views in turns": {"clip": {"image_size": 32, "views": "turns"}, "hyperparameters": {"n_envs": 1}},
    "not shaped, three steps": {"shaping": False, "hyperparameters": {"n_steps": 3}},
}


@pytest.mark.parametrize("name", CASES)
def test_resumed_is_not_killed(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    options = {**CASES[name]}
    more = {"checkpoint_every": CHECKPOINT_EVERY, **options.pop("hyperparameters", {})}
    whole = train(tiny_config(tmp_path / "whole", hyperparameters=more, **options), progress=False)
    killed = run_killed(tiny_config(tmp_path / "killed", hyperparameters=more, **options), [100, 203], monkeypatch)
    assert_same(whole, killed)
