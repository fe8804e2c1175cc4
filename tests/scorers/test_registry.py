"""The door to the scorers: names, devices, precisions, one instance per process and set of arguments."""

from __future__ import annotations

import dataclasses
import functools
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import gymnasium as gym
import pytest
import torch

from mvr_wrappers.errors import ConfigError, ScorerError, UnknownNameError
from mvr_wrappers.scorers import devices, load_scorer, register_scorer, registry, scorer_names, scorer_options
from mvr_wrappers.scorers.devices import resolve_device, resolve_dtype
from mvr_wrappers.scorers.lazy import LazyScorer
from tests.support.fake_scorer import FakeScorer
from tests.support.paths import ROOT
from tests.support.tiny_viclip import write_pth, write_vocabulary


@pytest.fixture(autouse=True)
def own_table(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(registry, "_TABLE", dict(registry._TABLE))
    yield
    registry._load.cache_clear()


@pytest.fixture
def tiny_file(tmp_path: Path) -> Path:
    write_vocabulary(tmp_path)
    return write_pth(tmp_path)


def test_names_of_the_package_hold_no_scorer_of_the_tests() -> None:
    code = "from mvr_wrappers.scorers import scorer_names; print(*scorer_names())"
    printed = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout
    assert printed.split() == ["clip-l", "pocket", "siglip2", "viclip-b", "viclip-l", "xclip-l"]
    assert set(printed.split()) <= set(scorer_names())


def test_unknown_name_lists_the_nearest() -> None:
    with pytest.raises(UnknownNameError, match=r"'viclip-xl'. Nearest: viclip-"):
        load_scorer("viclip-xl")


def test_one_instance_per_set_of_arguments(tiny_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = load_scorer("viclip-tiny", device="cpu", weights=tiny_file)
    assert load_scorer("viclip-tiny", "cpu", "float32", str(tiny_file)) is first
    assert load_scorer("viclip-tiny", torch.device("cpu"), torch.float32, tiny_file) is first
    monkeypatch.chdir(tiny_file.parent)
    assert load_scorer("viclip-tiny", "cpu", weights=tiny_file.name) is first
    assert load_scorer("viclip-tiny", "cpu", "bfloat16", tiny_file) is not first


def test_failure_is_not_remembered(tiny_file: Path) -> None:
    content = tiny_file.read_bytes()
    tiny_file.write_bytes(content[:100])
    with pytest.raises(ScorerError):
        load_scorer("viclip-tiny", "cpu", weights=tiny_file)
    tiny_file.write_bytes(content)
    assert load_scorer("viclip-tiny", "cpu", weights=tiny_file).name == "viclip-tiny"


def test_vocabulary_is_looked_for_beside_a_link(tiny_file: Path, tmp_path: Path) -> None:
    blob = tmp_path / "blobs" / "0123"
    blob.parent.mkdir()
    tiny_file.rename(blob)
    tiny_file.symlink_to(blob)
    assert load_scorer("viclip-tiny", "cpu", weights=tiny_file).name == "viclip-tiny"


def test_registered_scorer_gets_resolved_arguments(scorer: Any, tmp_path: Path) -> None:
    seen: list[dict[str, Any]] = []
    register_scorer("mine", lambda **arguments: seen.append(arguments) or scorer)
    assert "mine" in scorer_names()
    assert load_scorer("mine", "cpu", "bfloat16", tmp_path) is scorer
    assert seen == [{"device": torch.device("cpu"), "dtype": torch.bfloat16, "weights": tmp_path}]


def test_the_three_lines_of_the_documentation(scorer: Any) -> None:
    page = (ROOT / "docs" / "scorers.md").read_text()
    (lines,) = (block for block in re.findall(r"```python\n(.*?)```", page, re.DOTALL) if "register_scorer(" in block)
    assert len([line for line in lines.splitlines() if line]) == 3
    names: dict[str, Any] = {"gym": gym, "MyEncoder": lambda device: scorer}
    exec(lines, names)
    assert names["env"].get_wrapper_attr("engine").scorer is scorer
    names["env"].close()


def test_registering_again_replaces(scorer: Any) -> None:
    register_scorer("mine", lambda **_: FakeScorer())
    old = load_scorer("mine", "cpu")
    register_scorer("mine", lambda **_: scorer)
    assert load_scorer("mine", "cpu") is scorer is not old


def test_factory_may_wrap_another_scorer(tiny_file: Path) -> None:
    register_scorer("wrapping", lambda **arguments: load_scorer("viclip-tiny", **arguments))
    assert load_scorer("wrapping", "cpu", weights=tiny_file) is load_scorer("viclip-tiny", "cpu", weights=tiny_file)


@pytest.mark.parametrize(("name", "factory"), [("", print), ("mine", "not callable")])
def test_bad_registration(name: str, factory: Any) -> None:
    with pytest.raises(ConfigError, match="register_scorer"):
        register_scorer(name, factory)


def test_threads_share_one_load(scorer: Any) -> None:
    calls: list[int] = []

    def slow(**_: Any) -> Any:
        calls.append(1)
        time.sleep(0.05)
        return scorer

    register_scorer("slow", slow)
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda _: load_scorer("slow", "cpu"), range(4)))
    assert found == [scorer] * 4 and len(calls) == 1


def test_cuda_asked_for_and_absent() -> None:
    with pytest.raises(ScorerError, match=r"'cuda:99' was asked for.*device=\"cpu\""):
        load_scorer("viclip-l", device="cuda:99")


@pytest.mark.parametrize("available", [False, True])
def test_automatic_device_and_precision(available: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: available)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: True)
    device = resolve_device("auto")
    assert device.type == ("cuda" if available else "cpu")
    assert resolve_dtype("auto", device) == (torch.bfloat16 if available else torch.float32)
    assert resolve_device(device) == device
    if not available:
        with pytest.raises(ScorerError, match="sees 0 CUDA devices"):
            resolve_device("cuda")


def test_gpu_without_bfloat16_computes_in_float32(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: False)
    assert resolve_dtype("auto", torch.device("cuda")) == torch.float32


@pytest.mark.parametrize("native", [False, True])
def test_precision_on_a_cpu(native: bool, monkeypatch: pytest.MonkeyPatch, scorer: Any) -> None:
    monkeypatch.setattr(devices, "cpu_multiplies_bfloat16", lambda: native)
    cpu = torch.device("cpu")
    assert resolve_dtype("auto", cpu) == torch.float32
    assert resolve_dtype("auto", cpu, cpu_bfloat16=True) == (torch.bfloat16 if native else torch.float32)
    seen: list[torch.dtype] = []
    register_scorer("mine", lambda **_: scorer)
    for name in ("viclip-b", "viclip-l", "mine"):
        row = dataclasses.replace(registry._TABLE[name], factory=lambda dtype, **_: seen.append(dtype) or scorer)
        monkeypatch.setitem(registry._TABLE, name, row)
        load_scorer(name, "cpu")
    assert seen == [torch.bfloat16 if native else torch.float32] * 2 + [torch.float32]


@pytest.mark.parametrize(("flags", "expected"), [("avx512_bf16", True), ("amx_bf16", True), ("avx512f", False)])
def test_native_bfloat16_is_read_from_the_cpus_flags(
    flags: str, expected: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "cpuinfo").write_text(f"processor\t: 0\nflags\t\t: fpu {flags} clzero\n")
    monkeypatch.setattr(devices, "CPU_INFO", tmp_path / "cpuinfo")
    assert devices.cpu_multiplies_bfloat16.__wrapped__() is expected
    monkeypatch.setattr(devices, "CPU_INFO", tmp_path / "absent")
    assert devices.cpu_multiplies_bfloat16.__wrapped__() is False


def test_what_a_scorer_takes_besides_device_dtype_and_weights() -> None:
    register_scorer("mine", lambda device, dtype, weights, *, width=3: FakeScorer())
    found = {name: scorer_options(name) for name in ("pocket", "viclip-l", "clip-l", "mine")}
    assert found == {
        "pocket": (),
        "viclip-l": ("vocabulary", "compile"),
        "clip-l": ("pooling", "compile"),
        "mine": ("width",),
    }


@pytest.mark.parametrize(
    ("name", "option", "message"),
    [
        (
            "pocket",
            "compile",
            "compile is not an option of the scorer pocket. It has none of its own. Every scorer takes",
        ),
        ("viclip-l", "pooling", "viclip-l. Its own: vocabulary, compile; nearest: compile, vocabulary. Every"),
        (
            "viclip-l",
            "vocabulry",
            "Its own: vocabulary, compile; nearest: vocabulary. Every scorer takes device, dtype",
        ),
        ("clip-l", "vocabulary", "clip-l. Its own: pooling, compile; nearest: "),
    ],
)
def test_an_option_that_the_scorer_does_not_have(name: str, option: str, message: str) -> None:
    for door in (functools.partial(load_scorer, name, "cpu"), functools.partial(LazyScorer, name)):
        with pytest.raises(ConfigError, match=re.escape(message)):
            door(**{option: "some"})


def test_an_option_that_a_factory_needs() -> None:
    register_scorer("needy", lambda *, width, **_: FakeScorer())
    with pytest.raises(
        ConfigError, match=r"scorer needy cannot be made with these options: missing a required.*'width'"
    ):
        load_scorer("needy", "cpu")


def test_options_reach_the_factory_and_tell_scorers_apart() -> None:
    seen: list[int] = []
    register_scorer("mine", lambda size=1, **_: seen.append(size) or FakeScorer())
    load_scorer("mine", "cpu", size=2)
    assert seen == [2]
    assert load_scorer("mine", "cpu", size=2) is load_scorer("mine", "cpu", size=2) is not load_scorer("mine", "cpu")


@pytest.mark.parametrize("device", ["gpu", "cuda:x", "", None, [1]])
def test_unknown_device(device: Any) -> None:
    with pytest.raises(ConfigError, match="unknown to torch"):
        load_scorer("pocket", device=device)


@pytest.mark.parametrize("dtype", ["float16", "bf16", torch.int8, None, ["auto"]])
def test_unknown_precision(dtype: Any) -> None:
    with pytest.raises(ConfigError, match=r'dtype is .*; give "auto", "float32" or "bfloat16"'):
        load_scorer("pocket", device="cpu", dtype=dtype)


def test_asking_for_the_door_loads_no_torch() -> None:
    code = "import sys, mvr_wrappers.scorers; sys.exit('torch' in sys.modules or 'tokenizers' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
