from __future__ import annotations

import dataclasses
from collections import Counter

import numpy as np
import pytest

from mvr_wrappers.clips import ScoredClip
from mvr_wrappers.relevance import ClipDataset, RelevanceTrainer
from mvr_wrappers.relevance.holdout import MAX_HELD_OUT, HoldOut, count_episodes
from mvr_wrappers.settings import RelevanceSettings
from tests.support.known import present
from tests.support.scored_clips import constant_clip


def clips_of(episode: int, count: int) -> list[ScoredClip]:
    """Clips that are recognised by 1000 times their episode plus their number."""
    return [dataclasses.replace(constant_clip(1000 * episode + i, [0.1], [0]), episode=episode) for i in range(count)]


def make_holdout(seed: int = 0, share: float = 0.05) -> HoldOut:
    return HoldOut(np.random.default_rng(seed), share)


@pytest.mark.parametrize(("episodes", "held"), [(1, 0), (2, 1), (4, 1), (8, 2), (16, 4), (32, 8), (160, 8), (400, 20)])
def test_how_many_episodes_are_held_out(episodes, held):
    holdout = make_holdout()
    trained = holdout.take([clip for e in range(episodes) for clip in clips_of(e, 5)], 0)
    assert holdout.n_episodes == held and holdout.seen == episodes
    assert len(trained) == 5 * (episodes - held)
    assert len(holdout.clips) == 2 * held


def test_an_episode_is_on_one_side_whole_and_for_good():
    holdout = make_holdout()
    trained: set[int] = set()
    held: set[int] = set()
    for start in range(0, 2000, 10):
        for part in range(2):  # the clips of an episode may come in several scorings
            clips = [clip for e in range(start, start + 10) for clip in clips_of(e, 6)[3 * part : 3 * part + 3]]
            trained |= {clip.episode for clip in holdout.take(clips, min(len(trained), 200))}
            held |= {clip.episode for clip in holdout.clips}
        assert max(Counter(clip.episode for clip in holdout.clips).values(), default=0) <= 2
        assert len(holdout.clips) <= MAX_HELD_OUT
    assert not trained & held
    assert holdout.n_episodes == 25
    assert len(np.unique(np.diff(sorted(held)))) > 5  # not every n-th is held out
    assert np.median([clip.episode for clip in holdout.clips]) > 1700  # of the time of the 200 trained on


def test_held_out_episodes_are_of_all_the_time_trained_on():
    """With 8 of 120 held out, the first 32 must not be all that early stopping ever sees."""
    held: list[int] = []
    for seed in range(40):
        holdout, n_trained = make_holdout(seed), 0
        for episode in range(120):
            n_trained += bool(holdout.take(clips_of(episode, 3), n_trained))
        assert holdout.n_episodes == 8
        assert n_trained > 80  # few are lost to it
        held += {clip.episode for clip in holdout.clips}
    share = np.histogram(held, 4, (0, 120))[0] / len(held)
    np.testing.assert_allclose(share, 0.25, atol=0.09)


def test_the_two_clips_of_an_episode_are_any():
    starts = set()
    for seed in range(40):
        holdout = make_holdout(seed)
        holdout.take([clip for e in range(2) for clip in clips_of(e, 5)], 0)
        starts |= {int(clip.states[0, 0]) % 1000 for clip in holdout.clips}
    assert starts == set(range(5))


def test_save_and_restore_go_on_alike():
    first, second = make_holdout(1), make_holdout(2)
    first.take([clip for e in range(40) for clip in clips_of(e, 3)], 0)
    second.load_state_dict(first.state_dict())
    more = [clip for e in range(30, 300) for clip in clips_of(e, 3)]
    left = [[int(clip.states[0, 0]) for clip in holdout.take(more, 30)] for holdout in (first, second)]
    assert left[0] == left[1]
    for name, array in first.state_dict().items():
        np.testing.assert_array_equal(array, second.state_dict()[name], err_msg=name)


def test_unknown_episodes_count_apart():
    assert count_episodes([3, -1, 3, -1, 4]) == 4
    assert count_episodes([]) == 0


def noisy_episodes(rng: np.random.Generator, count: int, first: int) -> list[ScoredClip]:
    """Ten overlapping clips an episode, all with one score: noise, of which nothing can be learned.

    An episode is known by its place, as episodes of a simulator are by where their objects lie.
    """
    clips = []
    for episode in range(first, first + count):
        walk = rng.normal(size=6) + np.cumsum(rng.normal(scale=0.05, size=(80, 6)), axis=0)
        score = np.array([rng.normal(scale=0.03)], np.float32)
        embedding = rng.normal(size=(1, 8))
        unit = (embedding / np.linalg.norm(embedding)).astype(np.float32)
        states = walk.astype(np.float32)
        clips += [ScoredClip(states[i : i + 32], np.zeros(1, int), score, unit, episode) for i in range(0, 48, 5)]
    return clips


def test_noise_per_episode_is_not_taken_for_knowledge():
    """Held out clip by clip this reported 0.95 of pairs right; on unseen episodes, half of them are."""
    settings = RelevanceSettings(hidden=64, clips=32, pairs=128, max_steps=600)
    accuracies: dict[str, list[float]] = {"by episode": [], "by clip": []}
    steps = []
    for seed in range(4):
        rng = np.random.default_rng(seed)
        clips = noisy_episodes(rng, 60, first=0)
        alone = [dataclasses.replace(clip, episode=-1) for clip in clips]
        for name, given in (("by episode", clips), ("by clip", alone)):
            dataset = ClipDataset(1000, np.random.default_rng(seed))
            dataset.add(given)
            trainer = RelevanceTrainer(settings, np.random.default_rng(seed))
            report = trainer.update(dataset)
            accuracies[name].append(report.pair_accuracy)
            if name == "by episode":
                steps.append(report.steps)
                assert report.held_out_episodes == 8
                assert present(trainer.model)
    assert 0.3 < np.mean(accuracies["by episode"]) < 0.7
    assert np.mean(accuracies["by clip"]) > 0.8  # as it was reported before
    assert max(steps) < settings.max_steps  # early stopping stops
