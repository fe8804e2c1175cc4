"""Batches of clips and sentences to train the pocket scorer on."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from tools.pocket.captions import (
    MOTIONS,
    PAPER_TASKS,
    TASKS,
    TRAINED,
    Stage,
    caption,
    motion_caption,
    motion_prompt,
    prompt_or_paraphrase,
)
from tools.pocket.films import Films
from tools.pocket.labels import Clips
from tools.pocket.motions import BODY_MOTIONS

STAGE_ODDS = {"success": 0.26, "random": 0.2, "partial": 0.14, "approach": 0.14, "held": 0.08} | {
    "shaky": 0.08,
    "failed": 0.05,
    "idle": 0.05,
}
BODY_SHARE = 0.35  # of a batch's groups


@dataclass(frozen=True, slots=True)
class Meaning:
    """What a caption says, or a clip shows.

    Attributes:
        subject: task or body.
        group: stage, success and what follows it taken together as "solved"; or motion.
        scene: tasks of one scene cannot be told apart until something happens.
    """

    subject: str
    group: str
    scene: str

    @classmethod
    def of(cls, subject: str, stage: str) -> Meaning:
        """Returns what a stage of a task, or a motion of a body, means."""
        group = "solved" if stage in ("success", "held") else stage
        return cls(subject, group, TASKS[subject].scene if subject in TASKS else subject)


@dataclass(frozen=True, slots=True)
class Batch:
    """B clips of G groups, each of one task or one body, with C captions.

    Attributes:
        clips: (B,), rows of `Clips`.
        frames: uint8 (B, F, H, W, 3), the clips, each moved by a few pixels.
        gain: (B, 1, 3, 1, 1), by which frames are to be brighter; `offset`: (B, 1, 1, 1, 1), added to them.
        captions: C sentences, one a clip, then wrong ones.
        prompts: G sentences, one a group, that its clips are ordered by.
        motions: N sentences, one a motion of each group that is a body.
        owner: int64 (B,), group of each clip.
        offered: bool (B, N), which of the motions are of a clip's group.
        motion: int64 (B,), which of them a clip shows; 0 for tasks.
        match: float (B, C), 1 where a caption is true of a clip.
        weight: float (B, C), 0 where that is not known.
        level: float (B,), nearness to what the prompt says.
        twins: int64 (B,), which clip shows the same moment from another view; a clip without one is its own twin.
    """

    clips: NDArray[np.int64]
    frames: Tensor
    gain: Tensor
    offset: Tensor
    captions: list[str]
    prompts: list[str]
    motions: list[str]
    owner: Tensor
    offered: Tensor
    motion: Tensor
    match: Tensor
    weight: Tensor
    level: Tensor
    twins: Tensor

    @property
    def sentences(self) -> list[str]:
        """All C + G + N sentences: captions, prompts, motions."""
        return self.captions + self.prompts + self.motions

    def to(self, device: torch.device) -> Batch:
        """Returns the batch with its tensors on `device`."""
        values = {f.name: getattr(self, f.name) for f in fields(self)}
        moved: dict[str, Any] = {name: v.to(device) if isinstance(v, Tensor) else v for name, v in values.items()}
        return Batch(**moved)

    def pixels(self) -> Tensor:
        """Returns the clips as the video tower takes them, in their new light: (B, F, 3, H, W), in [0, 255]."""
        return self.frames.permute(0, 1, 4, 2, 3).float().mul_(self.gain).add_(self.offset).clamp_(0, 255)


class Sampler(Dataset[Batch]):
    """Draws batches: tasks of the paper twice as often, every third group a body, stages by fixed odds.

    The batch of a step depends on the seed and the step alone, so any process may draw it and a cut run goes on.
    """

    def __init__(self, films: Films, clips: Clips, seed: int, groups: int = 8, size: int = 8) -> None:
        self.films, self.clips, self.seed, self.groups, self.size = films, clips, seed, groups, size
        self.rng = np.random.default_rng(seed)
        self.tasks = [task for task in TRAINED if (clips.subject == task).any()]
        self.bodies = [body for body in BODY_MOTIONS if (clips.subject == body).any()]
        self._rows: dict[tuple[str, str], NDArray[np.int64]] = {}
        for subject in (*self.tasks, *self.bodies):
            mine = np.flatnonzero(clips.subject == subject)
            for stage in np.unique(clips.stage[mine]):
                self._rows[subject, str(stage)] = mine[clips.stage[mine] == stage]
        keys = list(zip(*(films.columns[k].tolist() for k in ("subject", "seed", "first", "spacing")), strict=True))
        episodes: dict[tuple[object, ...], list[int]] = {}
        for film, key in enumerate(keys):
            episodes.setdefault(key, []).append(film)
        self._views = [episodes[key] for key in keys]
        self._first = np.concatenate([[0], np.cumsum(np.bincount(clips.film, minlength=len(keys)))])

    def __getitem__(self, step: int) -> Batch:
        """Draws the batch of a step."""
        self.rng = rng = np.random.default_rng((self.seed, step))
        odds = np.array([2.0 if task in PAPER_TASKS else 1.0 for task in self.tasks])
        bodies = int(rng.binomial(self.groups, BODY_SHARE)) if self.bodies else 0
        tasks = rng.choice(self.tasks, self.groups - bodies, p=odds / odds.sum(), replace=False)
        rows: list[NDArray[np.int64]] = []
        choices: list[tuple[str, tuple[str, ...]]] = []  # of each group: its body and its motions, none of a task
        twins, prompts, levels, wrong = [], [], [], []
        for subject in (*tasks, *rng.choice(self.bodies, bodies)) if bodies else tasks:
            mine, pairs = self._group(str(subject))
            if subject in TASKS:
                prompts.append(prompt_or_paraphrase(subject, rng))
                levels.append(self.clips.level[mine])
                wrong.append((self._rival(subject), "success"))
                choices.append(("", ()))
            else:
                motion = str(self.clips.stage[mine[0]])
                prompts.append(self._motion_sentence(subject, motion))
                levels.append((self.clips.stage[mine] == motion).astype(float))
                wrong.append((str(subject), str(rng.choice(BODY_MOTIONS[str(subject)]))))
                choices.append((str(subject), BODY_MOTIONS[str(subject)]))
            twins.append(pairs + self.size * len(rows))
            rows.append(mine)
        clips = np.concatenate(rows)
        shown = [(str(self.clips.subject[i]), str(self.clips.stage[i])) for i in clips]
        owner = np.arange(self.groups).repeat(self.size)
        of_group = np.array([group for group, (_, names) in enumerate(choices) for _ in names], int)
        offered = owner[:, None] == of_group
        motions = np.array([name for _, group in choices for name in group], "U16")
        is_shown = offered & (self.clips.stage[clips][:, None] == motions)
        which = is_shown.argmax(1) if len(motions) else np.zeros_like(owner)
        match, weight = relations(shown, shown + wrong, self.clips.level[clips])
        where = zip(self.clips.film[clips], self.clips.frame[clips], strict=True)
        gain = rng.uniform(0.85, 1.15, (len(clips), 1, 1, 1, 1)) * rng.uniform(0.95, 1.05, (len(clips), 1, 3, 1, 1))
        return Batch(
            clips,
            torch.from_numpy(np.stack([self._moved(self.films.clip(*place)) for place in where])),
            torch.from_numpy(gain).float(),
            torch.from_numpy(rng.uniform(-12, 12, (len(clips), 1, 1, 1, 1))).float(),
            [self._misheard(self._sentence(*what)) for what in shown + wrong],
            prompts,
            [self._motion_sentence(body, name) for body, group in choices for name in group],
            torch.from_numpy(owner),
            torch.from_numpy(offered),
            torch.from_numpy(which),
            torch.from_numpy(match).float(),
            torch.from_numpy(weight).float(),
            torch.from_numpy(np.concatenate(levels)).float(),
            torch.from_numpy(np.concatenate(twins)),
        )

    def _group(self, subject: str) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Draws clips of one subject, each with a partner: its moment from another view, or another of its film."""
        rng, twins = self.rng, np.arange(self.size)
        rows: list[int] = []
        if subject in TASKS:
            have = [stage for stage in STAGE_ODDS if (subject, stage) in self._rows]
            odds = np.array([STAGE_ODDS[stage] for stage in have])
            stages = rng.choice(have, self.size // 2, p=odds / odds.sum())
        else:  # the first half shows the motion of the prompt
            stages = rng.choice([motion for name, motion in self._rows if name == subject], self.size // 2)
            stages[: self.size // 4] = stages[0]
        for stage in stages:
            row = int(rng.choice(self._rows[subject, str(stage)]))
            film = int(self.clips.film[row])
            if rng.random() < 0.5:
                other = int(rng.choice([f for f in self._views[film] if f != film] or [film]))
                # Films of one episode have the same frames, hence the same labels.
                partner = int(row - self._first[film] + self._first[other])
                twins[len(rows)], twins[len(rows) + 1] = len(rows) + 1, len(rows)
            else:
                partner = int(rng.integers(self._first[film], self._first[film + 1]))
            rows += [row, partner]
        return np.array(rows), twins

    def _rival(self, task: str) -> str:
        """Draws another task, of the same scene if there is one."""
        rivals = [t for t in self.tasks if TASKS[t].scene == TASKS[task].scene and t != task]
        return str(self.rng.choice(rivals or self.tasks))

    def _sentence(self, subject: str, stage: str) -> str:
        if subject in TASKS:
            return caption(subject, _stage(stage), self.rng)
        return self._motion_sentence(subject, stage)

    def _motion_sentence(self, body: str, motion: str) -> str:
        known = motion in MOTIONS and self.rng.random() < 0.4
        return motion_prompt(body, motion) if known else motion_caption(body, motion, self.rng)

    def _misheard(self, sentence: str, chance: float = 0.15) -> str:
        """Drops one word of a few sentences, so that none is decisive by itself."""
        words = sentence.split()
        if len(words) > 4 and self.rng.random() < chance:
            words.pop(int(self.rng.integers(len(words))))
        return " ".join(words)

    def _moved(self, frames: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Shifts and zooms a clip by a few pixels."""
        size, rng = frames.shape[1], self.rng
        grid = (np.arange(size) - size / 2) * rng.uniform(0.92, 1.06) + size / 2
        ys, xs = (np.clip(np.rint(grid + rng.uniform(-4, 4)), 0, size - 1).astype(int) for _ in range(2))
        return frames.take(ys, axis=1).take(xs, axis=2)


def relations(
    shown: list[tuple[str, str]], said: list[tuple[str, str]], level: NDArray[np.float64]
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Returns which captions are true of which clips, and where that is known, both (B, C).

    Args:
        shown: B pairs of subject and stage.
        said: C of the same.
        level: (B,), nearness of each clip to success.
    """
    rows, columns = ([Meaning.of(*pair) for pair in pairs] for pairs in (shown, said))
    subject, scene, group = (
        tuple(np.array([getattr(m, name) for m in side]) for side in (rows, columns))
        for name in ("subject", "scene", "group")
    )
    same = subject[0][:, None] == subject[1]
    match = same & (group[0][:, None] == group[1])
    solved = group[1] == "solved"
    # Who knows whether a failed or random clip belongs to one task of a scene or to its rival?
    unknown = ~match & (scene[0][:, None] == scene[1]) & (group[0][:, None] == group[1]) & ~solved
    # Reaching and working shade into each other, and the last steps before success into success.
    shading = np.isin(group[0], ("approach", "partial", "shaky"))[:, None] & np.isin(
        group[1], ("approach", "partial", "shaky")
    )
    unknown |= same & ~match & (shading | ((level > 0.6)[:, None] & solved))
    return match, ~unknown


def _stage(name: str) -> Stage:
    stage: Stage = name  # type: ignore[assignment]
    return stage
