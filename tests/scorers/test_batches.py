"""Batches of videos: what travels, what happens when memory is short, and when the device is waited for."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from mvr_wrappers.errors import ScorerError
from mvr_wrappers.scorers.batches import VideoBatches
from mvr_wrappers.scorers.viclip.scorer import ViCLIPScorer
from mvr_wrappers.scorers.viclip.tokenizer import ClipTokenizer
from tests.support.tiny_viclip import TINY, merges, network

CPU = torch.device("cpu")


@pytest.fixture
def videos(rng: np.random.Generator) -> np.ndarray:
    return rng.integers(0, 256, (10, 8, 2, 2, 3), np.uint8)


def batches(clips: int, device: torch.device = CPU) -> VideoBatches:
    """Makes batches that begin with `clips` clips of 8 frames."""
    found = VideoBatches(device, 16)
    found._frames = clips * 8
    return found


def means(seen: list[int], room: int = 1000) -> Callable[[torch.Tensor], torch.Tensor]:
    """An encoder that returns a clip's mean, and has memory for `room` clips."""

    def embed(clips: torch.Tensor) -> torch.Tensor:
        if len(clips) > room:
            raise torch.cuda.OutOfMemoryError("CUDA out of memory")
        assert clips.dtype == torch.uint8
        seen.append(len(clips))
        return clips.float().mean(dim=(1, 2, 3))

    return embed


@pytest.mark.parametrize("clips", [1, 3, 10, 64])
def test_rows_are_those_of_the_videos_in_order(videos: np.ndarray, clips: int) -> None:
    seen: list[int] = []
    rows = batches(clips).run(videos, means(seen), 3)
    np.testing.assert_allclose(rows, videos.mean(axis=(1, 2, 3)), rtol=1e-5)
    assert rows.dtype == np.float32 and max(seen) == min(clips, 10) and sum(seen) == 10


def test_no_videos(videos: np.ndarray) -> None:
    assert batches(4).run(videos[:0], means([]), 3).shape == (0, 3)


def test_longer_clips_make_smaller_batches(videos: np.ndarray) -> None:
    seen: list[int] = []
    batches(4).run(np.repeat(videos, 2, axis=1), means(seen), 3)
    assert seen == [2] * 5
    batches(1).run(np.repeat(videos, 2, axis=1), means(seen), 3)
    assert seen[5:] == [1] * 10


def test_out_of_memory_halves_the_batch_once_and_says_so(videos: np.ndarray, caplog: pytest.LogCaptureFixture) -> None:
    seen: list[int] = []
    fitting = batches(8)
    with caplog.at_level(logging.WARNING):
        rows = fitting.run(videos, means(seen, room=3), 3)
    np.testing.assert_allclose(rows, videos.mean(axis=(1, 2, 3)), rtol=1e-5)
    assert seen == [2] * 5
    assert [record.getMessage() for record in caplog.records] == [
        "cpu is out of memory with 8 clips a batch: 4 from here on",
        "cpu is out of memory with 4 clips a batch: 2 from here on",
    ]
    caplog.clear()
    fitting.run(videos, means(seen, room=3), 3)
    assert seen == [2] * 10 and not caplog.records


def test_rows_from_before_memory_ran_out_are_kept(videos: np.ndarray) -> None:
    seen: list[int] = []
    room = iter([4, 4, 1, 1, 1, 1])
    embed = means(seen)
    rows = batches(4).run(videos, lambda clips: means(seen, next(room))(clips) if len(seen) < 4 else embed(clips), 3)
    np.testing.assert_allclose(rows, videos.mean(axis=(1, 2, 3)), rtol=1e-5)
    assert seen == [4, 4, 1, 1]


def test_a_single_clip_that_does_not_fit(videos: np.ndarray) -> None:
    with pytest.raises(ScorerError, match='one clip of 8 frames does not fit the memory of cpu; use dtype="bfloat16"'):
        batches(2).run(videos, means([], room=0), 3)


class Waits(TorchDispatchMode):
    """Counts the operations that make the host wait for the device."""

    def __init__(self) -> None:
        super().__init__()
        self.names: list[str] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = func.name().partition("::")[2]
        if name.startswith(
            ("_local_scalar_dense", "nonzero", "is_nonzero", "equal", "item", "masked_select", "unique")
        ):
            self.names.append(name)
        return func(*args, **(kwargs or {}))


def test_the_device_is_waited_for_once(rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch) -> None:
    scorer = ViCLIPScorer("viclip-tiny", network(), ClipTokenizer(merges(), TINY.context))
    scorer._batches = batches(1)
    copies: list[tuple[int, ...]] = []
    for name in ("cpu", "tolist", "item", "__bool__", "__array__"):
        real = getattr(torch.Tensor, name)
        spy = lambda tensor, *args, real=real: copies.append(tuple(tensor.shape)) or real(tensor, *args)  # noqa: E731
        monkeypatch.setattr(torch.Tensor, name, spy)
    for size in (32, 20):  # as it is, and resized
        with Waits() as waits:
            scorer.embed_video(rng.integers(0, 256, (5, 6, size, size, 3), np.uint8))
        assert waits.names == []
    assert copies == [(5, 16)] * 2


def test_the_counter_of_waits_counts() -> None:
    with Waits() as waits:
        torch.ones(3).sum().item()
        torch.nonzero(torch.ones(3))
    assert waits.names == ["_local_scalar_dense", "nonzero"]


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_frames_travel_pinned_and_nothing_waits_for_the_gpu(videos: np.ndarray) -> None:
    device = torch.device("cuda")

    def embed(clips: torch.Tensor) -> torch.Tensor:
        assert clips.is_cuda and clips.dtype == torch.uint8
        return clips.float().mean(dim=(1, 2, 3))

    fitting = batches(2, device)
    expected = fitting.run(videos, embed, 3)
    torch.cuda.set_sync_debug_mode("error")
    try:
        rows = [fitting._try(videos[i : i + 2], embed) for i in range(0, 10, 2)]
    finally:
        torch.cuda.set_sync_debug_mode("default")
    np.testing.assert_allclose(torch.cat([row for row in rows if row is not None]).cpu().numpy(), expected)


def test_pinned_memory_is_used_where_there_is_a_gpu(videos: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: dict[str, Any] = {}

    class Staged:
        def numpy(self) -> np.ndarray:
            return seen.setdefault("array", np.empty(videos.shape, np.uint8))

        def to(self, device: torch.device, non_blocking: bool) -> torch.Tensor:
            seen["to"] = (device, non_blocking)
            return torch.from_numpy(seen["array"])

    monkeypatch.setattr(torch, "empty", lambda shape, dtype, pin_memory: seen.update(pinned=pin_memory) or Staged())
    rows = batches(16, torch.device("cuda", 0))._try(videos, means([]))
    assert rows is not None and seen["pinned"] is True and seen["to"] == (torch.device("cuda", 0), True)
    assert np.array_equal(seen["array"], videos)
