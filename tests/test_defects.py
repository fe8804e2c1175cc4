"""Defects of the authors' public code that must not come back: one test each, numbered as in the project's notes."""

from __future__ import annotations

import dataclasses
import subprocess
import sys

import gymnasium as gym
import numpy as np
import pytest
import torch

from mvr_wrappers.clips import ScoredClip
from mvr_wrappers.engine.engine import RewardEngine
from mvr_wrappers.relevance import ClipDataset, ReferenceSet, RelevanceModel, RelevanceTrainer
from mvr_wrappers.settings import RelevanceSettings, RewardSettings
from mvr_wrappers.snapshot import RewardSnapshot
from tests.support.clip_factory import make_clips
from tests.support.fake_scorer import FakeScorer
from tests.support.known import present
from tests.support.paths import ROOT
from tests.support.scored_clips import constant_clip, make_scored
from tests.support.tiny_task import RELEVANCE, SCHEDULE, learned_engine

LENGTH, DIM = 7, 4


def labelled_states(clip: int) -> np.ndarray:
    """States that say where they come from: 1000 clip + 10 time + feature."""
    time, feature = np.mgrid[:LENGTH, :DIM]
    return (1000 * clip + 10 * time + feature).astype(np.float32)


def test_1_clips_are_not_scrambled_between_storage_and_training(monkeypatch):
    """(time, feature) was unflattened as (feature, time): every state the trainer embeds must be one that was lived."""
    rng = np.random.default_rng(0)
    unit = np.eye(6, dtype=np.float32)[:1]
    clips = [ScoredClip(labelled_states(c), np.zeros(1, int), rng.random(1, np.float32), unit) for c in range(40)]
    dataset = ClipDataset(100, rng)
    dataset.add(clips)
    lived = {state.tobytes() for clip in clips for state in clip.states}
    embedded: list[np.ndarray] = []
    embed = RelevanceModel.embed
    monkeypatch.setattr(RelevanceModel, "embed", lambda self, s: embedded.append(s.numpy().copy()) or embed(self, s))
    for states_per_clip in (None, 3):
        settings = RelevanceSettings(hidden=8, clips=8, pairs=8, states_per_clip=states_per_clip, max_steps=3)
        RelevanceTrainer(settings, rng).update(dataset)
    references = ReferenceSet(3)
    references.offer(clips, np.zeros(1))
    references.relevances(RelevanceModel(DIM, 8, torch.Generator()))
    assert {states.shape[1] for states in embedded} == {LENGTH, 3}
    for states in embedded:
        assert {state.tobytes() for state in states.reshape(-1, DIM)} <= lived
        clip_of, time_of = states[..., 0] // 1000, states[..., 0] % 1000 // 10
        assert (clip_of == clip_of[:, :1]).all() and (np.diff(time_of, axis=1) >= 0).all()


def test_2_reference_states_stay_with_their_scores():
    """Scores were sorted while the last k rows of states were kept."""
    references = ReferenceSet(3)
    scores = [0.1, 0.9, 0.3, 0.8, 0.2, 0.7, 0.0]
    for start in (0, 4):
        references.offer([constant_clip(s, [s], [0]) for s in scores[start : start + 4]], np.zeros(1))
    np.testing.assert_allclose(references.scores, [0.9, 0.8, 0.7])
    np.testing.assert_allclose(references.states[:, 0, 0], [0.9, 0.8, 0.7])


def test_3_reference_relevances_are_refreshed_by_every_update(rng):
    """A misspelt attribute left them at their first values: r_vlm must be that of the new model throughout."""
    dataset = ClipDataset(500, np.random.default_rng(0))
    references = ReferenceSet(4)
    settings = RelevanceSettings(hidden=16, clips=16, pairs=32, steps_per_epoch=10, max_steps=50)
    trainer = RelevanceTrainer(settings, np.random.default_rng(1))
    states = rng.normal(size=(30, 3)).astype(np.float32)
    tables = []
    for version in (1, 2):
        clips = make_scored(rng, 80)
        dataset.add(clips)
        references.offer(clips, dataset.view_offsets)
        trainer.update(dataset)
        model = present(trainer.model)
        snapshot = RewardSnapshot.build(
            *(model.net(), references.relevances(model)),
            tau=0.1,
            weight=1.0,
            reward=RewardSettings(baseline="none"),
            version=version,
        )
        f, others = (model.relevance(array).astype(np.float64).ravel() for array in (states, references.states))
        expected = -np.log1p(np.exp(-(f[:, None] - others) / 0.1)).mean(axis=1)
        np.testing.assert_allclose(snapshot.vlm_reward(states), expected, atol=1e-4)
        tables.append(snapshot.table)
    assert np.abs(tables[1] - tables[0]).max() > 1e-3


def test_4_the_direction_is_used_normalised(rng):
    """The raw direction was used: its length must change nothing, and f must stay in [-1, 1]."""
    model = RelevanceModel(3, 16, torch.Generator().manual_seed(0))
    states = rng.normal(size=(100, 3)).astype(np.float32)
    before, net = model.relevance(states), model.net()
    with torch.no_grad():
        model.direction.mul_(50.0)
    np.testing.assert_allclose(model.relevance(states), before, atol=1e-6)
    np.testing.assert_allclose(model.net().direction, net.direction, atol=1e-6)
    assert np.linalg.norm(net.direction) == pytest.approx(1.0, abs=1e-6)
    assert np.abs(before).max() <= 1.0 + 1e-6


def test_4_training_reaches_the_direction_through_its_normalisation():
    dataset = ClipDataset(100, np.random.default_rng(0))
    dataset.add(make_scored(np.random.default_rng(1), 40))
    settings = RelevanceSettings(hidden=8, clips=8, pairs=16, weight_decay=0.0, steps_per_epoch=1, max_steps=1)
    settings = dataclasses.replace(settings, states_per_clip=None)
    trainer = RelevanceTrainer(settings, np.random.default_rng(2))
    trainer.update(dataset)
    model = present(trainer.model)
    model.zero_grad()
    states = torch.from_numpy(dataset.sample(np.random.default_rng(3), 8, None).states)
    model(states).sum().backward()
    gradient = present(model.direction.grad)
    assert gradient.norm() > 0
    # Moving along the direction changes nothing, so the gradient has no part along it.
    assert abs((gradient @ model.unit_direction).item()) < 1e-5 * gradient.norm().item()


@pytest.mark.parametrize("n_envs", [1, 3])
def test_5_relabelling_works_with_one_env_and_does_not_add_up(n_envs):
    """It failed with one env, and added the difference of two labels, so that rounding and clipping stayed for ever."""
    replay = pytest.importorskip("mvr_wrappers.sb3").RelabelReplayBuffer
    engine = learned_engine(weight=0.5)
    box = gym.spaces.Box(-np.inf, np.inf, (4,))
    buffer = replay(64 * n_envs, box, gym.spaces.Box(-1, 1, (2,)), "cpu", n_envs=n_envs, engine=engine)
    rng = np.random.default_rng(0)
    for _ in range(40):
        states = rng.normal(size=(2, n_envs, 4)).astype(np.float32)
        infos = [{"task_reward": 1.0, "shaping": 7e7} for _ in range(n_envs)]  # a label that no difference can mend
        buffer.add(*states, rng.normal(size=(n_envs, 2)), np.full(n_envs, 7e7), np.zeros(n_envs, bool), infos)
    for _ in range(3):
        engine.publish(engine.snapshot)
        buffer.sample(8)
        expected = engine.shape(buffer.observations[:40].reshape(-1, 4)).reshape(40, n_envs)
        np.testing.assert_allclose(buffer.shaping[:40], expected, rtol=1e-5, atol=1e-6)
        assert (buffer.rewards[:40] == 1.0).all()


@pytest.mark.parametrize("n_views", [1, 3, 5])
def test_6_any_number_of_views(n_views):
    """Four were written into the code."""
    with RewardEngine("red", scorer=FakeScorer(), relevance=RELEVANCE, schedule=SCHEDULE) as engine:
        engine.submit(make_clips(20, n_views=n_views))
        engine.advance(80)
        assert engine.metrics()["videos_scored"] == 20 * n_views
        assert engine.version == 1


def test_6_importing_leaves_torch_as_it_is():
    """Importing made the whole of torch deterministic and slow, and asked for CUDA."""
    code = (
        "import importlib, pkgutil, torch, mvr_wrappers\n"
        "def settings():\n"
        "    cudnn = torch.backends.cudnn\n"
        "    return (torch.are_deterministic_algorithms_enabled(), cudnn.deterministic, cudnn.benchmark,\n"
        "            torch.get_default_dtype(), torch.get_num_threads(), torch.get_float32_matmul_precision(),\n"
        "            torch.initial_seed(), torch.cuda.is_initialized())\n"
        "before = settings()\n"
        "[importlib.import_module(m.name) for m in pkgutil.walk_packages(mvr_wrappers.__path__, 'mvr_wrappers.')]\n"
        "assert settings() == before, (before, settings())"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_7_what_is_saved_is_what_resuming_reads(tmp_path):
    """Resuming looked in folders that training never wrote to: another process, started elsewhere, must go on."""
    engine = RewardEngine("red", scorer="fake", relevance=RELEVANCE, schedule=SCHEDULE)
    engine.submit(make_clips(20))
    engine.advance(80)
    engine.save(tmp_path / "run" / "engine.npz")
    states = np.linspace(-1, 1, 21, dtype=np.float32).reshape(7, 3)
    code = (
        "import sys, numpy as np\n"
        f"sys.path.insert(0, {str(ROOT)!r})\n"
        "import tests.support.tiny_task\n"
        "from mvr_wrappers import RewardEngine\n"
        "states = np.linspace(-1, 1, 21, dtype=np.float32).reshape(7, 3)\n"
        "engine = RewardEngine.load('engine.npz')\n"
        "print(engine.version, engine.metrics()['env_steps'], engine.shape(states).tolist())"
    )
    ran = subprocess.run([sys.executable, "-c", code], cwd=tmp_path / "run", capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == f"1 80 {engine.shape(states).tolist()}"
