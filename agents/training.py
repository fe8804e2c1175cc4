"""train: one run, from a configuration to a directory of results."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from typing import TYPE_CHECKING

from mvr_agents.extras import require
from mvr_agents.learners import learner
from mvr_agents.runs.config import TrainConfig
from mvr_agents.runs.eval_envs import EvalEnvs
from mvr_agents.runs.evaluate import agent_policy, evaluate
from mvr_agents.runs.evaluations import EvaluationsWriter
from mvr_agents.runs.finished import write_finished
from mvr_agents.runs.interrupt import interrupts_ignored, stop_on_interrupt
from mvr_agents.runs.metrics import MetricsWriter
from mvr_agents.runs.run_dir import RunDirectory
from mvr_agents.runs.saved_run import EVALUATION_SEED
from mvr_agents.runs.tracking import check_tracker, tracked
from mvr_wrappers.engine.engine import RewardEngine

if TYPE_CHECKING:
    from stable_baselines3.common.vec_env import VecEnv

LOG_ROWS = 50  # of metrics.csv over a whole training, besides those of evaluations


def _silent(line: str) -> None:
    """Says nothing."""


def train(config: TrainConfig, *, progress: bool = True, notify: Callable[[str], None] = _silent) -> RunDirectory:
    """Trains an agent and writes what the run did.

    Ctrl-C ends the training early; what there is by then is saved, evaluated and drawn as after a whole run. A second
    Ctrl-C ends the process. If an error ends the training, agent, engine and metrics are saved all the same.

    Args:
        config: everything the run depends on.
        progress: show a progress bar.
        notify: told, in one line each, what the run is about to do, and each evaluation.

    Returns:
        The directory of the run.

    Raises:
        MVRError: a setting that cannot work, a missing extra, or what stopped the training.
    """
    require("training", "stable_baselines3", "matplotlib", "tensorboard", "rich")
    from mvr_agents.pictures.run_pictures import draw
    from mvr_agents.pictures.tensorboard import log_pictures
    from mvr_agents.runs.monitor import Monitor
    from mvr_agents.runs.progress import ProgressBar, tell_evaluation
    from mvr_wrappers.sb3 import RewardLogger

    check_tracker(config.track)
    spec, settings = config.task_spec(), config.hyperparameters
    seed = config.seed + EVALUATION_SEED
    with (
        _torch_threads(config.threads),
        _training_envs(config) as (venv, engine),
        closing(EvalEnvs(spec)) as envs,
        stop_on_interrupt() as stop,
        ExitStack() as stack,
    ):
        module = learner(config.agent)  # after sub-processes are started: JAX runs threads
        run = RunDirectory.create(config)  # now that the config has been seen to work
        notify(f"writing to {run.path}")
        agent = module.make(venv, settings, seed=config.seed, device=config.agent_device, log_dir=run.tensorboard)
        policy = agent_policy(agent)
        tracker = stack.enter_context(tracked(config.track, run))
        bar = ProgressBar(shown=progress)
        monitor = Monitor(
            writer=MetricsWriter(run.metrics),
            evaluations=EvaluationsWriter(run.evaluations),
            evaluate=lambda: evaluate(envs, policy, settings["eval_episodes"], seed),
            eval_every=settings["eval_every"],
            log_every=max(1, settings["steps"] // LOG_ROWS),
            stop=stop,
            wait=lambda: module.wait(agent),
            losses=lambda: module.losses(agent),
            engine=engine,
            film_seconds=lambda: _film_seconds(venv, config),
            watchers=[
                bar.tell,
                tracker.add_row,
                lambda row: tell_evaluation(row, settings["steps"], notify),
            ],
        )
        try:
            agent.learn(
                settings["steps"],
                callback=[RewardLogger(), monitor, bar],
                log_interval=venv.num_envs,
            )
        finally:
            bar.stop()
            agent.save(run.model)
            if engine is not None:
                engine.save(run.engine)
        notify("stopped early; evaluating and drawing" if stop else "evaluating and drawing")
        finished = monitor.finish()
        draw(run, spec, engine, envs[0], policy, seed)
        log_pictures(agent.logger, run, finished.steps)
        tracker.add_pictures(finished.steps)
        if finished.steps >= settings["steps"]:
            write_finished(run.finished, finished)
    return run


@contextmanager
def _torch_threads(count: int) -> Iterator[None]:
    """Has torch compute with `count` threads, and as before afterwards."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextmanager
def _training_envs(config: TrainConfig) -> Iterator[tuple[VecEnv, RewardEngine | None]]:
    """Makes the VecEnv to train on and the engine that shapes it (None without shaping), and closes both."""
    from stable_baselines3.common.vec_env import DummyVecEnv, SubprocVecEnv

    from mvr_wrappers.sb3 import MultiViewVLMRewardVecEnv, make_vec_env

    with interrupts_ignored():  # sub-processes leave Ctrl-C to this one
        venv = make_vec_env(
            config.task,
            n_envs=config.hyperparameters["n_envs"],
            seed=config.seed,
            vec_env_cls=SubprocVecEnv if config.subproc else DummyVecEnv,
            shaping=config.shaping,
            env_kwargs={"preset": config.preset, **config.task_options()},  # among them `env_kwargs` of the base env
        )
    with closing(venv):
        yield venv, venv.engine if isinstance(venv, MultiViewVLMRewardVecEnv) else None


def _film_seconds(venv: VecEnv, config: TrainConfig) -> float:
    """Returns the wall time of waiting for frames: of all sub-envs, or of the slowest if each has its own process."""
    if not config.shaping:
        return 0.0
    return float((max if config.subproc else sum)(venv.get_attr("film_seconds")))
