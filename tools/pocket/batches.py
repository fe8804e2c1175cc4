"""Batches of clips and sentences to train the pocket scorer on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tools.pocket.captions import PAPER_TASKS, TASKS, caption, prompt_or_paraphrase

# How near a stage is to success; only the order matters.
LEVELS = {"success": 3.0, "held": 3.0, "partial": 2.0, "approach": 1.0, "failed": 1.0, "random": 0.0, "idle": 0.0}
STRONG_NOISE = 0.5  # from this action noise on, a success counts half a level less
SAME_SCENE = {
    "faucet-open-v3": "faucet-close-v3",
    "window-open-v3": "window-close-v3",
    "handle-pull-side-v3": "handle-press-side-v3",
    "peg-insert-side-v3": "peg-unplug-side-v3",
    "stick-push-v3": "stick-pull-v3",
    "pick-place-v3": "push-v3",
}


@dataclass(frozen=True, slots=True)
class Batch:
    """Clips of a few tasks, several of each.

    Attributes:
        rows: int64 (B,), which clips.
        captions: B sentences, one a clip.
        prompts: one sentence that describes success, for each of the batch's T tasks.
        owner: int64 (B,), which of the T tasks a clip belongs to.
        match: float (B, B), 1 where a caption is true of a clip.
        weight: float (B, B), 0 where that is not known.
        level: float (B,), nearness to success.
    """

    rows: NDArray[np.int64]
    captions: list[str]
    prompts: list[str]
    owner: Tensor
    match: Tensor
    weight: Tensor
    level: Tensor

    @property
    def sentences(self) -> list[str]:
        """B captions, then T prompts."""
        return self.captions + self.prompts


class Sampler:
    """Draws batches: tasks of the paper more often than their rivals, stages evenly, success and random twice."""

    def __init__(self, data: dict[str, NDArray[Any]], seed: int, tasks: int = 8, clips: int = 8) -> None:
        self.data, self.rng, self.n_tasks, self.n_clips = data, np.random.default_rng(seed), tasks, clips
        self.level = np.array([LEVELS[str(stage)] for stage in data["stage"]])
        self.level -= 0.5 * ((self.level == LEVELS["success"]) & (data["noise"] > STRONG_NOISE))
        self.tasks = [task for task in TASKS if (data["task"] == task).any()]
        self.odds = {}
        for task in self.tasks:
            mine = np.flatnonzero(data["task"] == task)
            stages, inverse, counts = np.unique(data["stage"][mine], return_inverse=True, return_counts=True)
            share = np.where(np.isin(stages, ("success", "random")), 2.0, 1.0)
            odds = (share / counts)[inverse]
            self.odds[task] = (mine, odds / odds.sum())

    def draw(self, device: torch.device) -> Batch:
        """Draws one batch, its tensors on `device`."""
        odds = np.array([1.0 if task in PAPER_TASKS else 0.3 for task in self.tasks])
        tasks = self.rng.choice(self.tasks, self.n_tasks, replace=False, p=odds / odds.sum())
        rows = np.concatenate([self.rng.choice(self.odds[t][0], self.n_clips, p=self.odds[t][1]) for t in tasks])
        task, stage = self.data["task"][rows], self.data["stage"][rows]
        solved = np.isin(stage, ("success", "held"))
        scene = np.array([SAME_SCENE.get(name, name) for name in task])
        group = np.where(solved, "solved", stage)
        alike = (scene[:, None] == scene) & (group[:, None] == group)
        match = alike & (task[:, None] == task)
        # Who knows whether a failed or random clip belongs to one task of a scene or to its rival?
        weight = ~(alike & ~match & ~solved[:, None])
        return Batch(
            rows,
            [self._misheard(caption(t, s, self.rng)) for t, s in zip(task, stage, strict=True)],
            [prompt_or_paraphrase(t, self.rng) for t in tasks],
            torch.arange(self.n_tasks, device=device).repeat_interleave(self.n_clips),
            torch.from_numpy(match).float().to(device),
            torch.from_numpy(weight).float().to(device),
            torch.from_numpy(self.level[rows]).float().to(device),
        )

    def frames(self, rows: NDArray[np.int64], device: torch.device) -> Tensor:
        """Returns clips, each altered anew: (B, F, 3, H, W), values in [0, 255]."""
        frames = np.stack([self._augment(self.data["frames"][row]) for row in rows])
        return torch.from_numpy(frames).to(device).permute(0, 1, 4, 2, 3)

    def _misheard(self, sentence: str, chance: float = 0.2) -> str:
        """Drops one word of a few sentences, so that none is decisive by itself."""
        words = sentence.split()
        if len(words) > 4 and self.rng.random() < chance:
            words.pop(int(self.rng.integers(len(words))))
        return " ".join(words)

    def _augment(self, frames: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Shifts and zooms a clip by a few pixels, and changes brightness, contrast and tint a little."""
        size, rng = frames.shape[1], self.rng
        grid = (np.arange(size) - size / 2) * rng.uniform(0.92, 1.06) + size / 2
        ys, xs = (np.clip(np.rint(grid + rng.uniform(-4, 4)), 0, size - 1).astype(int) for _ in range(2))
        gain = rng.uniform(0.85, 1.15) * rng.uniform(0.95, 1.05, 3)
        moved = frames[:, ys[:, None], xs].astype(np.float32)
        return (moved * gain.astype(np.float32) + np.float32(rng.uniform(-12, 12))).clip(0, 255)
