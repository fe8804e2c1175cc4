"""Monitor: watches training from inside Stable-Baselines3 and keeps metrics.csv."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from stable_baselines3.common.callbacks import BaseCallback

from mvr_agents.runs.evaluate import Evaluation
from mvr_agents.runs.finished import Finished
from mvr_agents.runs.metrics import NAN, MetricsRow
from mvr_agents.runs.run_files import RunFiles
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
        self._forget(dones)

    def cut_episodes(self) -> None:
        """Forgets the episodes that have begun."""
        self._forget(np.ones(len(self._success), np.bool_))

    def _forget(self, rows: NDArray[np.bool_]) -> None:
        self._task_return[rows] = self._shaped_return[rows] = 0.0
        self._success[rows] = NAN

    def state_dict(self) -> dict[str, Any]:
        """Returns what is known of the steps and episodes since the last row, JSON-safe."""
        return {"steps": self._steps, "episodes": self._episodes}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Takes over what `state_dict` returned."""
        self._steps, self._episodes = dict(state["steps"]), dict(state["episodes"])

    def means(self) -> dict[str, float]:
        """Returns the columns of `MetricsRow` that a window fills; NaN where nothing was seen."""
        means = {key: float(np.mean(v)) if v else NAN for key, v in (self._steps | self._episodes).items()}
        task = means["abs_task_reward"]
        return means | {"fade": means["abs_shaping"] / task if task else NAN}


class Monitor(BaseCallback):
    """Writes a row of metrics every `log_every` steps, evaluates every `eval_every`, and stops training when asked.

    Args:
        n_envs: sub-envs it trains on.
        files: written as training goes.
        evaluate: plays evaluation episodes with the agent as it is.
        eval_every: env steps between two evaluations; one more is made before the first step.
        log_every: env steps between two rows.
        stop: training ends at the step at which it is true.
        wait: returns when the learner's updates are done, so that their time is not taken for another's.
        losses: returns those of the last training, see `LearnerModule.losses`.
        engine: of the shaped reward; None if there is none.
        film_seconds: returns the wall time of waiting for frames so far.
        watchers: each is told every row once it is written.
    """

    def __init__(
        self,
        *,
        n_envs: int,
        files: RunFiles,
        evaluate: Callable[[], Evaluation],
        eval_every: int,
        log_every: int,
        stop: Callable[[], bool],
        wait: Callable[[], None],
        losses: Callable[[], Mapping[str, float]],
        engine: RewardEngine | None,
        film_seconds: Callable[[], float],
        watchers: Sequence[Callable[[MetricsRow], object]] = (),
    ) -> None:
        super().__init__()
        self._files, self._evaluate, self._stop, self._wait = files, evaluate, stop, wait
        self._losses = losses
        self._eval_every, self._log_every = eval_every, log_every
        self._engine, self._film_seconds, self._watchers = engine, film_seconds, watchers
        self._window = Window(n_envs)
        self._before = self._learner_seconds = self._eval_seconds = 0.0  # seconds, of all parts of a resumed run
        self._start: float | None = None
        self._rollout_ended: float | None = None

    def state_dict(self) -> dict[str, Any]:
        """Returns what a resumed run goes on from, JSON-safe."""
        return {
            "window": self._window.state_dict(),
            "seconds": self._seconds(),
            "learner_seconds": self._learner_seconds,
            "eval_seconds": self._eval_seconds,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Takes over what `state_dict` returned; the row of the first step has been written then."""
        self._window.load_state_dict(state["window"])
        self._before = state["seconds"]
        self._learner_seconds, self._eval_seconds = state["learner_seconds"], state["eval_seconds"]

    def cut_episodes(self) -> None:
        """Takes note that all envs were reset."""
        self._window.cut_episodes()

    def finish(self) -> Finished:
        """Evaluates, writes the last row, and returns how far training came."""
        self._write_row(evaluate=True)
        return Finished(self.num_timesteps, self._seconds())

    def _seconds(self) -> float:
        return self._before + (0.0 if self._start is None else time.perf_counter() - self._start)

    def _on_training_start(self) -> None:
        self._start = time.perf_counter()
        if self.num_timesteps == 0:
            self._write_row(evaluate=True)

    def _on_rollout_start(self) -> None:
        if self._rollout_ended is not None:  # between two rollouts SB3 trains
            self._wait()
            self._learner_seconds += time.perf_counter() - self._rollout_ended

    def _on_rollout_end(self) -> None:
        self._rollout_ended = time.perf_counter()

    def _on_step(self) -> bool:
        self._window.add(self.locals["infos"], self.locals["dones"])
        stop = self._stop()
        if stop or self.num_timesteps >= self.locals["total_timesteps"]:
            return not stop  # the last row is written by `finish`
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
            self._files.add_evaluation(self.num_timesteps, self._seconds(), result)
        losses = self._losses()
        values |= {column: losses.get(name, NAN) for column, name in LOSSES.items()} | self._engine_values()
        row = MetricsRow(
            step=self.num_timesteps,
            seconds=self._seconds(),
            learner_seconds=self._learner_seconds,
            eval_seconds=self._eval_seconds,
            film_seconds=self._film_seconds(),
            **values,
        )
        self._files.add_row(row)
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
