"""`mvr play`: a trained agent in MuJoCo's viewer."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING

from mvr_agents.command.arguments import PlayArgs
from mvr_agents.command.terminal import say

if TYPE_CHECKING:
    from mvr_agents.pictures.viewer import Played, Relevance
    from mvr_agents.runs.run_dir import RunDirectory


def play(args: PlayArgs) -> int:
    """Opens the viewer; says what each episode came to."""
    from mvr_agents.pictures import viewer
    from mvr_agents.runs.saved_run import SavedRun
    from mvr_wrappers.envs.task_env import make_task_env

    viewer.check_screen(args.run)
    run = SavedRun.open(args.run, args.device)
    with closing(make_task_env(run.spec)) as env, _relevance(run.directory) as relevance:
        viewer.play(
            env,
            run.policy,
            relevance,
            seed=run.seed if args.seed is None else args.seed,
            episodes=args.episodes,
            speed=args.speed,
            launch=viewer.open_viewer,
            tell=lambda played: say(_sentence(played)),
        )
    return 0


@contextmanager
def _relevance(run: RunDirectory) -> Iterator[Relevance | None]:
    """Yields f as it was at the end of a run; None if the run was not shaped, or too short for an update."""
    from mvr_wrappers.engine.engine import RewardEngine

    if not run.engine.is_file():
        yield None
        return
    with RewardEngine.load(run.engine, device="cpu", mode="sync") as engine:
        yield engine.snapshot.relevance if engine.version > 0 else None


def _sentence(played: Played) -> str:
    outcome = {None: "", True: ", solved", False: ", not solved"}[played.solved]
    return f"task return {played.task_return:,.1f} in {played.steps} steps{outcome}"
