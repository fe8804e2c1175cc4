"""What the pictures of a run show: collects episodes and clips, and hands them to `figures`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
from PIL import Image

from mvr_agents.pictures.figures import GREEN, RED, Trace, draw_curve, draw_relevance
from mvr_agents.pictures.relevance_film import write_relevance_film
from mvr_agents.pictures.video import DEFAULT_FPS
from mvr_agents.runs.evaluate import Policy
from mvr_agents.runs.metrics import read_metrics
from mvr_agents.runs.run_dir import RunDirectory
from mvr_wrappers.clips import frame_indices
from mvr_wrappers.engine.engine import RewardEngine
from mvr_wrappers.engine.gallery import Gallery, Picture
from mvr_wrappers.filming import Camera, CameraRig, FilmedEpisode, film_episode, find_mujoco
from mvr_wrappers.filming.access import as_rig
from mvr_wrappers.filming.filmstrip import Strip, draw_filmstrip
from mvr_wrappers.tasks.registry import TaskSpec

FRAMES = 8  # along an episode
FRAME_SIZE = 160  # pixels


def draw(
    run: RunDirectory,
    spec: TaskSpec,
    engine: RewardEngine | None,
    env: gym.Env[Any, Any],
    policy: Policy,
    seed: int,
) -> None:
    """Writes all pictures there is something to draw for.

    Args:
        run: where they go, and where metrics.csv is read.
        spec: the task.
        engine: of the shaped reward; None if there was none.
        env: the task's own env, to play an evaluation episode in.
        policy: what acts in it.
        seed: of that episode.
    """
    draw_curves(run)
    if engine is not None:
        rig = rig_of(spec, env)
        draw_clips(run, spec, engine.gallery, rig)
        draw_episode(run, spec, engine, env, policy, rig, seed)


def draw_curves(run: RunDirectory) -> None:
    """Writes curve.png from metrics.csv."""
    config = run.read_config()
    title = f'{config.task}: {config.agent}, seed {config.seed}, preset {config.preset}\n"{config.prompt}"'
    draw_curve(read_metrics(run.metrics), run.curve, title)


def draw_clips(run: RunDirectory, spec: TaskSpec, gallery: Gallery, rig: CameraRig) -> None:
    """Writes filmstrip.png: of each view, the best and the worst clip scored in the run; nothing if none was."""
    strips = _strips(gallery.best, rig, "best", GREEN) + _strips(gallery.worst, rig, "worst", RED)
    if strips:
        title = f'{spec.name}: the clips of each view with the highest and the lowest score for\n"{spec.prompt}"'
        save_filmstrip(run.filmstrip, title, strips)


def save_filmstrip(path: Path, title: str, strips: Sequence[Strip]) -> None:
    """Writes rows of frames under a title to a PNG file."""
    Image.fromarray(draw_filmstrip([(title, strips)])).save(path)


def draw_episode(
    run: RunDirectory,
    spec: TaskSpec,
    engine: RewardEngine,
    env: gym.Env[Any, Any],
    policy: Policy,
    rig: CameraRig,
    seed: int,
) -> None:
    """Films one evaluation episode: to relevance.png with f(s) and the shaping along it, from all views to episode.gif.

    Nothing is written before the first relevance update. The episode is played twice, for it is filmed from all views
    without shadows and reflections, with which four views cost many times as much.
    """
    if engine.version == 0:
        return
    longest = env.spec.max_episode_steps if env.spec else None
    every = max(1, (longest or 1_000) // (8 * FRAMES))
    view = CameraRig((rig.views[_telling_view(engine.gallery)],))
    episode = film_episode(env, policy, view, size=FRAME_SIZE, quality="full", every=every, seed=seed)
    trace = trace_episode(episode, engine)
    total = f"task return {episode.rewards.sum():,.1f}"
    updates = engine.metrics()["updates"]
    title = f'{spec.name}: an evaluation episode after relevance update {updates:.0f}, {total}\n"{spec.prompt}"'
    draw_relevance(trace, run.relevance, title)
    film = film_episode(env, policy, rig, size=FRAME_SIZE, quality="fast", every=2 * every, seed=seed)
    write_relevance_film(run.film, film, engine, env.metadata.get("render_fps", DEFAULT_FPS))


def trace_episode(episode: FilmedEpisode, engine: RewardEngine) -> Trace:
    """Returns an episode as the latest reward of `engine` sees it; frames are of the first view."""
    states, n_steps = episode.states, len(episode.rewards)
    solved = [step for step, info in enumerate(episode.infos) if info.get("is_success", False)]
    wanted = frame_indices(n_steps, min(FRAMES, n_steps))
    shown = np.abs(episode.times[:, None] - wanted).argmin(axis=0)
    return Trace(
        relevance=engine.snapshot.relevance(states[:-1]),
        shaping=engine.shape(states[:-1], states[1:]),
        frames=episode.frames[0, shown],
        reference=engine.metrics()["reference_relevance"],
        success_step=solved[0] if solved else None,
    )


def rig_of(spec: TaskSpec, env: gym.Env[Any, Any]) -> CameraRig:
    """Returns the rig a task is filmed with: its own, else the one its model suggests."""
    return as_rig(spec.rig, find_mujoco(env)[0])


def view_label(camera: Camera) -> str:
    """Returns how a view is called in pictures and tables."""
    return camera.name if camera.name is not None else f"azimuth {camera.azimuth:g}°"


def _telling_view(gallery: Gallery) -> int:
    """Returns the index of the view from which the highest score was given."""
    scores = {
        int(view): score for picture in gallery.best for view, score in zip(picture.views, picture.scores, strict=True)
    }
    return max(scores, key=scores.__getitem__)


def _strips(pictures: tuple[Picture, ...], rig: CameraRig, what: str, color: str) -> list[Strip]:
    """Returns one strip a view: of the first picture in which each view, or each set of views, is seen."""
    seen: dict[tuple[int, ...], Picture] = {}
    for picture in pictures:
        seen.setdefault(tuple(picture.views.tolist()), picture)
    return [
        Strip(frames, (f"{what}, score {score:.3f}", view_label(rig.views[view])), color)
        for picture in seen.values()
        for frames, view, score in zip(picture.frames, picture.views, picture.scores, strict=True)
    ]
