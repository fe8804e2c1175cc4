"""RewardModel: clips in, snapshots out. Scores and trains when told to; knows no schedule."""

from __future__ import annotations

import functools
import logging
import math
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray

from mvr_wrappers.arrays import Arrays, group, nested
from mvr_wrappers.clips import Clip, ScoredClip
from mvr_wrappers.engine.gallery import Gallery
from mvr_wrappers.errors import ConfigError, NonFiniteError
from mvr_wrappers.relevance.dataset import ClipDataset
from mvr_wrappers.relevance.reference import ReferenceSet
from mvr_wrappers.scorers.base import Scorer
from mvr_wrappers.scorers.checks import batches_ahead, submit_videos
from mvr_wrappers.scorers.goal import Goal
from mvr_wrappers.settings import RelevanceSettings, RewardSettings
from mvr_wrappers.snapshot import RewardSnapshot
from mvr_wrappers.stopwatch import Stopwatch

_log = logging.getLogger(__name__)

if TYPE_CHECKING:
    from mvr_wrappers.relevance.trainer import RelevanceTrainer

VIDEOS_PER_BATCH = 32  # 8 frames of 224 pixels each: 39 MB of frames, and as long as `stop` may have to wait


@dataclass(frozen=True, slots=True)
class RewardModelMetrics:
    """What the reward model has done so far. Losses and means are NaN until there is one.

    Attributes:
        clips_scored: clips.
        videos_scored: one a view of each clip.
        mean_score: psi, mean over the videos of the last scoring.
        updates: of the relevance model.
        update_steps: optimiser steps of the last update.
        stopped_early: 1 where the held-out loss stopped the last update, 0 where `relevance.max_steps` did.
        matching_loss: of `relevance.objective`, mean over the last steps of the last update.
        representation_loss: the same of that loss, unweighted.
        held_out_loss: both, on clips of held-out episodes, after the last update.
        held_out_episodes: how many episodes these clips are of.
        pair_accuracy: share of their pairs that f orders as their scores do, after the last update.
        reference_relevance: f, mean over the reference states, in the latest snapshot of its own.
        score_seconds: wall time of all scorings.
        update_seconds: wall time of all updates.
    """

    clips_scored: int = 0
    videos_scored: int = 0
    mean_score: float = math.nan
    updates: int = 0
    update_steps: int = 0
    stopped_early: float = math.nan
    matching_loss: float = math.nan
    representation_loss: float = math.nan
    held_out_loss: float = math.nan
    held_out_episodes: int = 0
    pair_accuracy: float = math.nan
    reference_relevance: float = math.nan
    score_seconds: float = 0.0
    update_seconds: float = 0.0


class RewardModel:
    """Scores clips against the prompt, learns state relevance from them, and publishes it as snapshots.

    `snapshot`, `metrics` and `gallery` may be read by another thread at any time: each is replaced as a whole. So may
    `scores`: psi (V,) of each scored clip that somebody still holds.

    Args:
        prompt: what the behaviour looks like.
        scorer: called at the first scoring, so that a slow encoder is loaded when it is needed.
        baseline_prompt: what is seen whatever the agent does, for the regularisation of scores; None has none.
        alpha: strength of the regularisation, in [0, 1]; see `Goal.embed`.
        weight: w of the VLM reward.
        relevance: how state relevance is learned.
        reward: how relevance becomes reward.
        seeds: source of everything random.
        device: of the relevance model: "auto", "cpu", "cuda", "cuda:N".
    """

    def __init__(
        self,
        prompt: str,
        scorer: Callable[[], Scorer],
        *,
        baseline_prompt: str | None = None,
        alpha: float = 0.0,
        weight: float,
        relevance: RelevanceSettings,
        reward: RewardSettings,
        seeds: np.random.SeedSequence,
        device: str,
    ) -> None:
        self.snapshot = RewardSnapshot.zero(weight, reward)
        self.metrics = RewardModelMetrics()
        self.gallery = Gallery()
        self.scores: WeakKeyDictionary[Clip, NDArray[np.float32]] = WeakKeyDictionary()
        self._prompt, self._scorer = prompt, scorer
        self._baseline_prompt, self._alpha = baseline_prompt, alpha
        self._weight, self._tau, self._reward = weight, relevance.tau, reward
        holdout_rng, training_rng = (np.random.default_rng(seed) for seed in seeds.spawn(2))
        self._dataset = ClipDataset(
            relevance.capacity, holdout_rng, holdout=relevance.holdout, center_views=relevance.center_views
        )
        self._reference = ReferenceSet(relevance.references, relevance.per_episode)
        self._publishes = False  # whether `snapshot` is of this model: not before an update, nor over a foreign one
        self._relevance, self._training_rng, self._device = relevance, training_rng, device
        if device not in ("auto", "cpu"):  # which are always there; of any other one hears now, not after hours
            from mvr_wrappers.scorers.devices import resolve_device

            resolve_device(device)
        self._goal: Goal | None = None  # the prompt as the scorer sees it, once it is needed
        self._stopped = threading.Event()

    @functools.cached_property
    def _trainer(self) -> RelevanceTrainer:
        """What trains the relevance model, made when it is first needed, as it loads torch."""
        from mvr_wrappers.relevance.trainer import RelevanceTrainer
        from mvr_wrappers.scorers.devices import resolve_device

        return RelevanceTrainer(self._relevance, self._training_rng, str(resolve_device(self._device)))

    def work(self, clips: Sequence[Clip], *, update: bool) -> None:
        """Scores `clips`, if any, then updates the relevance model if asked to.

        The reward follows the reference set at once: where a scoring changes it and no update follows, a new snapshot
        is published.
        """
        changed = self.score(clips) if clips else False
        updated = self.update() if update and not self._stopped.is_set() else False
        if changed and not updated and self._publishes:
            self._publish_own()

    def score(self, clips: Sequence[Clip]) -> bool:
        """Scores clips (psi of paper section 4.1) and keeps them for training; returns whether references changed.

        Frames are put together batch by batch, so that memory is that of one batch, and of one more for each worker of
        a `ParallelScorer`. Waiting for frames that are still being rendered is not a scorer's time.
        """
        scoring, embedded = Stopwatch(), []
        under_way: deque[Callable[[], NDArray[np.float32]]] = deque()
        for batch in _batches(clips):
            if self._stopped.is_set():
                return False
            under_way.append(scoring.time(functools.partial(self._submit, batch)))
            del batch  # the next one is made before the name is bound again
            if len(under_way) > batches_ahead(self._scorer()):
                embedded.append(scoring.time(under_way.popleft()))
        embedded += [scoring.time(rows) for rows in under_way]
        scores, changed = scoring.time(functools.partial(self._keep, clips, np.concatenate(embedded)))
        self.metrics = replace(
            self.metrics,
            clips_scored=self.metrics.clips_scored + len(clips),
            videos_scored=self.metrics.videos_scored + len(scores),
            mean_score=float(scores.mean()),
            score_seconds=self.metrics.score_seconds + scoring.seconds,
        )
        return changed

    def update(self) -> bool:
        """Trains the relevance model and publishes a new snapshot.

        The old one stays while clips are too few, and where training diverges or what was learned would shape with NaN
        or infinity: the log says so.

        Returns:
            Whether it did.
        """
        updating = Stopwatch()
        report = updating.time(functools.partial(self._trainer.update, self._dataset))
        if report.diverged:
            _log.warning("the relevance update diverged after %d steps: the weights before it are kept", report.steps)
        if report.skipped or report.diverged or not updating.time(self._publish_own):
            return False
        self._publishes = True
        self.metrics = replace(
            self.metrics,
            updates=self.metrics.updates + 1,
            update_steps=report.steps,
            stopped_early=float(report.stopped_early),
            matching_loss=report.matching_loss,
            representation_loss=report.representation_loss,
            held_out_loss=report.held_out_after,
            held_out_episodes=report.held_out_episodes,
            pair_accuracy=report.pair_accuracy,
            update_seconds=self.metrics.update_seconds + updating.seconds,
        )
        return True

    def _publish_own(self) -> bool:
        """Publishes the reward of the model and the reference set as they are; returns whether it is a finite one."""
        model = self._trainer.model
        assert model is not None  # an update has made it
        relevances = self._reference.relevances(model)
        try:
            self.snapshot = RewardSnapshot.build(
                model.net(),
                relevances,
                tau=self._tau,
                weight=self._weight,
                reward=self._reward,
                version=self.snapshot.version + 1,
            )
        except NonFiniteError as error:
            _log.warning("the reward learned last is not published, the one before stays: %s", error)
            return False
        self.metrics = replace(self.metrics, reference_relevance=float(relevances.mean()))
        return True

    def publish(self, snapshot: RewardSnapshot) -> None:
        """Takes over a snapshot as the next version.

        Raises:
            ConfigError: no snapshot, or one of states of another size.
            NonFiniteError: it holds NaN or infinity, or would shape with it.
        """
        if not isinstance(snapshot, RewardSnapshot):
            raise ConfigError(f"only a RewardSnapshot can be published, got {snapshot!r}; see RewardSnapshot.build")
        known = self._dataset.state_dim if len(self._dataset) else self.snapshot.state_dim
        if None not in (known, snapshot.state_dim) and known != snapshot.state_dim:
            raise ConfigError(f"the snapshot is of states of {snapshot.state_dim} numbers, this engine's have {known}")
        snapshot.check_finite()
        self.snapshot, self._publishes = replace(snapshot, version=self.snapshot.version + 1), False

    def stop(self) -> None:
        """Makes work under way in another thread end at the next batch, its results dropped."""
        self._stopped.set()

    def state_dict(self) -> dict[str, NDArray[Any]]:
        """Returns everything as named arrays that `numpy.savez` stores without pickling."""
        metrics = {field.name: np.array(getattr(self.metrics, field.name)) for field in fields(RewardModelMetrics)}
        return nested(
            dataset=self._dataset.state_dict(),
            reference=self._reference.state_dict(),
            trainer=self._trainer.state_dict(),
            snapshot=self.snapshot.state_dict(),
            gallery=self.gallery.state_dict(),
            metrics=metrics,
        ) | {"publishes": np.array(self._publishes)}

    def load_state_dict(self, arrays: Arrays) -> None:
        """Takes over the state of a reward model of the same settings."""
        self._dataset.load_state_dict(group(arrays, "dataset"))
        self._reference.load_state_dict(group(arrays, "reference"))
        self._trainer.load_state_dict(group(arrays, "trainer"))
        self.snapshot = RewardSnapshot.from_state_dict(group(arrays, "snapshot"))
        self.gallery.load_state_dict(group(arrays, "gallery"))
        self._publishes = bool(arrays["publishes"])
        self.metrics = RewardModelMetrics(**{name: array.item() for name, array in group(arrays, "metrics").items()})

    def _submit(self, videos: NDArray[np.uint8]) -> Callable[[], NDArray[np.float32]]:
        return submit_videos(self._scorer(), videos)

    def _keep(self, clips: Sequence[Clip], embeddings: NDArray[np.float32]) -> tuple[NDArray[np.float32], bool]:
        """Keeps clips with the embeddings of all their videos (R, E).

        Returns:
            psi of each video, float32 (R,), and whether the reference set changed.
        """
        scores: NDArray[np.float32] = self._embedded_goal().psi(embeddings)[:, 0]
        ends = np.cumsum([len(clip.views) for clip in clips])[:-1]
        rows = list(zip(clips, np.split(scores, ends), np.split(embeddings, ends), strict=True))
        scored = [ScoredClip(clip.states, clip.views, psi, e, clip.episode) for clip, psi, e in rows]
        self._dataset.add(scored)
        changed = self._reference.offer(scored, self._dataset.view_offsets)
        self.gallery.add(clips, [psi for _, psi, _ in rows])
        self.scores.update((clip, psi) for clip, psi, _ in rows)
        return scores, changed

    def _embedded_goal(self) -> Goal:
        if self._goal is None:
            self._goal = Goal.embed(self._scorer(), [self._prompt], self._baseline_prompt, self._alpha)
        return self._goal


def _batches(clips: Sequence[Clip]) -> Iterator[NDArray[np.uint8]]:
    """Yields the videos of clips, one a view, in arrays (B, F, H, W, 3); waits for the frames of a batch at a time.

    Raises:
        ConfigError: frames of another number or size than those before.
    """
    left = sum(len(clip.views) for clip in clips)
    batch, filled = None, 0
    for clip in clips:
        for video in clip.frames:
            if batch is None:
                batch = np.empty((min(left, VIDEOS_PER_BATCH), *video.shape), np.uint8)
            if video.shape != batch.shape[1:]:
                raise ConfigError(
                    f"one engine scores clips of one size: a clip has frames {video.shape}, those before it "
                    f"{batch.shape[1:]}; film with the same clip.frames and clip.image_size everywhere"
                )
            batch[filled] = video
            filled += 1
            if filled == len(batch):
                yield batch
                batch, filled, left = None, 0, left - filled
