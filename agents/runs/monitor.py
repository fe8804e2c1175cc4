"""Monitor: watches training from inside Stable-Baselines3 and keeps metrics.csv."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from stable_baselines3.common.callbacks import BaseCallback

from mvr_agents.runs.evaluate import Evaluation
from mvr_agents.runs.evaluations import EvaluationsWriter
from mvr_agents.runs.finished import Finished
from mvr_agents.runs.interrupt import StopRequest
from mvr_agents.runs.metrics import NAN, MetricsRow, MetricsWriter
from mvr_wrappers.engine.engine import RewardEngine

LOSSES = {"actor_loss": "actor_loss", "critic_loss": "critic_loss", "entropy_coefficient": "ent_coef"}
"""Column of metrics.csv -> what `LearnerModule.losses` calls it."""
ENGINE = (
    *("clips_scored", "mean_score", "updates", "update_steps", "stopped_early", "matching_loss", "representation_loss"),
    *("held_out_loss", "held_out_episodes", "pair_accuracy", "reference_relevance", "score_seconds", "update_seconds"),
)
"""Columns of metrics.csv that `RewardEngine.metrics` knows by the same names."""
LOGGED = ("eval_return", "eval_success", "eval_success_last", "vlm_reward", "shaping", "fade")
"""Columns of metrics.csv that TensorBoard shows as `run/...`."""


class Window:
    """Means over the training steps and the episodes that ended since the last row.

    Args:
        n_envs: N, sub-envs.
    """

    def __init__(self, n_envs: int) -> None:
        self._task_return, self._shaped_return = np.zeros((2, n_envs))  # of the episodes so far
        self._success = np.full(n_envs, NAN)  # NaN while the env has not said
        self.clear()

    def clear(self) -> None:
        """Begins a new window; the episodes that have begun go on."""
        names = ("vlm_reward", "shaping", "abs_shaping", "abs_task_reward")
        self._steps: dict[str, list[float]] = {name: [] for name in names}
        self._episodes: dict[str, list[float]] = {"task_return": [], "shaped_return": [], "success": []}

    def add(self, infos: list[dict[str, Any]], dones: NDArray[np.bool_]) -> None:
        """Takes in one vector step: N infos and dones."""
        for i, info in enumerate(infos):
            task, shaping = info["task_reward"], info.get("shaping", NAN)
            self._task_return[i] += task
            self._shaped_return[i] += task + shaping
            if "is_success" in info:
                self._success[i] = np.fmax(self._success[i], info["is_success"])
            step = (info.get("vlm_reward", NAN), shaping, abs(shaping), abs(task))
            for values, value in zip(self._steps.values(), step, strict=True):
                values.append(value)
        for i in np.flatnonzero(dones).tolist():
            for key, values in self._episodes.items():
                values.append(getattr(self, f"_{key}")[i])
        self._task_return[dones] = self._shaped_return[dones] = 0.0
        self._success[dones] = NAN

    def means(self) -> dict[str, float]:
        """Returns the columns of `MetricsRow` that a window fills; NaN where nothing was seen."""
        means = {key: float(np.mean(v)) if v else NAN for key, v in (self._steps | self._episodes).items()}
        task = means["abs_task_reward"]
        return means | {"fade": means["abs_shaping"] / task if task else NAN}


class Monitor(BaseCallback):
    """Writes a row of metrics every `log_every` steps, evaluates every `eval_every`, and stops training when asked.

    Args:
        writer: of metrics.csv.
        evaluations: writer of evaluations.npz.
        evaluate: plays evaluation episodes with the agent as it is.
        eval_every: env steps between two evaluations; one more is made before the first step.
        log_every: env steps between two rows.
        stop: training ends when it becomes true.
        wait: returns when the learner's updates are done, so that their time is not taken for another's.
        losses: returns those of the last training, see `LearnerModule.losses`.
        engine: of the shaped reward; None if there is none.
        film_seconds: returns the wall time of waiting for frames so far.
        watchers: each is told every row once it is written.
    """

    def __init__(
        self,
        *,
        writer: MetricsWriter,
        evaluations: EvaluationsWriter,
        evaluate: Callable[[], Evaluation],
        eval_every: int,
        log_every: int,
        stop: StopRequest,
        wait: Callable[[], None],
        losses: Callable[[], Mapping[str, float]],
        engine: RewardEngine | None,
        film_seconds: Callable[[], float],
        watchers: Sequence[Callable[[MetricsRow], object]] = (),
    ) -> None:
        super().__init__()
        self._writer, self._evaluate, self._stop, self._wait = writer, evaluate, stop, wait
        self._evaluations, self._losses = evaluations, losses
        self._eval_every, self._log_every = eval_every, log_every
        self._engine, self._film_seconds, self._watchers = engine, film_seconds, watchers
        self._learner_seconds = self._eval_seconds = 0.0
        self._rollout_ended: float | None = None

    def finish(self) -> Finished:
        """Evaluates, writes the last row, and returns how far training came."""
        self._write_row(evaluate=True)
        return Finished(self.num_timesteps, time.perf_counter() - self._start)

    def _on_training_start(self) -> None:
        self._start = time.perf_counter()
        self._window = Window(self.training_env.num_envs)
        self._write_row(evaluate=True)

    def _on_rollout_start(self) -> None:
        if self._rollout_ended is not None:  # between two rollouts SB3 trains
            self._wait()
            self._learner_seconds += time.perf_counter() - self._rollout_ended

    def _on_rollout_end(self) -> None:
        self._rollout_ended = time.perf_counter()

    def _on_step(self) -> bool:
        self._window.add(self.locals["infos"], self.locals["dones"])
        if self._stop or self.num_timesteps >= self.locals["total_timesteps"]:
            return not self._stop  # the last row is written by `finish`
        before = self.num_timesteps - self.training_env.num_envs
        if _crossed(before, self.num_timesteps, self._eval_every):
            self._write_row(evaluate=True)
        elif _crossed(before, self.num_timesteps, self._log_every):
            self._write_row(evaluate=False)
        return True

    def _write_row(self, *, evaluate: bool) -> None:
        values: dict[str, Any] = self._window.means()
        self._window.clear()
        if evaluate:
            start = time.perf_counter()
            result = self._evaluate()
            self._eval_seconds += time.perf_counter() - start
            values |= {"eval_return": result.mean_return, "eval_success": result.success_rate}
            values["eval_success_last"] = result.last_success_rate
            self._evaluations.add(self.num_timesteps, time.perf_counter() - self._start, result)
        losses = self._losses()
        values |= {column: losses.get(name, NAN) for column, name in LOSSES.items()} | self._engine_values()
        row = MetricsRow(
            step=self.num_timesteps,
            seconds=time.perf_counter() - self._start,
            learner_seconds=self._learner_seconds,
            eval_seconds=self._eval_seconds,
            film_seconds=self._film_seconds(),
            **values,
        )
        self._writer.write(row)
        for watch in self._watchers:
            watch(row)
        for name in LOGGED:
            if not np.isnan(values.get(name, NAN)):
                self.logger.record(f"run/{name}", values[name])
        if evaluate:  # at its own step: SB3 writes when episodes end, and no more once training is over
            self.logger.dump(self.num_timesteps)

    def _engine_values(self) -> dict[str, float]:
        if self._engine is None:
            return {}
        metrics = self._engine.metrics()
        return {name: metrics[name] for name in ENGINE}


def _crossed(before: int, now: int, every: int) -> bool:
    return before // every != now // every
