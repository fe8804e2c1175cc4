"""A task is filmed from all views: a video, and a filmstrip beside it."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

import tests.support.tiny_task  # noqa: F401  registers MVR/tiny
from mvr_agents.pictures.film import film_task
from mvr_agents.pictures.relevance_film import add_relevance
from mvr_wrappers.errors import ConfigError
from mvr_wrappers.tasks.registry import get_task
from tests.support.tiny_task import learned_engine


def test_video_and_filmstrip_show_every_view(tmp_path: Path) -> None:
    spec = get_task("tiny", rig={"kind": "ring", "azimuths": [0, 120, 240]})
    video, strip = film_task(spec, "random", tmp_path / "new" / "random.mp4", size=32, every=5)
    with av.open(str(video)) as container:
        stream = container.streams.video[0]
        assert (stream.width, stream.height) == (64, 64)  # three views in a grid of two by two
        assert stream.average_rate == 10  # the env shows 50 steps a second, every fifth was filmed
        assert sum(1 for _ in container.decode(stream)) == 9  # states 0, 5, .. 40
    assert strip == tmp_path / "new" / "random.png"
    with Image.open(strip) as picture:
        assert picture.height > 3 * 100


def test_with_an_engine_relevance_is_drawn_below(tmp_path: Path) -> None:
    spec = get_task("tiny", rig={"kind": "ring", "azimuths": [0, 120, 240]})
    *_, animation = film_task(spec, "random", tmp_path / "a.mp4", size=32, every=5, engine=learned_engine())
    with Image.open(animation) as film:
        assert film.n_frames == 9 and film.width == 64 and film.height > 64


def test_a_policy_that_is_none_leaves_no_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no scripted policy"):
        film_task(get_task("tiny"), "scripted", tmp_path / "new" / "scripted.mp4")
    assert not (tmp_path / "new").exists()


def test_the_panel_below_shows_how_far_the_episode_has_come() -> None:
    relevance = np.linspace(0, 1, 21)
    frames = add_relevance(np.zeros((2, 10, 120, 3), np.uint8), np.array([2, 18]), relevance, 0.5)
    panels = frames[:, 10:].astype(int)
    blue = [np.argwhere((panel[..., 2] - panel[..., 0]) > 60)[:, 1].max() for panel in panels]
    assert blue[0] < 40 < 90 < blue[1]
    green = [(panel[..., 1] - panel[..., 0] > 60).sum() for panel in panels]
    without = add_relevance(np.zeros((1, 10, 120, 3), np.uint8), np.array([2]), relevance, np.nan)[0, 10:].astype(int)
    assert min(green) > 20 and (without[..., 1] - without[..., 0] > 60).sum() < min(green)
