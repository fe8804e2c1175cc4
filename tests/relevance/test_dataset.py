from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from mvr_wrappers.clips import ScoredClip
from mvr_wrappers.errors import ConfigError, NonFiniteError
from mvr_wrappers.relevance.dataset import ClipBatch, ClipDataset
from mvr_wrappers.relevance.holdout import MAX_HELD_OUT
from tests.support.scored_clips import constant_clip, make_scored


def make_dataset(capacity: int = 1000, seed: int = 0, **options) -> ClipDataset:
    return ClipDataset(capacity, np.random.default_rng(seed), **options)


def numbers(batch: ClipBatch) -> list[int]:
    """Which constant clips a batch holds."""
    return sorted(int(value) for value in batch.states[:, 0, 0])


def numbered_clips(count: int, start: int = 0) -> list[ScoredClip]:
    return [constant_clip(i, scores=[0.1], views=[0]) for i in range(start, start + count)]


def test_empty():
    dataset = make_dataset()
    dataset.add([])
    assert (len(dataset), dataset.n_train, dataset.n_held) == (0, 0, 0)
    assert dataset.view_offsets.shape == (0,)


@pytest.mark.parametrize(("clips", "held"), [(1, 0), (2, 1), (4, 1), (8, 2), (32, 8), (160, 8), (400, 20), (1000, 50)])
def test_how_many_are_held_out(clips, held):
    dataset = make_dataset(capacity=10_000)
    dataset.add(numbered_clips(clips))
    assert (dataset.n_held, dataset.n_train) == (held, clips - held)


def test_held_out_clips_are_chosen_at_random_and_never_trained_on(rng):
    dataset = make_dataset(capacity=10_000)
    held_ever: set[int] = set()
    for start in range(0, 4000, 40):
        dataset.add(numbered_clips(40, start))
        held = numbers(dataset.held_out())
        trained = numbers(dataset.sample(rng, 10_000, None))
        held_ever |= set(held)
        assert not held_ever & set(trained)
        assert len(held) == len(set(held)) == dataset.n_held <= MAX_HELD_OUT
    gaps = np.diff(held[:20])
    assert len(set(gaps)) > 5  # not every n-th clip
    assert sum(number >= 1000 for number in held) > 20  # later clips replaced early ones
    assert len(held_ever) < 200  # and few clips were lost to it


def test_held_out_set_follows_the_ring(rng):
    dataset = make_dataset(capacity=500)
    for start in range(0, 5000, 50):
        dataset.add(numbered_clips(50, start))
    assert dataset.n_train == 500 and dataset.n_held == MAX_HELD_OUT
    assert np.median(numbers(dataset.held_out())) > 4000


def test_ring_forgets_the_oldest(rng):
    dataset = make_dataset(capacity=20)
    for start in range(0, 90, 9):
        dataset.add(numbered_clips(9, start))
    held = set(numbers(dataset.held_out()))
    trained = numbers(dataset.sample(rng, 100, None))
    # Clips that were held out and replaced are lost; all 20 kept are among the newest of the others.
    assert len(set(trained)) == 20 and not held & set(trained)
    assert min(trained) > 50 and max(trained) > 80


def test_capacity_of_one(rng):
    dataset = make_dataset(capacity=1)
    dataset.add(numbered_clips(3))
    newest = max({0, 1, 2} - set(numbers(dataset.held_out())))
    assert dataset.n_train == 1 and numbers(dataset.sample(rng, 64, 4)) == [newest]


def test_sampled_rows_belong_together(rng):
    clips = make_scored(rng, 300, views=(2, 0), offsets=(0.5, 0.0, -0.25))
    dataset = make_dataset(center_views=False)
    dataset.add(clips)
    by_embeddings = {clip.embeddings.tobytes(): clip for clip in clips}
    batch = dataset.sample(rng, 64, None)
    assert batch.states.shape == (64, 8, 3) and batch.states.dtype == batch.scores.dtype == np.float32
    assert batch.embeddings.shape == (64, 2, 6)
    for states, score, embeddings in zip(batch.states, batch.scores, batch.embeddings, strict=True):
        clip = by_embeddings[embeddings.tobytes()]
        np.testing.assert_array_equal(states, clip.states)
        assert score == pytest.approx(clip.scores.mean())


def test_scores_of_several_views_are_averaged_once_centred():
    """Views 0 and 2 differ by 0.5 on average: centred, clip 1 scores 0.3 and 0.9 less -0.25 and 0.25."""
    dataset = make_dataset()
    dataset.add([constant_clip(i, scores, [0, 2]) for i, scores in enumerate([[0.1, 0.5], [0.3, 0.9], [0.2, 0.7]])])
    expected = {0: (0.35 + 0.25) / 2, 1: (0.55 + 0.65) / 2, 2: (0.45 + 0.45) / 2}
    for batch in (dataset.held_out(), dataset.sample(np.random.default_rng(0), 3, None)):
        for number, score in zip(batch.states[:, 0, 0].tolist(), batch.scores, strict=True):
            assert score == pytest.approx(expected[number], abs=1e-6)


def test_states_are_stored_once_however_many_views(rng):
    dataset = make_dataset()
    dataset.add(make_scored(rng, 40, views=(0, 1, 2, 3)))
    assert dataset.state_dict()["train/states"].shape == (32, 8, 3)
    assert dataset.state_dict()["train/scores"].shape == (32, 4)


def test_sample_draws_distinct_clips(rng):
    dataset = make_dataset()
    dataset.add(numbered_clips(200))
    drawn = numbers(dataset.sample(rng, 64, 4))
    assert len(set(drawn)) == 64


@pytest.mark.parametrize(("length", "wanted"), [(8, 4), (10, 4), (7, 5), (9, 1)])
def test_state_means_are_unbiased(rng, length, wanted):
    """Every state of a clip is drawn equally often, also where the draw does not divide the length."""
    ramp = np.arange(length, dtype=np.float32)
    clip = dataclasses.replace(constant_clip(0, [0.1], [0], length), states=np.repeat(ramp[:, None], 3, axis=1))
    dataset = make_dataset()
    dataset.add([clip] * 8)
    draws = np.concatenate([dataset.sample(rng, 6, wanted).states[..., 0] for _ in range(4000)])
    assert draws.shape == (24_000, wanted)
    frequencies = np.bincount(draws.ravel().astype(int), minlength=length) / draws.size
    np.testing.assert_allclose(frequencies, 1 / length, atol=0.006)
    assert (np.diff(draws, axis=1) >= 0).all()  # one from each part of the clip, in order


def test_all_states_when_the_clip_has_no_more(rng):
    dataset = make_dataset()
    dataset.add(make_scored(rng, 20))
    assert dataset.sample(rng, 5, 100).states.shape == (5, 8, 3)


def test_view_centring_by_hand():
    dataset = make_dataset()
    rows = [([0.1, 0.5], [0, 2]), ([0.3, 0.9], [0, 2]), ([0.2, 0.7], [0, 2])]
    dataset.add([constant_clip(0, scores, views) for scores, views in rows])
    # Means: view 0 0.2, view 2 0.7, all rows 0.45; view 1 was never seen.
    np.testing.assert_allclose(dataset.view_offsets, [-0.25, 0.0, 0.25], atol=1e-7)


def test_view_means_are_running():
    together, apart = make_dataset(), make_dataset()
    clips = make_scored(np.random.default_rng(3), 60, views=(1, 3), offsets=(0, 0.3, 0, -0.2))
    together.add(clips)
    for start in range(0, 60, 7):
        apart.add(clips[start : start + 7])
    np.testing.assert_allclose(together.view_offsets, apart.view_offsets, rtol=1e-12)
    assert apart.view_offsets[1] - apart.view_offsets[3] == pytest.approx(0.5, abs=1e-6)


def test_center_views_off_changes_no_score(rng):
    dataset = make_dataset(center_views=False)
    dataset.add([constant_clip(i, [i / 10], [i % 2]) for i in range(8)])
    assert (dataset.view_offsets == 0).all()
    batch = dataset.sample(rng, 8, None)
    np.testing.assert_allclose(batch.scores, batch.states[:, 0, 0] / 10, rtol=1e-6)


def test_standardisation_equals_numpy_over_all_states(rng):
    dataset = make_dataset(capacity=10)  # statistics cover clips that have left, too
    clips = make_scored(rng, 90)
    shifted = [
        dataclasses.replace(c, states=(c.states * [1, 100, 1e-3] + [0, 1e4, 0]).astype(np.float32)) for c in clips
    ]
    for start in range(0, 90, 13):
        dataset.add(shifted[start : start + 13])
    everything = np.concatenate([clip.states for clip in shifted]).astype(np.float64)
    mean, std = dataset.standardisation()
    np.testing.assert_allclose(mean, everything.mean(0), rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(std, everything.std(0), rtol=1e-9)


@pytest.mark.parametrize("value", [0.0, 0.1, 1e6, -123.456])
def test_constant_features_have_deviation_one(value):
    dataset = make_dataset()
    for _ in range(5):
        dataset.add([constant_clip(value, [0.1], [0])] * 3)
    assert (dataset.standardisation()[1] == 1).all()


@pytest.mark.parametrize("change", ["length", "dim", "views", "embedding"])
def test_clips_of_another_shape_are_refused_and_nothing_is_taken_in(rng, change):
    dataset = make_dataset()
    dataset.add(make_scored(rng, 10))
    odd = {
        "length": make_scored(rng, 1, length=9),
        "dim": make_scored(rng, 1, dim=4),
        "views": make_scored(rng, 1, views=(0, 1)),
        "embedding": [dataclasses.replace(make_scored(rng, 1)[0], embeddings=np.ones((1, 9), np.float32))],
    }[change]
    before = dataset.state_dict()
    with pytest.raises(ConfigError, match=r"clip 1 has .* of shape .* one reward engine"):
        dataset.add([*make_scored(rng, 1), *odd])
    for name, array in dataset.state_dict().items():
        np.testing.assert_array_equal(array, before[name])


def test_differing_shapes_in_the_first_batch_are_refused(rng):
    with pytest.raises(ConfigError, match="clip 1 has states"):
        make_dataset().add([*make_scored(rng, 1), *make_scored(rng, 1, length=9)])


@pytest.mark.parametrize("name", ["states", "scores", "embeddings"])
def test_non_finite_clips_are_refused(rng, name):
    clip = make_scored(rng, 1)[0]
    getattr(clip, name).flat[0] = np.nan
    with pytest.raises(NonFiniteError, match=f"NaN or infinite {name}"):
        make_dataset().add([clip])


def test_negative_views_are_refused():
    with pytest.raises(ConfigError, match="view indices"):
        make_dataset().add([constant_clip(0, [0.1], [-1])])


def test_save_and_restore_go_on_alike(rng):
    first = make_dataset(capacity=70)
    for _ in range(3):
        first.add(make_scored(rng, 45, views=(0, 2)))
    second = make_dataset(capacity=70, seed=99)
    second.load_state_dict(first.state_dict())
    more = make_scored(rng, 200, views=(1, 2))
    for start in range(0, 200, 20):
        for dataset in (first, second):
            dataset.add(more[start : start + 20])
    for name, array in first.state_dict().items():
        np.testing.assert_array_equal(array, second.state_dict()[name], err_msg=name)
    batches = [dataset.sample(np.random.default_rng(1), 16, 3) for dataset in (first, second)]
    np.testing.assert_array_equal(batches[0].states, batches[1].states)


def test_saved_state_of_an_empty_dataset():
    second = make_dataset(seed=5)
    second.load_state_dict(make_dataset().state_dict())
    second.add(numbered_clips(8))
    assert len(second) == 8


def test_sampling_cost_does_not_grow_with_the_dataset(rng):
    """Pairs are drawn, never listed: a step touches as many clips as it draws."""
    dataset = make_dataset(capacity=20_000)
    clips = numbered_clips(500)
    for _ in range(40):
        dataset.add(clips)
    batch = dataset.sample(rng, 64, 4)
    assert dataset.n_train > 19_000 and batch.states.shape == (64, 4, 3)
