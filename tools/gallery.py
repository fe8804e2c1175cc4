"""Draws what the cameras of task families see: a row a task, a frame a view.

    python tools/gallery.py docs/pictures/cameras.jpg hammer-v3 h1hand-walk-v0 Humanoid-v5 Hopper-v5

HumanoidBench's tasks need its clone.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from PIL import Image

from mvr_agents.pictures.run_pictures import rig_of, view_label
from mvr_agents.runs.policies import random_policy
from mvr_wrappers.envs.task_env import make_task_env
from mvr_wrappers.filming import film_episode
from mvr_wrappers.filming.filmstrip import Strip, draw_filmstrip
from mvr_wrappers.tasks.registry import get_task

STEPS, SIZE = 10, 192


def row(task: str) -> tuple[str, list[Strip]]:
    """Returns a heading and what each view of a task's rig shows after `STEPS` random steps."""
    spec = get_task(task)
    env = make_task_env(spec, max_episode_steps=STEPS)
    policy = random_policy(env.action_space, 0)
    episode = film_episode(env, policy, spec.rig, size=SIZE, quality="full", every=STEPS, seed=0)
    labels = ", ".join(view_label(camera) for camera in rig_of(spec, env).views)
    env.close()
    return f"{task}: {labels}", [Strip(episode.frames[:, -1], ("",))]


def main() -> None:
    """Reads the command line and writes the picture."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("picture", type=Path)
    parser.add_argument("tasks", nargs="+")
    arguments = parser.parse_args()
    arguments.picture.parent.mkdir(parents=True, exist_ok=True)
    picture = draw_filmstrip([row(task) for task in arguments.tasks], "views, in the order of the rig")
    Image.fromarray(picture).save(arguments.picture, quality=85)


if __name__ == "__main__":
    main()
