"""The scorer around the network: NumPy at its borders, batches, resizing, prompts."""

from __future__ import annotations

import functools
import importlib.util
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from mvr_wrappers.errors import ConfigError, ScorerError
from mvr_wrappers.scorers import Scorer, batches, devices, load_scorer
from mvr_wrappers.scorers.viclip.scorer import ViCLIPScorer, load_viclip
from mvr_wrappers.scorers.viclip.tokenizer import ClipTokenizer
from tests.support.tiny_viclip import TINY, merges, network, write_pth, write_vocabulary


def tiny(**options: Any) -> ViCLIPScorer:
    return ViCLIPScorer("viclip-tiny", network(), ClipTokenizer(merges(), TINY.context), **options)


@pytest.fixture
def viclip_tiny() -> ViCLIPScorer:
    return tiny()


@pytest.fixture
def frames(rng: np.random.Generator) -> np.ndarray:
    return rng.integers(0, 256, (5, 8, 32, 32, 3), np.uint8)


def assert_unit_rows(rows: np.ndarray, count: int) -> None:
    assert type(rows) is np.ndarray and rows.dtype == np.float32 and rows.shape == (count, 16)
    np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1, atol=1e-6)


def test_speaks_the_protocol(viclip_tiny: ViCLIPScorer) -> None:
    assert isinstance(viclip_tiny, Scorer)
    assert (viclip_tiny.name, viclip_tiny.n_frames, viclip_tiny.image_size, viclip_tiny.embed_dim) == (
        *("viclip-tiny", 8, 32),
        16,
    )


def test_videos_are_normalised_as_published(viclip_tiny: ViCLIPScorer, frames: np.ndarray) -> None:
    rows = viclip_tiny.embed_video(frames)
    assert_unit_rows(rows, 5)
    pixels = (frames / 255.0 - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225]
    with torch.inference_mode():
        expected = network().embed_video(torch.tensor(pixels.transpose(0, 1, 4, 2, 3), dtype=torch.float32)).numpy()
    np.testing.assert_allclose(rows, expected / np.linalg.norm(expected, axis=1, keepdims=True), atol=1e-5)


@pytest.mark.parametrize("clips", [1, 2, 5])
def test_batches_do_not_change_the_result(frames: np.ndarray, clips: int, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = tiny().embed_video(frames)
    monkeypatch.setitem(batches.PATCHES_PER_BATCH, "cpu", clips * 8 * TINY.patches)
    scorer, seen = tiny(), []
    run = scorer._network.embed_video
    monkeypatch.setattr(scorer._network, "embed_video", lambda x: seen.append(len(x)) or run(x))
    np.testing.assert_allclose(scorer.embed_video(frames), whole, atol=1e-6)
    assert sum(seen) == 5 and max(seen) == clips


@pytest.mark.parametrize("n_frames", [1, 4, 12])
def test_other_numbers_of_frames(viclip_tiny: ViCLIPScorer, frames: np.ndarray, n_frames: int) -> None:
    assert_unit_rows(viclip_tiny.embed_video(np.repeat(frames[:2], 2, axis=1)[:, :n_frames]), 2)


def test_other_image_sizes_are_resized(viclip_tiny: ViCLIPScorer, rng: np.random.Generator) -> None:
    colours = rng.integers(0, 256, (2, 8, 1, 1, 3), np.uint8)
    plain, smaller, wider = (
        viclip_tiny.embed_video(np.broadcast_to(colours, (2, 8, height, width, 3)))
        for height, width in [(32, 32), (20, 20), (48, 64)]
    )
    np.testing.assert_allclose(plain, smaller, atol=1e-5)
    np.testing.assert_allclose(plain, wider, atol=1e-5)


def test_frames_need_be_neither_writable_nor_contiguous(viclip_tiny: ViCLIPScorer, frames: np.ndarray) -> None:
    expected = viclip_tiny.embed_video(frames[::-1].copy())
    frames.setflags(write=False)
    np.testing.assert_array_equal(viclip_tiny.embed_video(frames[::-1]), expected)


def test_no_videos_and_no_prompts(viclip_tiny: ViCLIPScorer, frames: np.ndarray) -> None:
    assert viclip_tiny.embed_video(frames[:0]).shape == (0, 16)
    assert viclip_tiny.embed_text([]).shape == (0, 16)


def test_what_is_no_batch_of_videos_is_refused(viclip_tiny: ViCLIPScorer, frames: np.ndarray) -> None:
    wrong: Any
    for wrong in (frames[0], frames[..., :1], frames.astype(np.float32), frames[:, :0]):
        with pytest.raises(ConfigError, match=r"uint8 frames \(B, F, H, W, 3\)"):
            viclip_tiny.embed_video(wrong)


def test_prompts_are_embedded_once(viclip_tiny: ViCLIPScorer, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[int] = []
    run = viclip_tiny._network.embed_text
    monkeypatch.setattr(viclip_tiny._network, "embed_text", lambda tokens: seen.append(len(tokens)) or run(tokens))
    first = viclip_tiny.embed_text(["robot hammer", "window closing", "robot hammer"])
    assert_unit_rows(first, 3)
    first[:] = 0  # the caller's own array: the cache must not notice
    second = viclip_tiny.embed_text(["window closing", "robot hammer", "walking"])
    assert seen == [2, 1]
    assert_unit_rows(second, 3)
    assert abs(second @ second.T)[0, 1:].max() < 0.99999


def test_long_prompt_is_cut_with_one_warning(viclip_tiny: ViCLIPScorer) -> None:
    with pytest.warns(UserWarning, match="10 tokens longer than the 32 viclip-tiny reads") as caught:
        rows = viclip_tiny.embed_text(["robot " * 40, "robot"])
    assert caught[0].filename == __file__
    np.testing.assert_array_equal(viclip_tiny.embed_text(["robot " * 40]), rows[:1])
    np.testing.assert_allclose(viclip_tiny.embed_text(["robot " * 30]), rows[:1], atol=1e-6)


@pytest.mark.parametrize("prompts", [[""], ["robot", " \n"]])
def test_empty_prompt(viclip_tiny: ViCLIPScorer, prompts: list[str]) -> None:
    with pytest.raises(ConfigError, match=r"prompt is .*; write one sentence"):
        viclip_tiny.embed_text(prompts)


def test_one_string_is_no_list_of_prompts(viclip_tiny: ViCLIPScorer) -> None:
    with pytest.raises(ConfigError, match=r"pass \['robot'\]"):
        viclip_tiny.embed_text("robot")


def test_bfloat16_agrees_with_float32(tmp_path: Path, frames: np.ndarray) -> None:
    write_vocabulary(tmp_path)
    path, device = write_pth(tmp_path), torch.device("cpu")
    exact, fast = (load_viclip("viclip-tiny", device, dtype, path) for dtype in (torch.float32, torch.bfloat16))
    assert {parameter.dtype for parameter in fast._network.parameters()} == {torch.bfloat16}
    videos, fast_videos = exact.embed_video(frames), fast.embed_video(frames)
    assert_unit_rows(fast_videos, 5)
    assert (videos * fast_videos).sum(axis=1).min() > 0.999
    prompts = ["robot hammer", "window closing"]
    assert (exact.embed_text(prompts) * fast.embed_text(prompts)).sum(axis=1).min() > 0.999


def test_bfloat16_needs_no_autocast(tmp_path: Path, frames: np.ndarray) -> None:
    write_vocabulary(tmp_path)
    scorer = load_viclip("viclip-tiny", torch.device("cpu"), torch.bfloat16, write_pth(tmp_path))
    dtypes = set()
    for block in scorer._network.vision_encoder.transformer.resblocks:
        block.register_forward_hook(lambda module, args, out: dtypes.add(out.dtype))
    scorer.embed_video(frames)
    assert dtypes == {torch.bfloat16} and not torch.is_autocast_enabled("cpu")


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # torch's own, met when its compiler is imported
def test_compiled_equals_eager(frames: np.ndarray, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Everything but the last step, generating machine code, which takes a minute and is torch's own.
    monkeypatch.setattr(torch, "compile", functools.partial(torch.compile, backend="aot_eager", fullgraph=True))
    write_vocabulary(tmp_path)
    compiled = load_scorer("viclip-tiny", "cpu", weights=write_pth(tmp_path), compile=True)
    assert compiled is not load_scorer("viclip-tiny", "cpu", weights=tmp_path / "tiny.pth")
    wide = np.repeat(np.repeat(frames, 2, axis=2), 2, axis=3)
    np.testing.assert_allclose(compiled.embed_video(wide), tiny().embed_video(wide), atol=1e-5)


def test_compiling_without_a_compiler(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: None)
    with pytest.raises(ScorerError, match="compile=True needs a C"):
        tiny(compile=True)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ScorerError, match="compile=True needs Triton"):
        devices.compiled(torch.neg, torch.device("cuda"))


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-4), (torch.bfloat16, 5e-2)])
def test_cuda_agrees_with_the_cpu(
    tmp_path: Path, frames: np.ndarray, dtype: torch.dtype, tolerance: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_vocabulary(tmp_path)
    path = write_pth(tmp_path)
    cpu = load_viclip("viclip-tiny", torch.device("cpu"), torch.float32, path)
    monkeypatch.setitem(batches.PATCHES_PER_BATCH, "cuda", 2 * 8 * TINY.patches)
    cuda = load_viclip("viclip-tiny", torch.device("cuda"), dtype, path)
    np.testing.assert_allclose(cuda.embed_video(frames), cpu.embed_video(frames), atol=tolerance)
    np.testing.assert_allclose(cuda.embed_text(["robot"]), cpu.embed_text(["robot"]), atol=tolerance)
