"""What a scorer thinks of a task or a video: clips, scored against sentences."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mvr_agents.pictures.run_pictures import view_label
from mvr_agents.pictures.score_figure import ScoredFilm
from mvr_agents.pictures.video import read_clips
from mvr_agents.runs.evaluate import evaluate
from mvr_agents.runs.policies import has_scripted_policy, make_policy
from mvr_wrappers.clips import Clip, clip_starts
from mvr_wrappers.envs.task_env import make_task_env
from mvr_wrappers.errors import ConfigError
from mvr_wrappers.filming import FilmedEnv
from mvr_wrappers.scorers import Scorer
from mvr_wrappers.scorers.checks import embed_videos
from mvr_wrappers.scorers.goal import Goal
from mvr_wrappers.tasks.registry import TaskSpec

CLIPS_AT_ONCE = 16  # of a video, through the scorer: bounds memory


@dataclass(frozen=True, slots=True, eq=False)
class BehaviourScores:
    """Scores of one behaviour.

    Attributes:
        behaviour: name of the policy.
        views: names of the V views.
        psi: float32 (N, V, P), of N clips from V views against P sentences (paper section 4.1).
        episode: the first episode on film, from the first view.
    """

    behaviour: str
    views: tuple[str, ...]
    psi: NDArray[np.float32]
    episode: ScoredFilm


def score_behaviours(
    spec: TaskSpec,
    scorer: Scorer,
    goal: Goal,
    episodes: int,
    seed: int,
    tick: Callable[[], object] = lambda: None,
) -> Iterator[BehaviourScores]:
    """Films whole episodes from every view, cuts them into the task's clips and scores them, behaviour by behaviour.

    Args:
        spec: the task; random behaviour is filmed, and scripted behaviour where there is some.
        scorer: the video-language model.
        goal: the P sentences to score against, as it sees them.
        episodes: of each behaviour.
        seed: episode i starts from seed + i.
        tick: called at the end of each episode, for a progress bar.

    Raises:
        ConfigError: no episode was as long as a clip.
    """
    if episodes < 1:
        raise ConfigError(f"{episodes} episodes to score; give at least 1")
    clip = replace(spec.clip, views="all", film_every=1, image_size=spec.clip.image_size or scorer.image_size)
    for behaviour in behaviours(spec):
        env = FilmedEnv(make_task_env(spec), rig=spec.rig, clip=clip)
        policy = make_policy(behaviour, spec, env, seed)
        films = []
        for number in range(episodes):
            steps = int(evaluate(env, policy, 1, seed + number, tick).lengths[0])
            films.append((clip_starts(steps + 1, clip.length, clip.stride), env.pop_clips()))
        env.close()
        clips: list[Clip] = [clip for _, clips in films for clip in clips]
        if not clips:
            raise ConfigError(f"no episode lasted the {clip.length} states of a clip; give a task of shorter clips")
        psi = np.stack([goal.psi(embed_videos(scorer, clip.frames)) for clip in clips])
        views = tuple(view_label(camera) for camera in env.rig.views)
        starts = next(np.array(starts, np.float64) for starts, _ in films if starts)
        frames = np.stack([clip.frames[0, clip.frames.shape[1] // 2] for clip in clips[: len(starts)]])
        spans = np.stack([starts, starts + clip.length], axis=1)
        film = ScoredFilm(f"{behaviour} behaviour, {views[0]}", frames, spans, psi[: len(starts), 0])
        yield BehaviourScores(behaviour, views, psi, film)


def score_video(path: Path, scorer: Scorer, goal: Goal, seconds: float = 2.0, overlap: float = 0.5) -> ScoredFilm:
    """Cuts a video into clips and scores each against every sentence.

    Args:
        path: a video in any container that PyAV reads.
        scorer: the video-language model.
        goal: the P sentences to score against, as it sees them.
        seconds: length of a clip.
        overlap: share of a clip that the next one shows again.

    Raises:
        ConfigError: a video that cannot be read so.
        MissingExtraError: PyAV is not installed.
    """
    clips = read_clips(path, scorer.n_frames, seconds, overlap, scorer.image_size)
    batches = (clips.frames[start : start + CLIPS_AT_ONCE] for start in range(0, len(clips.frames), CLIPS_AT_ONCE))
    psi = goal.psi(np.concatenate([embed_videos(scorer, batch) for batch in batches]))
    return ScoredFilm(path.name, clips.frames[:, scorer.n_frames // 2], clips.spans, psi)


def behaviours(spec: TaskSpec) -> tuple[str, ...]:
    """Returns the policies whose behaviour can be scored without training one."""
    return ("random", "scripted") if has_scripted_policy(spec) else ("random",)


def separation(positive: NDArray[np.floating[Any]], negative: NDArray[np.floating[Any]]) -> float:
    """Returns the ROC-AUC: the probability that a positive scores higher than a negative, ties counting half.

    Args:
        positive: (N,), not empty.
        negative: (M,), not empty.
    """
    difference = positive[:, None] - negative[None, :]
    return float((difference > 0).mean() + 0.5 * (difference == 0).mean())
