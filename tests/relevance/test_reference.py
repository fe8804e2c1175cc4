from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

from mvr_wrappers.clips import ScoredClip
from mvr_wrappers.relevance.model import RelevanceModel
from mvr_wrappers.relevance.reference import ReferenceSet
from tests.support.scored_clips import constant_clip, make_scored

FLAT = np.zeros(4)


def values(references: ReferenceSet) -> list[float]:
    """Which constant clips are held, best first."""
    return references.states[:, 0, 0].tolist()


def test_starts_empty_and_may_hold_fewer_than_k():
    references = ReferenceSet(10)
    assert len(references) == 0 and references.scores.shape == (0,)
    references.offer([constant_clip(1, [0.1], [0]), constant_clip(2, [0.3], [0])], FLAT)
    assert len(references) == 2 and values(references) == [2, 1]


def test_keeps_the_best_ever_seen_over_many_offers(rng):
    scores = rng.permutation(100) / 100
    references = ReferenceSet(5)
    for start in range(0, 100, 7):
        references.offer([constant_clip(s, [s], [0]) for s in scores[start : start + 7]], FLAT)
    np.testing.assert_allclose(references.scores, [0.99, 0.98, 0.97, 0.96, 0.95])
    np.testing.assert_allclose(values(references), references.scores)  # states and scores moved together


def test_ranks_by_the_average_over_views():
    references = ReferenceSet(2)
    references.offer(
        [constant_clip(i + 1, scores, [0, 1]) for i, scores in enumerate([[0.75, 0.0], [0.5, 0.5], [0.25, 0.5]])], FLAT
    )
    assert values(references) == [2, 1]  # averages 0.375, 0.5 and 0.375: of equals the first stays
    np.testing.assert_allclose(references.scores, [0.5, 0.375])


def test_ranks_centred_scores():
    offsets = np.array([0.4, 0.0])
    references = ReferenceSet(1)
    references.offer([constant_clip(1, [0.5], [0]), constant_clip(2, [0.2], [1])], offsets)  # 0.1 and 0.2
    assert values(references) == [2]
    np.testing.assert_allclose(references.scores, [0.2])


def test_clips_held_are_ranked_anew_when_the_offsets_move():
    references = ReferenceSet(2)
    references.offer([constant_clip(1, [0.5], [0]), constant_clip(2, [0.4], [1])], FLAT)
    references.offer([], np.array([0.3, 0.0]))
    assert values(references) == [2, 1]
    np.testing.assert_allclose(references.scores, [0.4, 0.2])


def test_relevances_are_those_of_the_model_now(rng):
    model = RelevanceModel(3, 8, torch.Generator().manual_seed(0))
    references = ReferenceSet(4)
    references.offer(make_scored(rng, 9), FLAT)
    before = references.relevances(model)
    assert before.shape == (4, 8)
    np.testing.assert_array_equal(before, model.relevance(references.states))
    with torch.no_grad():
        model.direction.neg_()
    np.testing.assert_allclose(references.relevances(model), -before, atol=1e-6)


@pytest.mark.parametrize("count", [0, 1, 30])
def test_save_and_restore_go_on_alike(rng, count):
    first, second = ReferenceSet(6), ReferenceSet(6)
    offsets = np.array([0.01, -0.02, 0.0, 0.03])
    first.offer(make_scored(rng, count, views=(1, 3)), offsets)
    second.load_state_dict(first.state_dict())
    more = make_scored(rng, 20, views=(0, 2))
    for references in (first, second):
        references.offer(more, offsets * 2)
    for name, array in first.state_dict().items():
        np.testing.assert_array_equal(array, second.state_dict()[name], err_msg=name)
    np.testing.assert_array_equal(first.scores, second.scores)


def of_episode(episode: int, *scores: float) -> list[ScoredClip]:
    return [dataclasses.replace(constant_clip(score, [score], [0]), episode=episode) for score in scores]


def test_few_clips_of_one_episode():
    references = ReferenceSet(4, per_episode=2)
    references.offer([*of_episode(0, 0.9, 0.8, 0.7, 0.6), *of_episode(1, 0.5), *of_episode(2, 0.4, 0.3)], FLAT)
    np.testing.assert_allclose(values(references), [0.9, 0.8, 0.5, 0.4])
    references.offer(of_episode(1, 0.95, 0.85), FLAT)  # the best two of an episode stay, whenever they came
    np.testing.assert_allclose(values(references), [0.95, 0.9, 0.85, 0.8])


def test_clips_of_unknown_episodes_count_apart():
    references = ReferenceSet(4, per_episode=1)
    references.offer([constant_clip(score, [score], [0]) for score in (0.9, 0.8, 0.7)], FLAT)
    np.testing.assert_allclose(values(references), [0.9, 0.8, 0.7])


def test_no_limit_keeps_the_best_of_all():
    references = ReferenceSet(3)
    references.offer([*of_episode(0, 0.9, 0.8, 0.7), *of_episode(1, 0.5)], FLAT)
    np.testing.assert_allclose(values(references), [0.9, 0.8, 0.7])


def test_it_says_whether_the_clips_held_changed():
    references = ReferenceSet(2, per_episode=1)
    assert references.offer(of_episode(0, 0.5), FLAT)
    assert not references.offer(of_episode(0, 0.4), FLAT)
    assert references.offer(of_episode(0, 0.6), FLAT)
    assert references.offer(of_episode(1, 0.1), FLAT)
    assert not references.offer(of_episode(2, 0.05), FLAT)
    assert not references.offer([], np.array([0.3, 0.0, 0.0, 0.0]))
