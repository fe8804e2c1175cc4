"""RewardEngine: the only place with a schedule. Clips go in, the latest reward comes out."""

from __future__ import annotations

import functools
import json
import os
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, NoReturn, Self, Unpack, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mvr_wrappers.arrays import Arrays, group, nested
from mvr_wrappers.clips import Clip
from mvr_wrappers.engine.arrays_file import write_arrays
from mvr_wrappers.engine.clock import Clock
from mvr_wrappers.engine.engine_file import FORMAT, damage_told, read_engine
from mvr_wrappers.engine.fade import Fade
from mvr_wrappers.engine.gallery import Gallery
from mvr_wrappers.engine.pool import ClipPool
from mvr_wrappers.engine.reward_model import RewardModel
from mvr_wrappers.engine.runner import JobRunner
from mvr_wrappers.errors import EngineError, UnknownNameError, nearest
from mvr_wrappers.option_docs import documented
from mvr_wrappers.options import (
    EngineOptions,
    EngineSettings,
    LearningOptions,
    ScorerSettings,
    check_names,
    chosen,
    read,
    split,
    values_of,
)
from mvr_wrappers.scorers import Scorer, scorer_names
from mvr_wrappers.scorers.goal import check_baseline
from mvr_wrappers.scorers.lazy import LazyScorer
from mvr_wrappers.settings import Method
from mvr_wrappers.snapshot import RewardSnapshot
from mvr_wrappers.tasks.registry import get_task

FREE = frozenset({"device", "mode", "weights", "compile"})  # options that `restore` does not compare

_NOT_FOR_CHILDREN = (
    "a RewardEngine cannot be copied, pickled or used in a child process: each child would load an encoder of its own. "
    "Share one engine across sub-envs with mvr_wrappers.sb3.make_vec_env (Stable-Baselines3) or gym.make_vec "
    "(Gymnasium): there sub-envs film and the parent scores. Keep an engine between runs with engine.save(path)"
)


@documented(EngineSettings, only=EngineOptions.__annotations__)
class RewardEngine:
    """Scores filmed clips, learns from them which states are relevant, and shapes rewards with the result.

    Every `schedule.score_every` env steps it scores the clips submitted since, and publishes a new snapshot where they
    change the reference set; every `schedule.update_every` it trains the relevance model and publishes another. In
    "sync" mode `advance` does the work itself and one seed gives the same rewards to the bit (on a CPU, for one number
    of threads). In "async" mode one thread does it, `advance` never waits, and what falls due while the thread is busy
    is done once when it is free.

    Args:
        prompt: one sentence that says what the behaviour looks like.
        {options}

    Raises:
        ConfigError: an option that does not exist, or a value that cannot work.
        UnknownNameError: no such scorer or method.
    """

    def __init__(self, prompt: str, scorer: str | Scorer | None = None, **options: Unpack[LearningOptions]) -> None:
        check_names(options, LearningOptions.__annotations__, type(self).__name__)
        if options.get("method") not in (None, *get_args(Method)):
            near = nearest(str(options.get("method")), get_args(Method))
            raise UnknownNameError(f"there is no method {options.get('method')!r}. Nearest: {near}")
        self._settings, objects = read(EngineSettings, {"prompt": prompt, "scorer": scorer, **options})
        check_baseline(self._settings.baseline_prompt, self._settings.alpha)
        loading = chosen(ScorerSettings, self._settings)
        self._scorer = LazyScorer(objects.get("scorer", self._settings.scorer), self._settings.device, **loading)
        self.prompt, self.method, self.weight = prompt, self._settings.method, float(self._settings.weight)
        self.relabel, self.seed, self.device = self._settings.relabel, self._settings.seed, self._settings.device
        self.relevance, self.reward = self._settings.relevance, self._settings.reward
        self.schedule = self._settings.schedule
        if self._settings.mode is not None:
            self.schedule = replace(self.schedule, mode=self._settings.mode)
        pool_seed, model_seeds = np.random.SeedSequence(self.seed).spawn(2)
        self._pool = ClipPool(self.schedule.max_clips, np.random.default_rng(pool_seed))
        self._reward_model = RewardModel(
            prompt,
            self._scorer.get,
            baseline_prompt=self._settings.baseline_prompt,
            alpha=self._settings.alpha,
            weight=self.weight,
            relevance=self.relevance,
            reward=self.reward,
            seeds=model_seeds,
            device=self.device,
        )
        self._clock = Clock()
        self._fade = Fade()
        self._envs = 0  # numbers given so far
        self._runner = JobRunner(threaded=self.schedule.mode == "async")
        self._closed = False
        self._process = os.getpid()

    @classmethod
    def from_task(cls, name: str, *, preset: str | None = None, **overrides: Any) -> Self:
        """Returns the engine of a registered task.

        Args:
            name: such as "hammer-v3".
            preset: a preset of the task file.
            overrides: arguments of this class, over those of the task.

        Raises:
            UnknownNameError: no such task, preset or scorer.
            ConfigError: an option that does not exist, or a value that cannot work.
        """
        check_names(overrides, ["prompt", *EngineOptions.__annotations__], f"the engine of {name}")
        plain, objects = split(overrides)
        return cls(**values_of(EngineSettings, get_task(name, preset, **plain)) | objects)

    def for_prompt(self, prompt: str) -> Self:
        """Returns a new engine of another prompt that has learned nothing yet: the same settings, seed and scorer.

        Raises:
            ConfigError: the prompt is no text, or blank.
        """
        return type(self)(**self.options | {"prompt": prompt, "scorer": self._scorer.source})

    @property
    def scorer(self) -> Scorer:
        """The frozen encoder, loaded now if it was not."""
        return self._scorer.get()

    @property
    def image_size(self) -> int:
        """Height and width in pixels of the frames the scorer wants; it is not loaded for that, see `LazyScorer`."""
        return self._scorer.image_size

    @property
    def snapshot(self) -> RewardSnapshot:
        """The latest published reward; shapes to zeros before the first update."""
        return self._reward_model.snapshot

    @property
    def version(self) -> int:
        """Snapshots published so far."""
        return self.snapshot.version

    @property
    def closed(self) -> bool:
        """Whether `close` was called."""
        return self._closed

    @property
    def gallery(self) -> Gallery:
        """The best and the worst clips scored so far, with their frames."""
        return self._reward_model.gallery

    def score_of(self, clip: Clip) -> NDArray[np.float32] | None:
        """Returns psi of a clip's views, float32 (V,), None while it was not scored."""
        return self._reward_model.scores.get(clip)

    @property
    def options(self) -> dict[str, Any]:
        """The arguments that make such an engine again, JSON-safe; a scorer given as an object stands by its name."""
        return asdict(self._settings) | {"scorer": self._scorer.name}

    def submit(self, clips: Sequence[Clip]) -> None:
        """Takes in filmed clips until the next scoring.

        When more are filmed than will be scored, a uniformly random subset of `schedule.max_clips` is kept (reservoir
        sampling), so that memory is bounded however much is filmed.

        Raises:
            EngineError: the engine is closed, or this is a child process.
        """
        self._require_usable()
        self._pool.offer(clips)

    def number_envs(self, count: int) -> range:
        """Returns `count` numbers for envs whose clips come here, which no other env has: `FilmedEnv.film_number`."""
        first, self._envs = self._envs, self._envs + count
        return range(first, self._envs)

    def reaches_scoring(self, env_steps: int) -> bool:
        """Whether `advance(env_steps)` would make a scoring due."""
        return self._clock.reaches_scoring(env_steps, self.schedule)

    def advance(self, env_steps: int) -> None:
        """Counts env steps and does, or in "async" mode starts, the work that they make due.

        Work that falls due several times in one call is done once: first scoring, then the update.

        Args:
            env_steps: steps of all sub-envs together since the last call.

        Raises:
            EngineError: the worker thread failed (with its error as the cause), the engine is closed, or this is a
                child process.
        """
        self._require_usable()
        if self._clock.reaches_scoring(env_steps, self.schedule):
            self._fade.turn()
        self._clock.advance(env_steps, self.schedule)
        if self._runner.idle() and (self._clock.score_due or self._clock.update_due):
            score, update = self._clock.take()
            clips = self._pool.take() if score else []
            # The job knows the reward model and not the engine, so that an engine nobody holds takes its thread along.
            self._runner.start(functools.partial(self._reward_model.work, clips, update=update))

    def note_paid(self, shaping: NDArray[np.floating], task_rewards: NDArray[np.floating]) -> None:
        """Takes note of what steps were paid, (N,) both, for the metric `fade`."""
        self._fade.add(shaping, task_rewards)

    def shape(
        self, states: ArrayLike, next_states: ArrayLike | None = None, terminated: ArrayLike | None = None
    ) -> NDArray[np.float32]:
        """Returns the term to add to each task reward, under the latest snapshot: see `RewardSnapshot.shape`.

        Args:
            states: (N, D), the states the actions were taken in.
            next_states: (N, D); needed by the potential rule alone.
            terminated: bool (N,); for the potential rule.
        """
        return np.asarray(self.snapshot.shape(states, next_states, terminated))

    def vlm_reward(self, states: ArrayLike) -> NDArray[np.float32]:
        """Returns r_vlm (paper section 4.3), unweighted, under the latest snapshot: (N, D) -> (N,)."""
        return np.asarray(self.snapshot.vlm_reward(states))

    def publish(self, snapshot: RewardSnapshot) -> None:
        """Makes a snapshot of your own the latest reward, such as one trained elsewhere; waits for work under way.

        It is published as the next version, whatever version it has, and shapes until an update of this engine
        publishes another: with a `schedule.update_every` that is never reached, for good.

        Args:
            snapshot: with its own weight and rule, of states of the size that this engine learns on.

        Raises:
            ConfigError: no snapshot, or one of states of another size.
            NonFiniteError: it holds NaN or infinity, or would shape with it.
            EngineError: the worker thread failed, the engine is closed, or this is a child process.
        """
        self._require_usable()
        self.wait()
        self._reward_model.publish(snapshot)

    def metrics(self) -> dict[str, float]:
        """Returns what the engine has done so far, see `RewardModelMetrics`; NaN where there is nothing yet.

        Besides there are `env_steps` (counted over all sub-envs), `version`, `clips_waiting` (for the next scoring),
        `clips_dropped` (more were filmed than will be scored) and `fade` (mean of abs(shaping) over that of abs(task
        reward), of the last `schedule.score_every` env steps or up to twice as many; NaN where the task paid nothing).
        """
        counters = {
            "env_steps": self._clock.env_steps,
            "version": self.version,
            "clips_waiting": len(self._pool),
            "clips_dropped": self._pool.dropped,
            "fade": self._fade.value,
        }
        return {**counters, **asdict(self._reward_model.metrics)}

    def wait(self) -> None:
        """Waits until the worker thread has nothing under way, and raises what it failed with."""
        self._runner.wait()

    def save(self, path: str | Path) -> None:
        """Writes everything to one .npz file, clips that wait for scoring included; waits for work under way.

        In "sync" mode an engine loaded from it goes on exactly as this one. After the worker thread failed, the file
        holds what there is without the clips whose scoring, or the update, that failed.
        """
        self._runner.settle()
        header = {
            "format": FORMAT,
            "options": self.options,
            "clock": asdict(self._clock),
            "envs": self._envs,
            "fade": self._fade.to_list(),
        }
        write_arrays(path, header, nested(reward_model=self._reward_model.state_dict(), pool=self._pool.state_dict()))

    @classmethod
    def load(
        cls, path: str | Path, *, scorer: str | Scorer | None = None, device: str | None = None, mode: str | None = None
    ) -> Self:
        """Returns the engine that was saved.

        Args:
            path: a file written by `save`.
            scorer: the encoder, if the saved engine had been given an object; its embeddings must be the same.
            device: where to go on, if elsewhere.
            mode: "sync" or "async", if otherwise than before.

        Raises:
            EngineError: not a file that `save` wrote, or one of another version of its format, or with a scorer of your
                own that was not given.
        """
        header, arrays = read_engine(path)
        name = header["options"].get("scorer")
        if scorer is None and name not in scorer_names():
            raise EngineError(
                f"{path} was saved with a scorer {name!r} of your own; give RewardEngine.load(scorer=...)"
            )
        changes = {"scorer": scorer, "device": device, "mode": mode}
        given = {key: value for key, value in changes.items() if value is not None}
        with damage_told(path):
            engine = cls(**header["options"] | given)
            engine._take_over(header, arrays)
        return engine

    def restore(self, path: str | Path) -> None:
        """Takes over all that an engine of the same options had learned and counted when it was saved.

        Raises:
            EngineError: not a file that `save` wrote, or one of another version of its format, or of an engine with
                other options.
        """
        header, arrays = read_engine(path)
        for name, value in json.loads(json.dumps(self.options)).items():
            saved = header["options"].get(name)
            if name not in FREE and saved != value:
                raise EngineError(f"{path} is of an engine with {name} {saved}, and here it is {value}")
        self._runner.wait()
        with damage_told(path):
            self._take_over(header, arrays)

    def _take_over(self, header: dict[str, Any], arrays: Arrays) -> None:
        self._clock = Clock(**header["clock"])
        self._envs, self._fade = header["envs"], Fade.from_list(header["fade"])
        self._pool.load_state_dict(group(arrays, "pool"))
        self._reward_model.load_state_dict(group(arrays, "reward_model"))

    def close(self) -> None:
        """Ends the worker thread, dropping work under way, and raises its error if that was never raised."""
        if self._closed:
            return
        self._closed = True
        self._reward_model.stop()
        if os.getpid() == self._process:  # a forked child has no thread to end
            self._runner.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        raise EngineError(_NOT_FOR_CHILDREN)

    def _require_usable(self) -> None:
        if self._closed:
            raise EngineError("this RewardEngine was closed; make a new one, or RewardEngine.load(path) a saved one")
        if os.getpid() != self._process:
            raise EngineError(_NOT_FOR_CHILDREN)
