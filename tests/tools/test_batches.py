from __future__ import annotations

import numpy as np
import pytest
import torch

from tests.support.pocket_films import write_films
from tools.pocket.batches import Sampler, relations
from tools.pocket.films import read_films
from tools.pocket.labels import label
from tools.pocket.motions import BODY_MOTIONS


@pytest.fixture(scope="module")
def sampler(tmp_path_factory: pytest.TempPathFactory) -> Sampler:
    folder = tmp_path_factory.mktemp("films")
    write_films(folder / "train", np.random.default_rng(0))
    films = read_films(folder / "train")
    return Sampler(films, label(films), seed=0, groups=6)


def test_a_batch_is_of_one_piece(sampler: Sampler) -> None:
    seen = set()
    for step in range(20):
        batch = sampler[step]
        subjects = sampler.clips.subject[batch.clips].reshape(6, 8)
        assert (subjects == subjects[:, :1]).all()
        assert batch.match.shape == (48, len(batch.captions)) and len(batch.prompts) == 6
        np.testing.assert_array_equal(batch.match[:, :48].diagonal(), 1)
        assert (batch.weight[batch.match == 1] == 1).all()
        seen |= set(subjects[:, 0])
    assert {"ant", "push-v3", "window-close-v3"} <= seen


def test_clips_of_a_body_choose_among_its_motions(sampler: Sampler) -> None:
    chosen = 0
    for step in range(20):
        batch = sampler[step]
        subjects, stages = sampler.clips.subject[batch.clips], sampler.clips.stage[batch.clips]
        offered, motion = batch.offered.numpy(), batch.motion.numpy()
        assert offered.shape == (48, len(batch.motions))
        for subject, stage, row, right in zip(subjects, stages, offered, motion, strict=True):
            motions = BODY_MOTIONS.get(subject, ())
            assert row.sum() == len(motions)
            if motions:
                assert row[right] and right - row.argmax() == motions.index(stage)
                chosen += 1
    assert chosen


def test_twins_are_one_moment_from_two_views(sampler: Sampler) -> None:
    batch, clips, films = sampler[0], sampler.clips, sampler.films
    twins = batch.twins.numpy()
    paired = np.flatnonzero(twins != np.arange(len(twins)))
    assert len(paired) and (twins[twins] == np.arange(len(twins))).all()
    one, other = batch.clips[paired], batch.clips[twins[paired]]
    np.testing.assert_array_equal(clips.frame[one], clips.frame[other])
    seeds, azimuths = films.columns["seed"], films.columns["azimuth"]
    np.testing.assert_array_equal(seeds[clips.film[one]], seeds[clips.film[other]])
    assert (azimuths[clips.film[one]] != azimuths[clips.film[other]]).all()


def test_pixels_are_altered_a_little(sampler: Sampler) -> None:
    pixels = sampler[0].to(torch.device("cpu")).pixels()
    assert pixels.shape == (48, 8, 3, 96, 96) and pixels.dtype == torch.float32
    assert pixels.min() >= 0 and pixels.max() <= 255 and 110 < pixels.mean() < 145


def test_a_batch_depends_on_the_seed_and_the_step_alone(sampler: Sampler) -> None:
    other = Sampler(sampler.films, sampler.clips, seed=0, groups=6)
    for step in (5, 2):
        a, b = sampler[step], other[step]
        assert a.captions == b.captions and (a.clips == b.clips).all()
        assert torch.equal(a.pixels(), b.pixels())
    assert sampler[2].captions != sampler[3].captions


def test_relations_by_hand() -> None:
    shown = [("push-v3", "success"), ("reach-v3", "random"), ("push-v3", "partial"), ("ant", "walk")]
    said = [("push-v3", "held"), ("push-v3", "random"), ("push-v3", "approach"), ("ant", "run"), ("hopper", "walk")]
    match, known = relations(shown, said, np.array([1.0, 0.0, 0.7, 1.0]))
    assert match.tolist() == [[True, False, False, False, False], *[[False] * 5] * 3]
    # Random in one scene: of which task? Reaching or working? Nearly there: is it success?
    assert np.argwhere(~known).tolist() == [[1, 1], [2, 0], [2, 2]]
