"""The pool keeps a uniformly random subset of what was filmed since the last scoring."""

from __future__ import annotations

import numpy as np

from mvr_wrappers.clips import Clip, Moments
from mvr_wrappers.engine.pool import ClipPool
from tests.support.clip_factory import make_clips


def times_kept(draws: int, before: int) -> np.ndarray:
    """How often each of 12 clips is among the 3 kept, after `before` others were offered and taken."""
    clips, others = make_clips(12), make_clips(12, seed=1)
    kept = np.zeros(12)
    for seed in range(draws):
        pool = ClipPool(3, np.random.default_rng(seed))
        pool.offer(others[:before])
        pool.take()
        pool.offer(clips)
        for clip in pool.take():
            kept[[clip is other for other in clips]] += 1
    return kept


def test_which_clips_are_kept_is_uniform() -> None:
    kept = times_kept(400, before=0)
    assert kept.sum() == 1200
    assert (np.abs(kept - 100) < 45).all()  # 400 draws of 3 in 12: deviation 8.7 a clip


def test_take_begins_anew() -> None:
    # Were those before still counted, the first three would be kept 400 * 15 / 24 = 250 times.
    kept = times_kept(400, before=12)
    assert kept.sum() == 1200
    assert (np.abs(kept - 100) < 45).all()


def test_what_was_dropped_is_counted_for_good() -> None:
    pool = ClipPool(3, np.random.default_rng(0))
    for _ in range(2):
        pool.offer(make_clips(5))
        assert len(pool) == 3
        pool.take()
        assert len(pool) == 0
    assert pool.dropped == 4


def test_frames_that_clips_share_are_saved_once_and_shared_again() -> None:
    moments = [np.full((2, 4, 4, 3), value, np.uint8) for value in range(5)]
    states, views = np.zeros((8, 3), np.float32), np.arange(2)
    whole = np.stack(moments[1:4], axis=1) + 100
    clips = [Clip(states, Moments(moments[:3]), views, None, 2**33, 5), Clip(states, Moments(moments[2:]), views)]
    pool = ClipPool(9, np.random.default_rng(0))
    pool.offer([*clips, Clip(states, whole, views)])
    saved = pool.state_dict()
    assert sum(name.startswith("frames/") for name in saved) == 5 + 3
    other = ClipPool(9, np.random.default_rng(1))
    other.load_state_dict(saved)
    first, second, third = other.take()
    np.testing.assert_array_equal(first.frames, np.stack(moments[:3], axis=1))
    np.testing.assert_array_equal(second.frames, np.stack(moments[2:], axis=1))
    np.testing.assert_array_equal(third.frames, whole)
    assert first.moments[2] is second.moments[0]
