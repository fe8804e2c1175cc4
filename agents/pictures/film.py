"""Episodes on film: a video of all views side by side, and a strip of frames of each view."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import numpy as np

from mvr_agents.extras import require
from mvr_agents.pictures.relevance_film import write_relevance_film
from mvr_agents.pictures.run_pictures import FRAMES, rig_of, save_filmstrip, view_label
from mvr_agents.pictures.video import DEFAULT_FPS, tile, write_video
from mvr_agents.runs.evaluate import Policy
from mvr_agents.runs.policies import make_policy
from mvr_wrappers.clips import frame_indices
from mvr_wrappers.engine.engine import RewardEngine
from mvr_wrappers.envs.task_env import make_task_env
from mvr_wrappers.filming import film_episode
from mvr_wrappers.filming.filmstrip import Strip
from mvr_wrappers.tasks.registry import TaskSpec


def film_task(
    spec: TaskSpec,
    policy: str | Policy,
    video: Path,
    *,
    size: int = 224,
    every: int = 4,
    quality: Literal["fast", "full"] = "fast",
    seed: int = 0,
    engine: RewardEngine | None = None,
    trust: bool = False,
) -> tuple[Path, ...]:
    """Films one episode from all views of the task's rig.

    Args:
        spec: the task.
        policy: what acts, or a name for `make_policy`.
        video: the MP4 file; the filmstrip goes beside it, as PNG.
        size: pixels of a view.
        every: env steps between two frames, greater than 0. The video plays at the env's own pace.
        quality: as of `Renderer`.
        seed: of the episode and of a random policy.
        engine: whose state relevance is drawn under the views of a GIF beside the video; None makes none.
        trust: as of `make_policy`.

    Returns:
        The video, the filmstrip and, with an engine, the GIF.

    Raises:
        ConfigError: no such policy, or a size that cannot work.
        MissingExtraError: PyAV or the env's package is not installed.
        FilmingError: OpenGL cannot start.
    """
    require("filming a task", "av")
    env = make_task_env(spec)
    name = policy if isinstance(policy, str) else "policy"
    acting = make_policy(policy, spec, env, seed, trust=trust) if isinstance(policy, str) else policy
    episode = film_episode(env, acting, spec.rig, size=size, quality=quality, every=every, seed=seed)
    labels = [view_label(camera) for camera in rig_of(spec, env).views]
    fps = env.metadata.get("render_fps", DEFAULT_FPS)
    env.close()
    video.parent.mkdir(parents=True, exist_ok=True)
    write_video(video, tile(episode.frames), fps / every)
    count = episode.frames.shape[1]
    shown = frame_indices(count, min(FRAMES, count))
    strips = [Strip(frames[shown], (label,)) for frames, label in zip(episode.frames, labels, strict=True)]
    solved = np.flatnonzero([info.get("is_success", False) for info in episode.infos])
    outcome = f"task return {episode.rewards.sum():,.1f}" + (f", solved at step {solved[0] + 1}" if len(solved) else "")
    title = f"{spec.name}: {name} policy, {len(episode.rewards)} steps, {outcome}"
    picture = video.with_suffix(".png")
    save_filmstrip(picture, title, strips)
    if engine is None:
        return video, picture
    animation = video.with_suffix(".gif")
    write_relevance_film(animation, episode, engine, fps)
    return video, picture, animation
