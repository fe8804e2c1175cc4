"""The pool keeps a uniformly random subset of what was filmed since the last scoring."""

from __future__ import annotations

import numpy as np

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
