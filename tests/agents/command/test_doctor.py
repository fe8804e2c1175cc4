"""The doctor finds this machine fit, and names what mends one that is not."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import pytest

import mvr_wrappers.filming
from mvr_agents.command import commands, doctor
from mvr_agents.command.arguments import DoctorArgs
from mvr_wrappers.errors import ConfigError, FilmingError
from mvr_wrappers.extras import install_command
from mvr_wrappers.filming import llvm
from mvr_wrappers.tasks.registry import load_registry


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "SECONDS", 0.05)


def checks() -> dict[str, doctor.Check]:
    return {check.name: check for check in doctor.diagnose()}


def test_a_fit_machine_has_no_problem_and_is_measured(capsys: pytest.CaptureFixture[str]) -> None:
    assert commands.doctor(DoctorArgs()) == 0
    printed = capsys.readouterr().out
    tasks = f"{len(load_registry())} tasks"
    for words in (
        "torch",
        "mujoco",
        "cores",
        "MUJOCO_GL",
        "triton",
        "frames/s",
        "pocket.safetensors",
        "weights viclip-l",
        tasks,
    ):
        assert words in printed


def test_missing_weights_are_a_note_that_says_where_they_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    check = checks()["weights viclip-l"]
    assert check.status == "note" and str(tmp_path) in check.found and "OpenGVLab/ViCLIP-L-14-hf" in check.remedy


def test_weights_in_the_authors_folder_are_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    folder = Path("ckpts", "ViCLIP")
    folder.mkdir(parents=True)
    (folder / "ViCLIP-L_InternVid-FLT-10M.pth").touch()
    large, base = doctor._local_weights("viclip-l"), doctor._local_weights("viclip-b")
    assert base is None and large is not None
    assert (large.status, large.remedy) == (
        "note",
        "put bpe_simple_vocab_16e6.txt.gz beside it, or pass vocabulary=",
    )
    (folder / "bpe_simple_vocab_16e6.txt.gz").touch()
    found = {check.name: check for check in doctor._weights()}["weights viclip-l"]
    assert found.status == "ok" and "ViCLIP-L_InternVid-FLT-10M.pth" in found.found
    assert found.remedy == "pass weights=ckpts/ViCLIP, or set MVR_VICLIP_DIR=ckpts/ViCLIP"
    monkeypatch.setenv("MVR_VICLIP_DIR", "ckpts")
    assert doctor._local_weights("viclip-l") == found
    monkeypatch.setenv("MVR_VICLIP_DIR", "ckpts/ViCLIP")
    assert doctor._local_weights("viclip-l").remedy == ""  # type: ignore[union-attr]
    monkeypatch.setenv("MVR_VICLIP_DIR", "nowhere")
    wrong = doctor._local_weights("viclip-l")
    assert wrong is not None and (wrong.status, wrong.remedy) == (
        "problem",
        "unset MVR_VICLIP_DIR, or let it name a folder",
    )


def test_absent_opengl_is_a_problem_with_its_remedy(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class NoRenderer:
        def __init__(self, *arguments: object) -> None:
            raise FilmingError("OpenGL cannot start (MUJOCO_GL='egl'): no driver. Install libegl1. Then run again.")

    monkeypatch.setattr(mvr_wrappers.filming, "Renderer", NoRenderer)
    check = checks()["OpenGL"]
    assert check.status == "problem" and check.remedy == "Install libegl1. Then run again."
    assert commands.doctor(DoctorArgs()) == 1
    assert "libegl1" in capsys.readouterr().out


def test_a_missing_extra_is_a_note(monkeypatch: pytest.MonkeyPatch) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *rest: None if name == "av" else find(name, *rest))
    check = checks()["extra train"]
    assert check.status == "note" and "av" in check.found and check.remedy == install_command("train")


def test_a_malformed_registry_is_a_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken() -> None:
        raise ConfigError("registry.yaml: tasks.x.clip is wrong")

    monkeypatch.setattr(doctor, "load_registry", broken)
    check = checks()["registry"]
    assert check.status == "problem" and "tasks.x.clip" in check.found


def test_what_jax_sees_is_said_without_loading_it_here() -> None:
    before = "jax" in sys.modules
    check = doctor._jax_devices()
    assert check.status == "ok" and ("cpu" in check.found.lower() or "cuda" in check.found.lower())
    assert ("jax" in sys.modules) is before


def test_a_jax_that_does_not_start_is_a_note(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "jax.py").write_text("raise ImportError('no jaxlib')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    check = doctor._jax_devices()
    assert check.status == "note" and "no jaxlib" in check.found and "--agent sb3-tqc" in check.remedy


@pytest.mark.parametrize(
    ("state", "status", "words"),
    [
        ("first", "ok", "3.7.1, loaded before OpenGL, which is safe; OpenGL draws with LLVM 15.0.6"),
        ("absent", "ok", "not installed; OpenGL draws with LLVM 15.0.6"),
        ("hidden", "note", "3.7.1, hidden, for OpenGL was loaded first; OpenGL draws with LLVM 15.0.6"),
        ("broken", "note", "3.7.1, cannot be imported; OpenGL draws with LLVM 15.0.6"),
    ],
)
def test_triton_and_the_llvm_of_opengl_are_named(
    monkeypatch: pytest.MonkeyPatch, state: str, status: str, words: str
) -> None:
    monkeypatch.setattr(llvm, "triton_state", lambda: state)
    monkeypatch.setattr(doctor, "package_versions", lambda: {"triton": "3.7.1"})
    check = doctor._triton("llvmpipe (LLVM 15.0.6, 256 bits)")
    assert (check.status, check.found) == (status, words)
    assert (check.remedy != "") == (status == "note")
    assert "names no LLVM" in doctor._triton("NVIDIA H100/PCIe/SSE2").found
