"""Films are rendered beside the simulation, in order, and only if somebody waits for them."""

from __future__ import annotations

import gc
import multiprocessing
import operator
import pickle
import sys
import threading
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import mujoco
import numpy as np
import pytest

from mvr_wrappers.clips import Clip, Moments
from mvr_wrappers.errors import FilmingError
from mvr_wrappers.filming import FilmedEnv, Renderer
from mvr_wrappers.filming import studio as module
from mvr_wrappers.filming.studio import BACKLOG, studio
from tests.support.marks import may_fork
from tests.support.tiny_env import TinyEnv

CLIP = {"length": 16, "stride": 8, "frames": 4, "film_every": 1, "image_size": 32, "views": "all"}
SECONDS = 60.0  # after which a test that hangs has failed


def filmed(seed: int = 0, **clip: Any) -> FilmedEnv:
    """Returns an env that has just filmed one episode."""
    env = FilmedEnv(TinyEnv(24), clip={**CLIP, **clip})
    play(env, seed)
    return env


def play(env: FilmedEnv, seed: int) -> None:
    env.reset(seed=seed)
    for step in range(24):
        env.step(np.full(2, np.sin(0.3 * step), np.float32))


@contextmanager
def busy() -> Iterator[threading.Event]:
    """Keeps the studio busy until the event that it yields is set, or the block is left."""
    begun, over = threading.Event(), threading.Event()

    def wait() -> None:
        begun.set()
        over.wait(SECONDS)

    studio().submit(wait)
    assert begun.wait(SECONDS)
    try:
        yield over
    finally:
        over.set()


@pytest.fixture
def rendered(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the threads in which frames have been rendered."""
    threads: list[str] = []
    render = Renderer.render

    def note(self: Renderer, *args: Any, **kwargs: Any) -> Any:
        threads.append(threading.current_thread().name)
        return render(self, *args, **kwargs)

    monkeypatch.setattr(Renderer, "render", note)
    return threads


def test_an_episode_ends_before_its_film_is_rendered_and_the_clips_wait_for_it(rendered: list[str]) -> None:
    expected = [clip.frames for clip in filmed(seed=3).pop_clips()]
    rendered.clear()
    with busy() as over:
        env = filmed(seed=3)
        clips = env.pop_clips()
        env.reset(seed=4)  # the simulation goes on
        assert len(clips) == 3 and not rendered
        over.set()
        for clip, frames in zip(clips, expected, strict=True):
            np.testing.assert_array_equal(clip.frames, frames)
    assert set(rendered) == {"mvr-studio_0"}


def test_waiting_is_what_filming_costs() -> None:
    with busy() as over:
        env = filmed()
        before = env.film_seconds
        threading.Timer(0.3, over.set).start()
        _ = env.pop_clips()[0].frames
        assert before < 0.1 and env.film_seconds >= 0.25


def test_what_the_model_looks_like_afterwards_does_not_matter() -> None:
    expected = filmed(seed=3).pop_clips()[0].frames
    with busy():
        env = filmed(seed=3)
        model: mujoco.MjModel = env.unwrapped.model  # type: ignore[attr-defined]
        model.geom_rgba[:] = 0.5
        clips = env.pop_clips()
    np.testing.assert_array_equal(clips[0].frames, expected)


def test_a_film_that_nobody_keeps_is_not_rendered(rendered: list[str]) -> None:
    with busy():
        env = filmed()
        env.pop_clips()
    studio().submit(lambda: None).result(SECONDS)
    assert not rendered


def test_a_clip_that_waits_is_pickled_with_its_frames() -> None:
    with busy() as over:
        (clip, *_) = filmed(seed=3).pop_clips()
        threading.Timer(0.1, over.set).start()
        again: Clip = pickle.loads(pickle.dumps(clip))
    assert type(again.source) is Moments
    for name in ("states", "frames", "views"):
        np.testing.assert_array_equal(getattr(again, name), getattr(clip, name))


def live_bytes(keep: Callable[[list[Clip]], object]) -> int:
    """Returns the bytes that Python and NumPy hold on to after an episode was filmed and `keep` chose what stays."""
    filmed(image_size=64).pop_clips()[0].frames.any()  # whatever is made once
    tracemalloc.start()
    clips = filmed(seed=3, image_size=64).pop_clips()
    clips[0].frames.any()  # waits for all of them
    kept = keep(clips)
    del clips
    studio().submit(lambda: None).result(SECONDS)
    gc.collect()
    size, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    del kept
    return size


def test_a_kept_clip_keeps_its_own_frames_alone_and_overlapping_clips_share_theirs() -> None:
    clips = filmed(image_size=64).pop_clips()
    views, size = len(clips[0].views), clips[0].frames[:, 0].nbytes
    assert size == views * 64 * 64 * 3
    # 25 states, clips of 16 from 0, 8 and 9: moments 2, 6, 10, 14; 10, 14, 18, 22; 11, 15, 19, 23.
    for count, moments in ((0, 0), (1, 4), (2, 6), (3, 10)):
        assert moments * size <= live_bytes(operator.itemgetter(slice(count))) < (moments + 1) * size
    assert len({id(array) for clip in clips for array in clip.moments}) == 10


def test_clips_pickled_together_go_on_sharing() -> None:
    clips = filmed().pop_clips()
    again = pickle.loads(pickle.dumps(clips))
    assert len({id(array) for clip in again for array in clip.moments}) == 10
    for ours, theirs in zip(again, clips, strict=True):
        np.testing.assert_array_equal(ours.frames, theirs.frames)


def test_frames_in_use_are_put_together_once() -> None:
    (clip, *_) = filmed().pop_clips()
    assert clip.frames is clip.frames
    frames = clip.frames
    assert clip.frames is frames
    np.testing.assert_array_equal(np.stack(clip.moments, axis=1), frames)


def test_so_many_films_wait_and_no_more() -> None:
    with busy() as over:
        env = FilmedEnv(TinyEnv(24), clip=CLIP)
        for seed in range(BACKLOG - 1):  # what keeps the studio busy counts, too
            play(env, seed)
        threading.Timer(0.3, over.set).start()
        before = env.film_seconds
        play(env, seed=0)
        assert env.film_seconds - before > 0.2
    assert len(env.pop_clips()) == 3 * BACKLOG


def test_a_film_that_fails_says_so_to_whoever_waits_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: Any) -> None:
        raise mujoco.FatalError("too large")

    env = FilmedEnv(TinyEnv(24), clip={**CLIP, "image_size": 33})
    monkeypatch.setattr(mujoco, "MjrContext", refuse)
    play(env, seed=0)
    with pytest.raises(FilmingError, match=r"OpenGL refuses this model or frames of this size.*too large"):
        _ = env.pop_clips()[0].frames
    monkeypatch.undo()
    play(env, seed=0)
    assert env.pop_clips()[0].frames.any()


def test_where_opengl_wants_one_thread_films_are_rendered_at_once(
    monkeypatch: pytest.MonkeyPatch, rendered: list[str]
) -> None:
    expected = filmed(seed=3).pop_clips()[0].frames
    rendered.clear()
    monkeypatch.setattr(module, "works_in_threads", lambda: False)
    env = filmed(seed=3)
    assert set(rendered) == {threading.current_thread().name}
    np.testing.assert_array_equal(env.pop_clips()[0].frames, expected)
    env.close()


def film_in_child(connection: Any) -> None:
    connection.send(filmed(seed=3).pop_clips()[0].frames)


@pytest.mark.skipif(sys.platform != "linux", reason="forks")
@may_fork
def test_a_process_forked_amid_a_film_films_and_so_does_its_parent() -> None:
    envs = [filmed(seed, image_size=128) for seed in (3, 4, 5)]  # being rendered
    here, there = multiprocessing.Pipe()
    child = multiprocessing.get_context("fork").Process(target=film_in_child, args=(there,))
    child.start()
    assert here.poll(SECONDS), "hung"
    frames = here.recv()
    child.join(SECONDS)
    assert child.exitcode == 0
    np.testing.assert_array_equal(frames, filmed(seed=3).pop_clips()[0].frames)
    assert all(clip.frames.any() for env in envs for clip in env.pop_clips())
