from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
import torch

from mvr_wrappers.relevance import ClipDataset, RelevanceTrainer, UpdateReport
from mvr_wrappers.relevance.trainer import draw_pairs
from mvr_wrappers.settings import RelevanceSettings
from tests.support.known import present
from tests.support.scored_clips import constant_clip, make_scored

SMALL = RelevanceSettings(
    hidden=32, clips=16, pairs=64, states_per_clip=4, steps_per_epoch=10, patience=3, max_steps=100
)


def make_trainer(seed: int = 0, **changes) -> RelevanceTrainer:
    return RelevanceTrainer(dataclasses.replace(SMALL, **changes), np.random.default_rng(seed))


def make_dataset(clips: int, seed: int = 0, **options) -> ClipDataset:
    dataset = ClipDataset(1000, np.random.default_rng(seed), center_views=options.pop("center_views", True))
    dataset.add(make_scored(np.random.default_rng(seed + 1), clips, **options))
    return dataset


def weights(trainer: RelevanceTrainer) -> dict[str, np.ndarray]:
    return {name: array for name, array in trainer.state_dict().items() if name.startswith("model/")}


@pytest.mark.parametrize("clips", [0, 1, 2])
def test_too_few_clips_are_reported_and_nothing_happens(clips):
    trainer = make_trainer()
    report = trainer.update(make_dataset(clips))
    assert f"{clips} clips of {clips} episodes are too few" in report.skipped
    assert (report.steps, report.n_clips, trainer.model, trainer.total_steps) == (0, clips, None, 0)
    assert math.isnan(report.held_out_after)


@pytest.mark.parametrize("clips", [8, 9, 20])
def test_few_clips_train(clips):
    report = make_trainer().update(make_dataset(clips))
    assert report.steps > 0 and not report.skipped and np.isfinite(report.held_out_after)


def test_one_episode_trains_for_as_long_as_patience_lasts():
    """Nothing can be held out of it, so nothing is said about unseen episodes."""
    dataset = ClipDataset(1000, np.random.default_rng(0))
    clips = make_scored(np.random.default_rng(1), 20)
    dataset.add([dataclasses.replace(clip, episode=3) for clip in clips])
    trainer = make_trainer()
    report = trainer.update(dataset)
    assert (report.steps, report.held_out_episodes) == (30, 0)
    assert math.isnan(report.pair_accuracy) and report.matching_loss < 0.65  # it did learn
    before = weights(trainer)["model/direction"]
    trainer.update(dataset)
    assert not np.array_equal(weights(trainer)["model/direction"], before)


def test_learns_what_the_scores_say():
    trainer = make_trainer()
    report = trainer.update(make_dataset(300))
    assert report.held_out_after < report.held_out_before - 0.2
    assert report.pair_accuracy > 0.9
    assert report.n_clips == 300 and report.seconds > 0
    assert 0 < report.matching_loss < 0.693 and 0 < report.representation_loss < 2
    good, bad = (present(trainer.model).relevance(np.array([[x, 0, 0]], np.float32)).item() for x in (0.8, -0.8))
    assert good > bad + 0.2


def test_view_centring_lets_it_learn_through_camera_offsets():
    """Cameras that differ by four times the spread of behaviour hide it, unless views are centred."""
    accuracy = {}
    for center in (True, False):
        clips = [
            clip
            for view in range(4)
            for clip in make_scored(np.random.default_rng(view), 100, views=(view,), offsets=(0.0, 0.12, 0.24, 0.36))
        ]
        dataset = ClipDataset(1000, np.random.default_rng(0), center_views=center)
        dataset.add(clips)
        trainer = make_trainer()
        trainer.update(dataset)
        grid = np.linspace(-1, 1, 41)
        f = present(trainer.model).relevance(np.stack([grid, 0 * grid, 0 * grid], axis=1).astype(np.float32))
        accuracy[center] = np.corrcoef(f, grid)[0, 1]
    assert accuracy[True] > 0.9
    assert accuracy[True] > accuracy[False] + 0.05


def test_repeats_to_the_bit_and_leaves_torch_as_it_was():
    torch.manual_seed(3)
    before = (torch.get_rng_state(), torch.are_deterministic_algorithms_enabled(), torch.get_num_threads())
    state = np.random.get_state(legacy=False)["state"]["key"].copy()  # noqa: NPY002
    first, second = make_trainer(5), make_trainer(5)
    for trainer in (first, second):
        trainer.update(make_dataset(60))
    for name, array in first.state_dict().items():
        np.testing.assert_array_equal(array, second.state_dict()[name], err_msg=name)
    other = make_trainer(6)
    other.update(make_dataset(60))
    assert not np.array_equal(weights(other)["model/direction"], weights(first)["model/direction"])
    assert torch.equal(torch.get_rng_state(), before[0])
    assert (torch.are_deterministic_algorithms_enabled(), torch.get_num_threads()) == before[1:]
    np.testing.assert_array_equal(np.random.get_state(legacy=False)["state"]["key"], state)  # noqa: NPY002


@pytest.mark.parametrize("context", [torch.no_grad, torch.inference_mode])
def test_trains_inside_a_context_without_gradients(context):
    plain, inside = make_trainer(), make_trainer()
    plain.update(make_dataset(60))
    with context():
        assert inside.update(make_dataset(60)).steps > 0
        inside.update(make_dataset(70))
    plain.update(make_dataset(70))
    np.testing.assert_array_equal(weights(inside)["model/direction"], weights(plain)["model/direction"])


def test_does_not_depend_on_the_default_dtype():
    plain, other = make_trainer(), make_trainer()
    plain.update(make_dataset(60))
    torch.set_default_dtype(torch.float64)
    try:
        other.update(make_dataset(60))
    finally:
        torch.set_default_dtype(torch.float32)
    np.testing.assert_array_equal(weights(other)["model/direction"], weights(plain)["model/direction"])


@pytest.mark.parametrize(("keep", "epoch"), [("best", 2), ("last", 5)])
def test_which_weights_are_kept(monkeypatch, keep, epoch):
    """The held-out loss is scripted: it is lowest after the second epoch, and three epochs of patience follow."""
    trainer = make_trainer(patience=3, keep=keep)
    losses = iter([5.0, 4.0, 1.0, 2.0, 3.0, 1.5, 9.9])
    seen = []

    def scripted(model, held_out, pairs):
        seen.append({name: tensor.clone() for name, tensor in model.state_dict().items()})
        return next(losses), 0.5

    monkeypatch.setattr(trainer, "_evaluate", scripted)
    report = trainer.update(make_dataset(60))
    assert report.steps == 50 and report.held_out_before == 5.0 and report.stopped_early
    for name, tensor in present(trainer.model).state_dict().items():
        assert torch.equal(tensor, seen[epoch][name])
    assert not torch.equal(seen[2]["direction"], seen[5]["direction"])


def test_a_first_update_never_leaves_weights_that_learned_nothing(monkeypatch):
    trainer = make_trainer(patience=3)
    rising = iter([1.0, 2.0, 3.0, 4.0, 5.0, 6.0])
    seen = []

    def scripted(model, held_out, pairs):
        seen.append(model.direction.detach().clone())
        return next(rising), 0.5

    monkeypatch.setattr(trainer, "_evaluate", scripted)
    trainer.update(make_dataset(60))
    direction = present(trainer.model).direction
    assert torch.equal(direction, seen[1]) and not torch.equal(direction, seen[0])


def test_an_update_that_does_not_help_changes_no_weight(monkeypatch):
    trainer = make_trainer()
    dataset = make_dataset(60)
    trainer.update(dataset)
    before = weights(trainer)
    rising = iter(range(100))
    monkeypatch.setattr(trainer, "_evaluate", lambda *_: (float(next(rising)), 0.5))
    assert trainer.update(dataset).steps == 30
    for name, array in weights(trainer).items():
        np.testing.assert_array_equal(array, before[name])


def test_no_early_stop_before_the_least_number_of_steps(monkeypatch):
    trainer = make_trainer(min_total_steps=130, max_steps=100, patience=1)
    monkeypatch.setattr(trainer, "_evaluate", lambda *_: (1.0, 0.5))
    dataset = make_dataset(60)
    assert [trainer.update(dataset).steps for _ in range(3)] == [100, 30, 10]
    assert trainer.total_steps == 140


def test_max_steps_need_not_be_whole_epochs(monkeypatch):
    trainer = make_trainer(max_steps=25)
    falling = iter(range(100, 0, -1))
    monkeypatch.setattr(trainer, "_evaluate", lambda *_: (float(next(falling)), 0.5))
    report = trainer.update(make_dataset(60))
    assert report.steps == 25 and not report.stopped_early


@pytest.mark.parametrize("representation_weight", [0.0, 1.0])
def test_the_direct_objective_fits_the_scores_themselves(representation_weight):
    dataset = ClipDataset(1000, np.random.default_rng(0), center_views=False)
    clips = make_scored(np.random.default_rng(1), 300)
    dataset.add([dataclasses.replace(clip, scores=clip.scores * 4) for clip in clips])
    settings = {"objective": "direct", "max_steps": 400, "representation_weight": representation_weight}
    trainer = make_trainer(**settings)
    report = trainer.update(dataset)
    f = present(trainer.model).relevance(np.stack([clip.states for clip in clips])).mean(axis=1)
    psi = np.array([4 * clip.scores[0] for clip in clips])
    if not representation_weight:
        assert np.mean((f - psi) ** 2) < 0.1 * psi.var()
        assert report.matching_loss == pytest.approx(np.mean((f - psi) ** 2), abs=0.003)
    assert np.corrcoef(f, psi)[0, 1] > 0.9


def test_weights_are_a_running_average_by_hand(monkeypatch):
    """With three optimiser steps from w0 to w1, w2, w3 and half of it kept: w0/8 + w1/8 + w2/4 + w3/2."""
    trainer = make_trainer(averaging=0.5, steps_per_epoch=3, max_steps=3)
    moved: list[torch.Tensor] = []
    step = torch.optim.AdamW.step

    def spy(self, *args):
        direction = self.param_groups[0]["params"][0]
        moved.extend([direction.detach().clone()] if not moved else [])
        result = step(self, *args)
        moved.append(direction.detach().clone())
        return result

    monkeypatch.setattr(torch.optim.AdamW, "step", spy)
    falling = iter([3.0, 2.0, 1.0])
    monkeypatch.setattr(trainer, "_evaluate", lambda *_: (next(falling), 0.5))
    trainer.update(make_dataset(60))
    expected = moved[0] / 8 + moved[1] / 8 + moved[2] / 4 + moved[3] / 2
    torch.testing.assert_close(next(present(trainer.model).parameters()).detach(), expected)


def test_averaging_off_keeps_the_weights_themselves(monkeypatch):
    trainer = make_trainer(averaging=0.0, steps_per_epoch=5, max_steps=5)
    last = {}
    train_epoch = trainer._train_epoch

    def spy(model, learner, *args):
        result = train_epoch(model, learner, *args)
        last.update(learner.state_dict())
        return result

    monkeypatch.setattr(trainer, "_train_epoch", spy)
    falling = iter([3.0, 2.0, 1.0])
    monkeypatch.setattr(trainer, "_evaluate", lambda *_: (next(falling), 0.5))
    trainer.update(make_dataset(60))
    for name, tensor in present(trainer.model).state_dict().items():
        assert torch.equal(tensor, last[name])


def test_goes_on_from_the_previous_weights():
    trainer = make_trainer()
    dataset = make_dataset(60)
    first = trainer.update(dataset)
    model = trainer.model
    second = trainer.update(dataset)
    assert trainer.model is model
    assert second.held_out_before == pytest.approx(first.held_out_after, rel=0.05)  # the same clips and weights
    assert second.held_out_after <= second.held_out_before


def test_standardisation_is_frozen_into_the_model_at_each_update():
    trainer = make_trainer(max_steps=10)
    dataset = make_dataset(60)
    trainer.update(dataset)
    model = present(trainer.model)
    frozen = [tensor.clone() for tensor in (model.mean, model.std)]
    np.testing.assert_allclose(frozen[0], dataset.standardisation()[0], rtol=1e-6)
    np.testing.assert_allclose(frozen[1], dataset.standardisation()[1], rtol=1e-6)
    dataset.add([constant_clip(50, [0.1], [0])] * 20)
    assert torch.equal(model.mean, frozen[0])
    trainer.update(dataset)
    np.testing.assert_allclose(model.std, dataset.standardisation()[1], rtol=1e-6)
    assert not torch.equal(model.std, frozen[1])


def test_standardise_off_feeds_raw_states():
    trainer = make_trainer(standardise=False, max_steps=10)
    trainer.update(make_dataset(60))
    model = present(trainer.model)
    assert (model.mean == 0).all() and (model.std == 1).all()


def test_constant_features_train():
    dataset = ClipDataset(1000, np.random.default_rng(0))
    dataset.add([constant_clip(7, [0.1 * (i % 3)], [0]) for i in range(40)])
    report = make_trainer().update(dataset)
    assert np.isfinite([report.matching_loss, report.held_out_after]).all()


def test_equal_scores_leave_the_pair_accuracy_open():
    dataset = ClipDataset(1000, np.random.default_rng(0))
    dataset.add([constant_clip(i, [0.1], [0]) for i in range(40)])
    assert math.isnan(make_trainer(max_steps=10).update(dataset).pair_accuracy)


def test_several_views():
    report = make_trainer().update(make_dataset(200, views=(0, 1, 3), offsets=(0.0, 0.2, 0.0, -0.3)))
    assert report.pair_accuracy > 0.85


def test_held_out_clips_do_not_train(monkeypatch):
    trainer, dataset = make_trainer(max_steps=30), make_dataset(100)
    drawn = []
    losses = trainer._losses

    def spy(model, batch, pairs):
        if torch.is_grad_enabled():
            drawn.append(batch.embeddings)
        return losses(model, batch, pairs)

    monkeypatch.setattr(trainer, "_losses", spy)
    trainer.update(dataset)
    held = {row.tobytes() for row in dataset.held_out().embeddings}
    assert len(drawn) == 30
    assert not held & {row.tobytes() for batch in drawn for row in batch}


def test_pairs_are_uniform_over_distinct_clips(rng):
    first, second = draw_pairs(rng, 5, 40_000)
    assert (first != second).all()
    counts = np.zeros((5, 5))
    np.add.at(counts, (first, second), 1)
    np.testing.assert_allclose(counts[~np.eye(5, dtype=bool)] / 40_000, 1 / 20, atol=0.005)


def test_two_clips_make_a_pair(rng):
    pairs = draw_pairs(rng, 2, 10)
    assert sorted({(int(i), int(j)) for i, j in pairs.T}) == [(0, 1), (1, 0)]


@pytest.mark.parametrize("updates", [0, 1])
def test_save_and_restore_go_on_alike(updates):
    first, second = make_trainer(1), make_trainer(2)
    dataset = make_dataset(60)
    for _ in range(updates):
        first.update(dataset)
    second.load_state_dict(first.state_dict())
    reports = [trainer.update(dataset) for trainer in (first, second)]
    assert dataclasses.replace(reports[0], seconds=0) == dataclasses.replace(reports[1], seconds=0)
    for name, array in first.state_dict().items():
        np.testing.assert_array_equal(array, second.state_dict()[name], err_msg=name)


def test_saved_weights_do_not_alias_the_model():
    trainer, dataset = make_trainer(max_steps=10), make_dataset(60)
    trainer.update(dataset)
    saved = trainer.state_dict()
    kept = {name: array.copy() for name, array in saved.items()}
    with torch.no_grad():
        present(trainer.model).direction.zero_()
    for name, array in saved.items():
        np.testing.assert_array_equal(array, kept[name])


def test_reports_are_values():
    with pytest.raises(dataclasses.FrozenInstanceError):
        UpdateReport(steps=1, n_clips=2).steps = 3  # type: ignore[misc]  # the mistake
