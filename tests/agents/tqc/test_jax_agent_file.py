"""The file of a JAX agent is arrays and JSON: it comes back whole, names what it left out, and executes nothing."""

from __future__ import annotations

import json
import pickle
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import optax
import pytest
import torch as th
from stable_baselines3 import SAC

from mvr_agents import TQC
from mvr_agents.tqc.policy import TQCPolicy
from mvr_wrappers.engine.arrays_file import read_arrays, write_arrays
from mvr_wrappers.errors import ConfigError
from tests.support.pendulums import pendulums

SMALL: dict[str, Any] = {"seed": 0, "learning_starts": 8, "batch_size": 8, "buffer_size": 100, "device": "cpu"}
NET: dict[str, Any] = {"net_arch": [8], "n_quantiles": 5}


def agent(**options: Any) -> TQC:
    return TQC("MlpPolicy", pendulums(), **{**SMALL, "policy_kwargs": NET, **options})


class MyPolicy(TQCPolicy):
    """A policy of the user."""


def test_it_holds_arrays_and_json_alone(tmp_path: Path) -> None:
    model = agent().learn(20)
    model.save(tmp_path / "model")
    with zipfile.ZipFile(tmp_path / "model.zip") as archive:
        assert all(name.endswith(".npy") for name in archive.namelist())
    header, arrays = read_arrays(tmp_path / "model.zip")  # which unpickles nothing
    assert header["kind"] == "agent" and len(arrays) > 20 and json.dumps(header)


@pytest.mark.parametrize(
    "options",
    [
        {"policy_kwargs": {**NET, "optimizer_class": th.optim.AdamW, "activation_fn": th.nn.Tanh}},
        {"policy_kwargs": {**NET, "optimizer_class": optax.lion, "activation_fn": "elu"}, "ent_coef": 0.1},
        {"train_freq": (3, "step"), "use_sde": True, "learning_rate": 1e-3},
    ],
)
def test_an_agent_comes_back_whole(options: dict[str, Any], tmp_path: Path) -> None:
    model = agent(**options).learn(30)
    model.save(tmp_path / "model.zip")
    loaded = TQC.load(tmp_path / "model.zip", env=pendulums())
    for name, value in model.policy.state_dict().items():
        np.testing.assert_array_equal(value.numpy(), loaded.policy.state_dict()[name].numpy(), err_msg=name)
    for name in ("num_timesteps", "train_freq", "policy_kwargs", "gamma", "losses", "target_entropy"):
        assert vars(loaded)[name] == vars(model)[name], name
    assert loaded.lr_schedule(0.5) == model.lr_schedule(0.5)
    assert loaded.learn(20, reset_num_timesteps=False).num_timesteps == model.num_timesteps + 20


def test_what_is_left_out_is_asked_for_where_it_is_needed(tmp_path: Path) -> None:
    model = agent(learning_rate=lambda progress: 1e-3 * progress)
    model.save(tmp_path / "model.zip")
    observation = np.zeros(model.observation_space.shape or (), np.float32)
    predicts = TQC.load(tmp_path / "model.zip")
    np.testing.assert_array_equal(
        predicts.predict(observation, deterministic=True)[0], model.predict(observation, deterministic=True)[0]
    )
    with pytest.raises(ConfigError, match=r"saved without learning_rate.*custom_objects={'learning_rate'"):
        TQC.load(tmp_path / "model.zip", env=pendulums())
    loaded = TQC.load(tmp_path / "model.zip", env=pendulums(), custom_objects={"learning_rate": 1e-3})
    assert loaded.lr_schedule(1.0) == 1e-3
    own = TQC(MyPolicy, pendulums(), **SMALL, policy_kwargs=NET)
    own.save(tmp_path / "own.zip")
    with pytest.raises(ConfigError, match="saved without policy_class, as MyPolicy is"):
        TQC.load(tmp_path / "own.zip")
    assert isinstance(TQC.load(tmp_path / "own.zip", custom_objects={"policy_class": MyPolicy}).policy, MyPolicy)


class Bomb:
    """Leaves a file behind when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __reduce__(self) -> Any:
        return Path.touch, (self._path,)


def test_a_strangers_file_executes_nothing(tmp_path: Path) -> None:
    marker = tmp_path / "marker"
    SAC("MlpPolicy", pendulums()).save(tmp_path / "sac.zip")
    with zipfile.ZipFile(tmp_path / "pickled.zip", "w") as archive:
        archive.writestr("data", pickle.dumps(Bomb(marker)))
        archive.writestr("policy.pth", pickle.dumps(Bomb(marker)))
    for name in ("sac.zip", "pickled.zip"):
        with pytest.raises(ConfigError, match="is a pickle"):
            TQC.load(tmp_path / name)
    with (tmp_path / "objects.zip").open("wb") as stream:
        np.savez(stream, header=np.array([Bomb(marker)], object))
    (tmp_path / "bare.zip").write_bytes(pickle.dumps(Bomb(marker)))
    for name in ("objects.zip", "bare.zip"):
        with pytest.raises(ConfigError, match="damaged, or no agent"):
            TQC.load(tmp_path / name)
    assert not marker.exists()


@pytest.mark.parametrize(
    "header",
    [[], {}, {"kind": "agent"}, {"kind": "agent", "format": 9, "data": {}}, {"kind": "agent", "format": 1, "data": []}]
    + [
        {"kind": "agent", "format": 1, "data": {"a": value}}
        for value in ({"name": "os.system"}, {"x": 1}, {"array": "7"})
    ],
)
def test_odd_headers_are_refused(header: Any, tmp_path: Path) -> None:
    write_arrays(tmp_path / "model.zip", header, {})
    with pytest.raises(ConfigError, match=r"model\.zip is (damaged|no agent)"):
        TQC.load(tmp_path / "model.zip")
