"""Engine files from a stranger: refused in a sentence, nothing executed, no memory taken beyond the file's size."""

from __future__ import annotations

import contextlib
import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mvr_wrappers.engine.arrays_file import read_arrays, write_arrays
from mvr_wrappers.engine.engine import RewardEngine
from mvr_wrappers.errors import EngineError
from tests.support.red_engine import RedScorer, drive, make_engine


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("engine") / "engine.npz"
    with make_engine() as engine:
        drive(engine)
        engine.save(path)
    return path


def load(path: Path) -> RewardEngine:
    return RewardEngine.load(path, scorer=RedScorer())


def changed(saved: Path, path: Path, change: Callable[[dict[str, Any], dict[str, Any]], None]) -> Path:
    header, arrays = read_arrays(saved)
    change(header, arrays)
    write_arrays(path, header, arrays)
    return path


def test_the_file_itself_is_taken(saved: Path, tmp_path: Path) -> None:
    load(changed(saved, tmp_path / "e.npz", lambda header, arrays: None)).close()


@pytest.mark.parametrize("key", ["options", "clock", "envs", "fade", "format"])
@pytest.mark.parametrize("value", [None, [], {"x": 1}, "text"])
def test_odd_headers(saved: Path, tmp_path: Path, key: str, value: Any) -> None:
    with pytest.raises(EngineError):
        load(changed(saved, tmp_path / "e.npz", lambda header, arrays: header.update({key: value})))
    with pytest.raises(EngineError):
        load(changed(saved, tmp_path / "e.npz", lambda header, arrays: header.pop(key)))


def test_arrays_that_are_missing_or_not_finite(saved: Path, tmp_path: Path) -> None:
    _, arrays = read_arrays(saved)
    needed = [name for name in sorted(arrays) if "/metrics/" not in name and not name.endswith("/bound")]
    for name in needed[::4]:
        with pytest.raises(EngineError):
            load(changed(saved, tmp_path / "e.npz", lambda header, arrays, name=name: arrays.pop(name)))  # type: ignore[misc]
    for name in (
        "reward_model/snapshot/table",
        "reward_model/trainer/model/direction",
        "reward_model/reference/offsets",
    ):

        def poison(header: dict[str, Any], arrays: dict[str, Any], name: str = name) -> None:
            arrays[name] = np.full_like(arrays[name], np.nan)

        with pytest.raises(EngineError, match=f"{name} holds NaN"):
            load(changed(saved, tmp_path / "e.npz", poison))


def test_bombs(saved: Path, tmp_path: Path) -> None:
    header, arrays = read_arrays(saved)
    path = tmp_path / "compressed.npz"
    np.savez_compressed(path, header=np.array(json.dumps(header)), zeros=np.zeros(10_000_000), **arrays)  # type: ignore[arg-type]  # typed as flags
    with pytest.raises(EngineError, match="its parts are compressed"):
        load(path)
    claims = tmp_path / "claims.npz"
    with zipfile.ZipFile(saved) as source, zipfile.ZipFile(claims, "w") as target:
        for member in source.infolist():
            content = source.read(member)
            if member.filename == "reward_model/snapshot/table.npy":
                shape = b"(16000000000000,), }"
                start = content.index(b"'shape': (") + len(b"'shape': ")
                content = content[:start] + shape + content[start + len(shape) :]
            target.writestr(member.filename, content)
    with pytest.raises(EngineError, match="not a whole engine file"):
        load(claims)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], derandomize=True)
@given(where=st.floats(0, 1), value=st.integers(0, 255), cut=st.booleans())
def test_any_byte(saved: Path, tmp_path: Path, where: float, value: int, cut: bool) -> None:
    content = bytearray(saved.read_bytes())
    place = min(int(where * len(content)), len(content) - 1)
    if cut:
        del content[place:]
    else:
        content[place] = value
    path = tmp_path / "e.npz"
    path.write_bytes(content)
    with contextlib.suppress(EngineError):  # any other error fails
        load(path).close()
