"""train: one run, from a configuration to a directory of results."""

from __future__ import annotations

import errno
import shlex
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from mvr_agents.extras import require
from mvr_agents.learners import learner
from mvr_agents.runs.config import TrainConfig
from mvr_agents.runs.eval_envs import EvalEnvs
from mvr_agents.runs.evaluate import agent_policy, evaluate
from mvr_agents.runs.finished import write_finished
from mvr_agents.runs.interrupt import signals_ignored, stop_on_signal
from mvr_agents.runs.run_dir import RunDirectory
from mvr_agents.runs.saved_run import EVALUATION_SEED
from mvr_agents.runs.tracking import check_tracker, tracked
from mvr_wrappers.engine.engine import RewardEngine
from mvr_wrappers.errors import ConfigError

if TYPE_CHECKING:
    from stable_baselines3.common.vec_env import VecEnv

Notify = Callable[[str], None]

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
"""What a system says where a disk, a quota or the largest file is full."""
LOG_ROWS = 50  # of metrics.csv over a whole training, besides those of evaluations


def _silent(line: str) -> None:
    """Says nothing."""


def train(config: TrainConfig, *, progress: bool = True, notify: Notify = _silent) -> RunDirectory:
    """Trains an agent and writes what the run did.

    The first Ctrl-C or SIGTERM ends the training once its rollout is learned from: a checkpoint is written that
    `resume` goes on from, and what there is by then is evaluated and drawn as after a whole run. A second ends the
    process. If an error ends the training, agent, engine and metrics are saved all the same.

    Args:
        config: everything the run depends on.
        progress: show a progress bar.
        notify: told, in one line each, what the run is about to do, and each evaluation.

    Returns:
        The directory of the run.

    Raises:
        MVRError: a setting that cannot work, a missing extra, or what stopped the training.
    """
    return _run(config, None, exact=False, progress=progress, notify=notify)


def resume(path: str | Path, *, exact: bool = False, progress: bool = True, notify: Notify = _silent) -> RunDirectory:
    """Goes on with a run that was stopped or killed, from its latest checkpoint, in the same directory.

    In "sync" mode and on one machine, a run that was killed ends as if it had not been, to the bit. Without a
    checkpoint it begins anew.

    Args:
        path: the directory of the run.
        exact: pass over a checkpoint that was written because the run was told to stop, at which its envs started anew
            earlier than they otherwise would have.
        progress: show a progress bar.
        notify: as of `train`.

    Raises:
        ConfigError: no such run, one that is finished, or all its checkpoints are damaged.
        MVRError: as of `train`.
    """
    run = RunDirectory.open(path)
    if run.finished.is_file():
        raise ConfigError(f"{run.path} has trained for all its steps; there is nothing to resume")
    return _run(run.read_config(), run, exact=exact, progress=progress, notify=notify)


def _run(
    config: TrainConfig, begun: RunDirectory | None, *, exact: bool, progress: bool, notify: Notify
) -> RunDirectory:
    """Trains from the beginning in a new directory, or goes on in the one that a run has begun."""
    require("training", "stable_baselines3", "matplotlib", "tensorboard", "rich")
    from mvr_agents.checkpoints.callback import CheckpointCallback
    from mvr_agents.pictures.run_pictures import draw
    from mvr_agents.pictures.tensorboard import drop_after, log_pictures
    from mvr_agents.runs.monitor import Monitor
    from mvr_agents.runs.progress import ProgressBar, tell_evaluation
    from mvr_agents.runs.run_files import RunFiles
    from mvr_wrappers.sb3 import RewardLogger

    check_tracker(config.track)
    spec, settings = config.task_spec(), config.hyperparameters
    steps, seed = settings["steps"], config.seed + EVALUATION_SEED
    with (
        _torch_threads(config.threads),
        _training_envs(config) as (venv, engine),
        closing(EvalEnvs(spec)) as envs,
        stop_on_signal() as stop,
        ExitStack() as stack,
    ):
        module = learner(config.agent)  # after sub-processes are started: JAX runs threads
        run = begun or RunDirectory.create(config)  # now that the config has been seen to work
        stack.enter_context(_disk_errors(run))
        agent = module.make(venv, settings, seed=config.seed, device=config.agent_device, log_dir=run.tensorboard)
        policy = agent_policy(agent)
        tracker = stack.enter_context(tracked(config.track, run))
        bar = ProgressBar(shown=progress)
        files = RunFiles(run, agent.save)
        monitor = Monitor(
            n_envs=venv.num_envs,
            files=files,
            evaluate=lambda: evaluate(envs, policy, settings["eval_episodes"], seed),
            eval_every=settings["eval_every"],
            log_every=max(1, steps // LOG_ROWS),
            stop=lambda: bool(stop) and not config.checkpoint_every,  # else the checkpoint's callback stops
            wait=lambda: module.wait(agent),
            losses=lambda: module.losses(agent),
            engine=engine,
            film_seconds=lambda: _film_seconds(venv, config),
            watchers=[bar.tell, tracker.add_row, lambda row: tell_evaluation(row, steps, notify)],
        )
        checkpoints = CheckpointCallback(
            run.checkpoints,
            config.checkpoint_every,
            replay=config.checkpoint_replay,
            stop=lambda: bool(stop) and config.checkpoint_every > 0,
            parts={"files": files, "monitor": monitor},
        )
        done = checkpoints.resume(agent, exact=exact)
        if begun is None:
            notify(f"writing to {run.path}")
        else:
            notify(
                f"going on in {run.path} from step {done:,}" if done else f"beginning anew in {run.path}: no checkpoint"
            )
            drop_after(run.tensorboard, done)
        try:
            agent.learn(
                steps - done,
                callback=[RewardLogger(), monitor, bar, checkpoints],
                log_interval=venv.num_envs,
                reset_num_timesteps=not done,
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
        if finished.steps >= steps:
            write_finished(run.finished, finished)
            shutil.rmtree(run.checkpoints, ignore_errors=True)
        elif config.checkpoint_every:
            notify(f"go on with: {_resume_command(run)}")
    return run


def _resume_command(run: RunDirectory) -> str:
    return f"mvr train --resume {shlex.quote(str(run.path))}"


@contextmanager
def _disk_errors(run: RunDirectory) -> Iterator[None]:
    """Explains errors of a full disk.

    Raises:
        ConfigError: there is no room for what the block writes.
    """
    try:
        yield
    except OSError as error:
        if error.errno not in FULL:
            raise
        raise ConfigError(
            f"cannot write to {run.path}: {error.strerror}; make room, and go on with: {_resume_command(run)}"
        ) from error


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

    with signals_ignored():  # sub-processes leave them to this one
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
