"""What a scorer thinks of a task: clips of known behaviour, scored against sentences, view by view."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mvr_wrappers.clips import Clip
from mvr_wrappers.errors import ConfigError
from mvr_wrappers.filming import FilmedEnv
from mvr_wrappers.registry import TaskSpec
from mvr_wrappers.scorers import Scorer
from mvr_wrappers.stack import make_task_env

from ..runs.evaluate import evaluate
from ..runs.policies import has_scripted_policy, make_policy
from .run_pictures import view_label


@dataclass(frozen=True, slots=True, eq=False)
class BehaviourScores:
    """Scores of one behaviour.

    Attributes:
        behaviour: name of the policy.
        views: names of the V views.
        psi: float32 (N, V, P), of N clips from V views against P sentences (paper section 4.1).
    """

    behaviour: str
    views: tuple[str, ...]
    psi: NDArray[np.float32]


def score_behaviours(
    spec: TaskSpec,
    scorer: Scorer,
    sentences: Sequence[str],
    episodes: int,
    seed: int,
    tick: Callable[[], object] = lambda: None,
) -> Iterator[BehaviourScores]:
    """Films whole episodes from every view, cuts them into the task's clips and scores them, behaviour by behaviour.

    Args:
        spec: the task; random behaviour is filmed, and scripted behaviour where there is some.
        scorer: the video-language model.
        sentences: P, what to score against.
        episodes: of each behaviour.
        seed: episode i starts from seed + i.
        tick: called at the end of each episode, for a progress bar.

    Raises:
        ConfigError: no episode was as long as a clip.
    """
    text = scorer.embed_text(list(sentences))
    clip = replace(spec.clip, views="all", film_every=1, image_size=spec.clip.image_size or scorer.image_size)
    for behaviour in behaviours(spec):
        env = FilmedEnv(make_task_env(spec), rig=spec.rig, clip=clip)
        evaluate(env, make_policy(behaviour, spec, env.action_space, seed), episodes, seed, tick)
        clips: list[Clip] = env.pop_clips()
        env.close()
        if not clips:
            raise ConfigError(f"no episode lasted the {clip.length} states of a clip; give a task of shorter clips")
        psi = np.stack([scorer.embed_video(clip.frames) @ text.T for clip in clips])
        yield BehaviourScores(behaviour, tuple(view_label(camera) for camera in env.rig.views), psi)


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
