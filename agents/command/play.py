"""`mvr play`: a trained agent in MuJoCo's viewer."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

from mvr_agents.command.arguments import PlayArgs
from mvr_agents.command.terminal import say

if TYPE_CHECKING:
    from mvr_agents.pictures.viewer import Played


def play(args: PlayArgs) -> int:
    """Opens the viewer; says what each episode came to."""
    from mvr_agents.pictures import viewer
    from mvr_agents.runs.saved_engine import saved_engine
    from mvr_agents.runs.saved_run import SavedRun
    from mvr_wrappers.envs.task_env import make_task_env

    viewer.check_screen(args.run)
    run = SavedRun.open(args.run, args.device, trust=args.trust)
    with closing(make_task_env(run.spec)) as env, saved_engine(run.directory) as engine:
        viewer.play(
            env,
            run.policy,
            None if engine is None else engine.snapshot.relevance,
            seed=run.seed if args.seed is None else args.seed,
            episodes=args.episodes,
            speed=args.speed,
            launch=viewer.open_viewer,
            tell=lambda played: say(_sentence(played)),
        )
    return 0


def _sentence(played: Played) -> str:
    outcome = {None: "", True: ", solved", False: ", not solved"}[played.solved]
    return f"task return {played.task_return:,.1f} in {played.steps} steps{outcome}"
