"""What the pictures of a run are made of: the right frames, steps and views."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import tests.support.tiny_task  # noqa: F401  registers MVR/tiny
from mvr_agents.pictures import run_pictures
from mvr_agents.runs.config import TrainConfig
from mvr_agents.runs.run_dir import RunDirectory
from mvr_wrappers.clips import Clip
from mvr_wrappers.engine.gallery import Gallery
from mvr_wrappers.filming import Camera, CameraRig, FilmedEpisode
from mvr_wrappers.filming.filmstrip import Strip
from mvr_wrappers.tasks.registry import get_task
from tests.support.tiny_task import learned_engine


def test_a_trace_follows_the_states_the_actions_were_taken_in() -> None:
    states = np.random.default_rng(0).normal(size=(17, 4)).astype(np.float32)
    times = np.arange(17)
    frames = np.broadcast_to(times[:, None, None, None].astype(np.uint8), (17, 2, 2, 3))[None]
    infos = [{"is_success": step in (5, 9)} for step in range(16)]
    engine = learned_engine(weight=0.5)
    trace = run_pictures.trace_episode(FilmedEpisode(frames, times, states, np.zeros(16), infos), engine)
    assert trace.relevance.shape == trace.shaping.shape == (16,)
    np.testing.assert_array_equal(trace.relevance, engine.snapshot.relevance(states[:16]))
    np.testing.assert_allclose(trace.shaping, 0.5 * engine.vlm_reward(states[:16]), rtol=1e-6)
    assert trace.frames[:, 0, 0, 0].tolist() == [1, 3, 5, 7, 9, 11, 13, 15]  # the middles of eight parts
    assert trace.success_step == 5


@pytest.mark.parametrize(
    ("camera", "label"), [(Camera(azimuth=90.0), "azimuth 90°"), (Camera(name="corner"), "corner")]
)
def test_a_view_has_a_name(camera: Camera, label: str) -> None:
    assert run_pictures.view_label(camera) == label


def test_the_filmstrip_has_the_best_and_the_worst_clip_of_each_view(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: list[Strip] = []
    monkeypatch.setattr(run_pictures, "save_filmstrip", lambda path, title, strips: drawn.extend(strips))
    gallery = Gallery()
    for name, (view, score) in enumerate([(0, 0.1), (1, 0.9), (0, 0.3), (0, 0.2)]):
        frames = np.full((1, 2, 4, 4, 3), name, np.uint8)
        gallery.add([Clip(np.zeros((8, 3), np.float32), frames, np.array([view]))], [np.array([score], np.float32)])
    run = RunDirectory.create(TrainConfig.for_task("tiny", outputs=tmp_path))
    run_pictures.draw_clips(run, get_task("tiny"), gallery, CameraRig.ring(azimuths=(0, 90)))
    assert [(int(strip.frames[0, 0, 0, 0]), strip.caption) for strip in drawn] == [
        (2, ("best, score 0.300", "azimuth 0°")),
        (1, ("best, score 0.900", "azimuth 90°")),
        (0, ("worst, score 0.100", "azimuth 0°")),
        (1, ("worst, score 0.900", "azimuth 90°")),
    ]


def test_without_clips_there_is_no_filmstrip(tmp_path: Path) -> None:
    run = RunDirectory.create(TrainConfig.for_task("tiny", outputs=tmp_path))
    run_pictures.draw_clips(run, get_task("tiny"), Gallery(), CameraRig.ring())
    assert not run.filmstrip.exists()
