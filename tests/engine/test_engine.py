from __future__ import annotations

import copy
import os
import pickle
import subprocess
import sys
import threading
import time
import weakref
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mvr_wrappers.clips import Clip
from mvr_wrappers.engine.arrays_file import read_arrays, write_arrays
from mvr_wrappers.engine.engine import RewardEngine
from mvr_wrappers.errors import ConfigError, EngineError, NonFiniteError, ScorerError, UnknownNameError
from mvr_wrappers.relevance_net import RelevanceNet
from mvr_wrappers.settings import RewardSettings, ScheduleSettings
from mvr_wrappers.snapshot import RewardSnapshot
from tests.support.clip_factory import STATE_DIM, make_clips
from tests.support.known import present
from tests.support.red_engine import OFTEN, SMALL, STATES, RedScorer, drive, make_engine


@pytest.fixture
def engine() -> Iterator[RewardEngine]:
    with make_engine() as engine:
        yield engine


def same_state(one: RewardEngine, other: RewardEngine) -> None:
    ours, theirs = one._reward_model.state_dict(), other._reward_model.state_dict()
    assert ours.keys() == theirs.keys()
    for name in ours:
        if not name.endswith("_seconds"):
            np.testing.assert_array_equal(ours[name], theirs[name], err_msg=name)


class TestSchedule:
    def test_zeros_before_the_first_update(self, engine: RewardEngine) -> None:
        engine.submit(make_clips(12))
        engine.advance(19)
        assert engine.version == 0
        np.testing.assert_array_equal(engine.shape(STATES), np.zeros(7, np.float32))
        np.testing.assert_array_equal(engine.vlm_reward(STATES), np.zeros(7, np.float32))

    def test_scores_and_updates_when_a_multiple_is_crossed(self, engine: RewardEngine) -> None:
        engine.submit(make_clips(12))
        engine.advance(9)
        assert engine.metrics()["clips_scored"] == 0
        engine.advance(1)
        assert engine.metrics()["clips_scored"] == 12
        engine.advance(9)
        assert engine.version == 0
        engine.advance(4)  # 23: past the second scoring, which has nothing to score, and the first update
        assert engine.version == engine.metrics()["updates"] == 1
        engine.advance(16)  # 39
        assert engine.version == 1
        engine.advance(1)
        assert engine.version == 2

    def test_several_thresholds_in_one_call_are_one_scoring_and_then_one_update(self, engine: RewardEngine) -> None:
        engine.submit(make_clips(12))
        engine.advance(95)  # nine scorings and four updates are due
        assert engine.metrics()["clips_scored"] == 12
        assert engine.version == 1

    def test_an_update_without_enough_clips_publishes_nothing(self, engine: RewardEngine) -> None:
        engine.submit(make_clips(1))
        engine.advance(20)
        assert engine.version == engine.metrics()["updates"] == 0

    def test_shaping_follows_what_the_scorer_likes(self) -> None:
        engine = make_engine(relevance={**SMALL, "max_steps": 60})
        drive(engine, rounds=6)
        bad, good = np.zeros((2, 20, STATE_DIM), np.float32)
        bad[:, 0], good[:, 0] = -1, 1
        assert engine.shape(good).mean() > engine.shape(bad).mean() + 0.01
        np.testing.assert_allclose(engine.shape(good), 0.1 * engine.vlm_reward(good), rtol=1e-6)
        for both, alone in zip(
            engine.snapshot.evaluate(good), (engine.shape(good), engine.vlm_reward(good)), strict=True
        ):
            np.testing.assert_array_equal(both, alone)

    def test_the_reference_relevances_are_those_of_the_new_weights(self, engine: RewardEngine) -> None:
        drive(engine)
        states = engine._reward_model._reference.states
        f = engine.snapshot.relevance(states.reshape(-1, STATE_DIM))
        assert engine.metrics()["reference_relevance"] == pytest.approx(f.mean(), abs=1e-5)
        assert engine.vlm_reward(states.reshape(-1, STATE_DIM)).mean() == pytest.approx(0, abs=1e-5)

    def test_the_reward_follows_the_reference_set_at_once(self, engine: RewardEngine) -> None:
        """Not at the next update alone: until then states would be compared with clips that are no longer the best."""
        drive(engine)
        before, metrics = engine.snapshot, engine.metrics()
        best = make_clips(1)[0]
        red = np.full_like(best.frames, 255) * np.array([1, 0, 0], np.uint8)
        engine.submit([Clip(best.states + 0.5, red, best.views)])
        engine.advance(10)  # a scoring, and no update
        assert (engine.version, engine.metrics()["updates"]) == (before.version + 1, metrics["updates"])
        f = engine.snapshot.relevance(engine._reward_model._reference.states.reshape(-1, STATE_DIM))
        assert engine.metrics()["reference_relevance"] == pytest.approx(f.mean(), abs=1e-6) != f[0]
        assert not np.array_equal(engine.snapshot.table, before.table)
        np.testing.assert_array_equal(engine.snapshot.net[2], before.net[2])  # type: ignore[index]
        engine.submit([Clip(best.states, np.zeros_like(best.frames), best.views)])
        engine.advance(10 if engine.metrics()["env_steps"] % 20 else 20)
        assert engine.metrics()["updates"] > metrics["updates"] or engine.version == before.version + 1

    def test_at_most_two_references_are_of_one_episode(self, engine: RewardEngine) -> None:
        clips = [
            Clip(clip.states, clip.frames, clip.views, None, i // 8, i % 8) for i, clip in enumerate(make_clips(40))
        ]
        engine.submit(clips)
        engine.advance(20)
        episodes = [clip.episode for clip in engine._reward_model._reference._clips]
        assert 0 < max(episodes.count(episode) for episode in episodes) <= 2
        assert engine.metrics()["held_out_episodes"] == 1  # of five

    def test_metrics_tell_of_the_last_update(self, engine: RewardEngine) -> None:
        assert np.isnan(engine.metrics()["stopped_early"]) and np.isnan(engine.metrics()["matching_loss"])
        drive(engine)
        metrics = engine.metrics()
        assert 0 < metrics["update_steps"] <= SMALL["max_steps"]
        assert metrics["stopped_early"] == (metrics["update_steps"] < SMALL["max_steps"])
        assert metrics["matching_loss"] > 0 and metrics["representation_loss"] > 0
        assert metrics["held_out_episodes"] > 1

    def test_fade_compares_shaping_with_the_task_reward_of_the_latest_steps(self, engine: RewardEngine) -> None:
        assert np.isnan(engine.metrics()["fade"])
        engine.note_paid(np.array([0.5, -1.5]), np.array([0.0, 0.0]))
        assert np.isnan(engine.metrics()["fade"])  # the task has paid nothing
        engine.note_paid(np.array([0.0]), np.array([-4.0]))
        assert engine.metrics()["fade"] == pytest.approx(2 / 4)
        engine.advance(10)  # a scoring falls due: what was before counts until the next
        engine.note_paid(np.array([0.0]), np.array([4.0]))
        assert engine.metrics()["fade"] == pytest.approx(2 / 8)
        engine.advance(10)
        engine.note_paid(np.array([1.0]), np.array([4.0]))
        assert engine.metrics()["fade"] == pytest.approx(1 / 8)

    def test_envs_are_numbered_once(self, engine: RewardEngine, tmp_path: Path) -> None:
        assert [*engine.number_envs(3)] == [0, 1, 2]
        assert [*engine.number_envs(1)] == [3]
        engine.save(tmp_path / "engine.npz")
        assert [*RewardEngine.load(tmp_path / "engine.npz", scorer=RedScorer()).number_envs(1)] == [4]


class TestScoring:
    def test_frames_of_all_clips_and_views_share_batches(self) -> None:
        scorer = RedScorer()
        engine = make_engine(scorer=scorer)
        engine.submit(make_clips(15, n_views=3))
        engine.advance(10)
        assert scorer.batches == [32, 13]
        metrics = engine.metrics()
        assert (metrics["clips_scored"], metrics["videos_scored"]) == (15, 45)

    def test_scores_are_cosines_and_rows_stay_together(self, engine: RewardEngine) -> None:
        clips = make_clips(9, n_views=2)
        engine.submit(clips)
        engine.advance(10)
        red = np.array([clip.frames[..., 0].mean(axis=(1, 2, 3)) for clip in clips])
        psi = np.sin(red / 255 * np.pi / 2)
        assert engine.metrics()["mean_score"] == pytest.approx(psi.mean(), abs=1e-5)
        best, worst = np.argsort(-psi.mean(1))[:2], np.argsort(psi.mean(1))[:2]
        for order, pictures in ((best, engine.gallery.best), (worst, engine.gallery.worst)):
            np.testing.assert_allclose([p.scores for p in pictures], psi[order], atol=1e-6)
            for picture, index in zip(pictures, order, strict=True):
                np.testing.assert_array_equal(picture.frames, clips[index].frames)

    def test_frames_are_put_together_once_a_clip_and_no_more_than_a_batch_at_a_time(self) -> None:
        films = Films()
        scorer = Watching(films)
        engine = make_engine(scorer=scorer)
        engine.submit(films.clips(100))
        engine.advance(10)
        assert scorer.batches == [32, 32, 32, 4]
        assert max(scorer.alive) <= 1 and len(films.made) == 100
        assert len(engine.gallery.best) == len(engine.gallery.worst) == 2

    def test_waiting_for_frames_is_not_scoring(self, engine: RewardEngine) -> None:
        films = Films(seconds=0.1)
        engine.submit(films.clips(4))
        start = time.perf_counter()
        engine.advance(10)
        assert time.perf_counter() - start > 0.4
        assert engine.metrics()["score_seconds"] < 0.1

    def test_frames_of_several_sizes(self, engine: RewardEngine) -> None:
        clip = make_clips(1)[0]
        engine.submit([clip, Clip(clip.states, clip.frames[:, :, :4], clip.views)])
        with pytest.raises(ConfigError, match=r"\(4, 4, 8, 3\), those before it \(4, 8, 8, 3\)"):
            engine.advance(10)

    def test_at_most_max_clips_are_kept_and_scored(self) -> None:
        engine = make_engine(schedule={**OFTEN, "max_clips": 5})
        for seed in range(4):
            engine.submit(make_clips(4, seed=seed))
        assert engine.metrics()["clips_waiting"] == 5
        engine.advance(10)
        metrics = engine.metrics()
        assert (metrics["clips_scored"], metrics["clips_dropped"]) == (5, 11)


class Films:
    """Frames that are made when they are asked for, and are watched.

    Args:
        seconds: it takes to make those of a clip.
    """

    def __init__(self, seconds: float = 0.0) -> None:
        self.seconds = seconds
        self.made: list[weakref.ref[np.ndarray]] = []

    def clips(self, count: int) -> list[Clip]:
        return [Clip(clip.states, partial(self._make, clip.frames), clip.views) for clip in make_clips(count)]

    def alive(self) -> int:
        return sum(frames() is not None for frames in self.made)

    def _make(self, frames: np.ndarray) -> np.ndarray:
        time.sleep(self.seconds)
        copy = frames.copy()
        self.made.append(weakref.ref(copy))
        return copy


class Watching(RedScorer):
    """Notes how many clips' frames are alive beside each batch."""

    def __init__(self, films: Films) -> None:
        super().__init__()
        self.films = films
        self.alive: list[int] = []

    def embed_video(self, frames: np.ndarray) -> np.ndarray:
        self.alive.append(self.films.alive())
        return super().embed_video(frames)


class TestRepeating:
    def test_one_seed_gives_the_same_rewards_to_the_bit(self) -> None:
        one, other = make_engine(seed=3), make_engine(seed=3)
        drive(one)
        drive(other)
        np.testing.assert_array_equal(one.shape(STATES), other.shape(STATES))
        same_state(one, other)

    def test_seeds_differ(self) -> None:
        one, other = make_engine(seed=3), make_engine(seed=4)
        drive(one)
        drive(other)
        assert not np.array_equal(one.shape(STATES), other.shape(STATES))

    def test_a_saved_engine_goes_on_to_the_bit(self, tmp_path: Path) -> None:
        scorer = RedScorer()
        straight = make_engine(scorer=scorer, schedule={**OFTEN, "max_clips": 7})
        drive(straight)
        straight.submit(make_clips(9, seed=50))  # two of which the pool drops
        straight.advance(7)
        straight.save(tmp_path / "engine.npz")
        resumed = RewardEngine.load(tmp_path / "engine.npz", scorer=scorer)
        assert resumed.options | {"scorer": None} == straight.options | {"scorer": None}
        np.testing.assert_array_equal(resumed.shape(STATES), straight.shape(STATES))
        for engine in (straight, resumed):
            engine.submit(make_clips(3, seed=60))
            engine.advance(3)
            drive(engine, seed=70)
        assert resumed.version == straight.version > 2
        np.testing.assert_array_equal(resumed.shape(STATES), straight.shape(STATES))
        same_state(straight, resumed)
        drop = {"score_seconds", "update_seconds", "fade"}  # nothing was paid: NaN, which equals nothing
        ours, theirs = ({k: v for k, v in e.metrics().items() if k not in drop} for e in (straight, resumed))
        assert ours == theirs

    def test_a_scorer_of_one_s_own_is_asked_for(self, tmp_path: Path, engine: RewardEngine) -> None:
        steps: Any = np.int64(3)  # as users of NumPy count
        engine.advance(steps)
        engine.save(tmp_path / "engine.npz")
        with pytest.raises(EngineError, match=r"'red'.*scorer="):
            RewardEngine.load(tmp_path / "engine.npz")
        assert RewardEngine.load(tmp_path / "engine.npz", scorer=RedScorer()).metrics()["env_steps"] == 3

    def test_a_fresh_engine_can_be_saved(self, tmp_path: Path, engine: RewardEngine) -> None:
        engine.save(tmp_path / "deep" / "engine.npz")
        resumed = RewardEngine.load(tmp_path / "deep" / "engine.npz", scorer=RedScorer(), mode="async")
        assert resumed.version == 0 and resumed.schedule.mode == "async"
        assert [path.name for path in (tmp_path / "deep").iterdir()] == ["engine.npz"]

    def test_files_hold_no_pickles(self, tmp_path: Path, engine: RewardEngine) -> None:
        drive(engine)
        engine.save(tmp_path / "engine.npz")
        with np.load(tmp_path / "engine.npz", allow_pickle=False) as file:
            assert all(file[name].dtype != object for name in file.files)

    def test_damaged_and_missing_files(self, tmp_path: Path, engine: RewardEngine) -> None:
        with pytest.raises(EngineError, match="there is no file"):
            RewardEngine.load(tmp_path / "absent.npz")
        path = tmp_path / "engine.npz"
        engine.save(path)
        path.write_bytes(path.read_bytes()[:-300])
        with pytest.raises(EngineError, match="not a whole engine file"):
            RewardEngine.load(path)
        np.savez(path, something=np.zeros(3))
        with pytest.raises(EngineError, match="not a whole engine file"):
            RewardEngine.load(path)

    @pytest.mark.parametrize(
        ("found", "advice"), [(2, "an older version wrote it: train anew"), (9, "update the package"), (None, "update")]
    )
    def test_files_of_another_format(self, tmp_path: Path, engine: RewardEngine, found: Any, advice: str) -> None:
        path = tmp_path / "engine.npz"
        engine.save(path)
        header, arrays = read_arrays(path)
        write_arrays(path, header | {"format": found}, arrays)
        with pytest.raises(EngineError, match=f"has format {found}, this version reads 3; {advice}"):
            RewardEngine.load(path, scorer=RedScorer())


class GatedScorer(RedScorer):
    """Embeds once the gate is opened, and fails if it was told to."""

    def __init__(self, error: Exception | None = None) -> None:
        super().__init__()
        self.gate, self.entered, self.error = threading.Event(), threading.Event(), error

    def embed_video(self, frames: np.ndarray) -> np.ndarray:
        self.entered.set()
        assert self.gate.wait(10)
        if self.error is not None:
            raise self.error
        return super().embed_video(frames)


def engine_threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("mvr-engine")]


class TestAsync:
    def test_advance_does_not_wait_and_due_work_is_made_up_for_once(self) -> None:
        scorer = GatedScorer()
        engine = make_engine(scorer=scorer, mode="async")
        engine.submit(make_clips(12))
        engine.advance(10)
        assert scorer.entered.wait(10)
        engine.submit(make_clips(5, seed=1))
        for _ in range(10):
            engine.advance(10)
        np.testing.assert_array_equal(engine.shape(STATES), np.zeros(7, np.float32))
        assert engine.metrics()["clips_scored"] == 0
        scorer.gate.set()
        engine.wait()
        assert (engine.metrics()["clips_scored"], engine.version) == (12, 0)
        engine.advance(1)  # the thread is free: what fell due meanwhile is done, once
        engine.wait()
        assert (engine.metrics()["clips_scored"], engine.version) == (17, 1)
        assert len(engine_threads()) == 1
        engine.close()
        assert engine_threads() == []

    def test_it_learns_what_sync_learns(self) -> None:
        sync, threaded = make_engine(), make_engine(mode="async")
        for step in range(4):
            for engine in (sync, threaded):
                engine.submit(make_clips(12, seed=step))
                engine.advance(10)
                engine.wait()
        np.testing.assert_array_equal(threaded.shape(STATES), sync.shape(STATES))
        same_state(sync, threaded)
        threaded.close()

    def test_an_error_is_raised_with_its_cause_at_the_next_advance(self) -> None:
        boom = FloatingPointError("the encoder broke")
        scorer = GatedScorer(boom)
        engine = make_engine(scorer=scorer, mode="async")
        engine.submit(make_clips(2))
        engine.advance(10)
        scorer.gate.set()
        with pytest.raises(EngineError, match="the encoder broke"):
            engine.wait()
        with pytest.raises(EngineError, match="the encoder broke") as caught:
            engine.advance(1)
        assert caught.value.__cause__ is boom
        engine.close()
        assert engine_threads() == []

    def test_it_can_be_saved_after_an_error(self, tmp_path: Path) -> None:
        """So that hours of work are not lost to the last minute, such as to a GPU that is out of memory."""
        scorer = GatedScorer()
        scorer.gate.set()
        engine = make_engine(scorer=scorer, mode="async")
        for step in range(2):
            engine.submit(make_clips(12, seed=step))
            engine.advance(10)
            engine.wait()
        scorer.error = FloatingPointError("out of memory")
        engine.submit(make_clips(2, seed=5))
        engine.advance(10)
        engine.save(tmp_path / "before.npz")
        with pytest.raises(EngineError, match="out of memory"):
            engine.advance(1)
        engine.save(tmp_path / "after.npz")
        for name in ("before.npz", "after.npz"):
            again = RewardEngine.load(tmp_path / name, scorer=RedScorer())
            assert again.version == 1
            np.testing.assert_array_equal(again.shape(STATES), engine.shape(STATES))
            again.advance(20)
            again.close()
        engine.close()

    def test_an_update_that_fails_leaves_weights_that_can_be_saved(
        self, tmp_path: Path, engine: RewardEngine, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        drive(engine)
        trainer = engine._reward_model._trainer
        train_epoch = trainer._train_epoch

        def fails(*args: Any) -> Any:
            train_epoch(*args)
            raise MemoryError

        monkeypatch.setattr(trainer, "_train_epoch", fails)
        before = engine.shape(STATES)
        with pytest.raises(MemoryError):
            drive(engine)
        engine.save(tmp_path / "engine.npz")
        again = RewardEngine.load(tmp_path / "engine.npz", scorer=RedScorer())
        np.testing.assert_array_equal(again.shape(STATES), before)
        f = present(again._reward_model._trainer.model).relevance(STATES)
        np.testing.assert_allclose(f, present(trainer.model).relevance(STATES), atol=1e-7)
        np.testing.assert_allclose(f, engine.snapshot.relevance(STATES), atol=0.2)  # not those of half an update

    def test_close_raises_an_error_that_was_never_seen(self) -> None:
        scorer = GatedScorer(FloatingPointError("unseen"))
        engine = make_engine(scorer=scorer, mode="async")
        engine.submit(make_clips(2))
        engine.advance(10)
        assert scorer.entered.wait(10)
        scorer.gate.set()
        with pytest.raises(EngineError, match="unseen"):
            engine.close()
        engine.close()

    def test_close_drops_batches_that_were_not_begun(self) -> None:
        scorer = GatedScorer()
        engine = make_engine(scorer=scorer, mode="async")
        engine.submit(make_clips(100))
        engine.advance(10)
        assert scorer.entered.wait(10)
        threading.Timer(0.1, scorer.gate.set).start()
        engine.close()
        assert scorer.batches == [32]
        assert engine.metrics()["clips_scored"] == 0

    def test_an_engine_nobody_holds_takes_its_thread_along(self) -> None:
        engine = make_engine(mode="async")
        drive(engine, rounds=1)
        engine.wait()
        del engine
        deadline = time.monotonic() + 5
        while engine_threads() and time.monotonic() < deadline:
            time.sleep(0.01)
        assert engine_threads() == []

    def test_the_interpreter_exits_cleanly_without_close(self) -> None:
        code = "from tests.support.red_engine import drive, make_engine\n"
        code += "engine = make_engine(mode='async')\ndrive(engine)\n"
        result = subprocess.run(
            [sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=False, timeout=60
        )
        assert (result.returncode, result.stderr) == (0, "")


class TestPublish:
    def test_a_snapshot_from_elsewhere_shapes_as_the_next_version(self, engine: RewardEngine) -> None:
        drive(engine)
        assert engine.version == 2
        given = snapshot_of(weight=0.5, version=7)
        engine.publish(given)
        assert engine.version == 3
        np.testing.assert_array_equal(engine.shape(STATES), given.shape(STATES))
        drive(engine, rounds=2, seed=10)  # the next update takes its place
        assert engine.version == 4 and engine.snapshot.weight == 0.1

    def test_what_cannot_shape_here_is_refused(self, engine: RewardEngine) -> None:
        with pytest.raises(ConfigError, match=r"RewardSnapshot\.build"):
            engine.publish(None)  # type: ignore[arg-type]
        nan = snapshot_of()
        nan.table[3] = np.nan
        with pytest.raises(NonFiniteError, match="in table"):
            engine.publish(nan)
        engine.publish(snapshot_of(dim=5))  # of what size states are is not known yet
        with pytest.raises(ConfigError, match="of 4 numbers, this engine's have 5"):
            engine.publish(snapshot_of(dim=4))
        assert engine.version == 1
        other = make_engine()
        drive(other, rounds=1)
        with pytest.raises(ConfigError, match="of 4 numbers, this engine's have 3"):
            other.publish(snapshot_of(dim=4))
        other.close()
        with pytest.raises(EngineError, match="was closed"):
            other.publish(snapshot_of())


def snapshot_of(dim: int = STATE_DIM, weight: float = 0.1, version: int = 1) -> RewardSnapshot:
    rng = np.random.default_rng(4)
    net = RelevanceNet(*(rng.normal(size=size) for size in ((dim,), (dim,), (dim, 6), (6,), (6, 6), (6,), (6,))))
    return RewardSnapshot.build(net, [0.2], tau=0.1, weight=weight, reward=RewardSettings(), version=version)


class TestWrongUse:
    @pytest.mark.parametrize("copier", [pickle.dumps, copy.deepcopy, copy.copy])
    def test_an_engine_is_not_copied(self, engine: RewardEngine, copier: Any) -> None:
        with pytest.raises(EngineError, match=r"mvr_wrappers\.sb3\.make_vec_env.*gym\.make_vec"):
            copier(engine)

    def test_a_forked_child_is_refused(self, engine: RewardEngine, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(os, "getpid", lambda: -1)
        with pytest.raises(EngineError, match=r"child process.*gym\.make_vec"):
            engine.advance(1)
        with pytest.raises(EngineError, match="child process"):
            engine.submit([])

    def test_a_closed_engine_is_refused(self) -> None:
        engine = make_engine()
        engine.close()
        for call in (lambda: engine.advance(1), lambda: engine.submit([])):
            with pytest.raises(EngineError, match="was closed"):
                call()

    @pytest.mark.parametrize("prompt", ["", "  \n", None])
    def test_an_empty_prompt(self, prompt: Any) -> None:
        with pytest.raises(ConfigError, match="prompt"):
            RewardEngine(prompt)

    @pytest.mark.parametrize("weight", [-0.1, float("nan"), float("inf"), "much"])
    def test_a_weight_that_cannot_work(self, weight: Any) -> None:
        with pytest.raises(ConfigError, match="weight"):
            make_engine(weight=weight)

    def test_a_device_that_is_not_there_is_told_of_at_once(self) -> None:
        with pytest.raises(ScorerError, match="'cuda:99' was asked for"):
            make_engine(device="cuda:99")
        with pytest.raises(ConfigError, match="device 'gpu' is unknown"):
            make_engine(device="gpu")

    @pytest.mark.parametrize("seed", [-1, 0.5, True])
    def test_a_seed_that_cannot_work(self, seed: Any) -> None:
        with pytest.raises(ConfigError, match="seed"):
            make_engine(seed=seed)

    def test_unknown_names_and_the_nearest_ones(self) -> None:
        with pytest.raises(UnknownNameError, match=r"'mvv'.*mvr"):
            make_engine(method="mvv")
        with pytest.raises(UnknownNameError, match=r"'pockett'.*pocket"):
            make_engine(scorer="pockett")
        with pytest.raises(ConfigError, match="scorer"):
            make_engine(scorer=7)
        with pytest.raises(ConfigError, match="mode"):
            make_engine(mode="later")

    def test_clips_of_another_shape(self, engine: RewardEngine) -> None:
        clip = make_clips(1)[0]
        engine.submit([*make_clips(3), Clip(clip.states[:, :2], clip.frames, clip.views)])
        with pytest.raises(ConfigError, match="states of shape"):
            engine.advance(10)


def test_settings_objects_and_mappings_mean_the_same() -> None:
    one = make_engine(schedule=ScheduleSettings(score_every=10, update_every=20))
    assert one.options["schedule"] == make_engine().options["schedule"]


def test_from_task_takes_the_registry_and_the_overrides() -> None:
    engine = RewardEngine.from_task("hammer-v3", weight=0.5, scorer=RedScorer(), seed=7, schedule={"max_clips": 9})
    assert engine.prompt == "a robot gripper hammering a screw on the wall"
    assert (engine.weight, engine.seed, engine.scorer.name) == (0.5, 7, "red")
    assert (engine.schedule.max_clips, engine.schedule.score_every) == (9, 10_000)
    assert RewardEngine.from_task("hammer-v3", preset="paper", scorer="pocket").reward.baseline == "none"
