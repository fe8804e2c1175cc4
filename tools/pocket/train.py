"""Trains the pocket scorer on collected clips: `python -m tools.pocket.train --data outputs/pocket`.

Two losses. Every clip of a batch is paired with every caption under a sigmoid (Zhai et al., arXiv 2303.15343), so that
a sentence means something by itself. And within a task, clips nearer to success must score higher against the task's
prompt, whatever the view: a Bradley-Terry loss on the differences of scores. The first gives the meaning, the second
an order to learn a reward from.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import tyro
from numpy.typing import NDArray
from pydantic import TypeAdapter
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn import functional

from mvr_wrappers.scorers.devices import resolve_device
from mvr_wrappers.scorers.pocket import WEIGHTS
from mvr_wrappers.scorers.pocket_net import PocketConfig, TextTower, VideoTower
from tools.pocket.captions import PAPER_TASKS, TASKS, caption, prompt_or_paraphrase
from tools.pocket.collect import load

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
        frames: (B, F, 3, H, W), values in [0, 255].
        captions: B sentences, one a clip.
        prompts: one sentence that describes success, for each of the batch's T tasks.
        owner: int64 (B,), which of the T tasks a clip belongs to.
        match: float (B, B), 1 where a caption is true of a clip.
        weight: float (B, B), 0 where that is not known.
        level: float (B,), nearness to success.
    """

    frames: Tensor
    captions: list[str]
    prompts: list[str]
    owner: Tensor
    match: Tensor
    weight: Tensor
    level: Tensor


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
        """Draws one batch and moves it to `device`."""
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
        frames = np.stack([self._augment(self.data["frames"][row]) for row in rows])
        return Batch(
            torch.from_numpy(frames).to(device).permute(0, 1, 4, 2, 3),
            [caption(t, s, self.rng) for t, s in zip(task, stage, strict=True)],
            [prompt_or_paraphrase(t, self.rng) for t in tasks],
            torch.arange(self.n_tasks, device=device).repeat_interleave(self.n_clips),
            torch.from_numpy(match).float().to(device),
            torch.from_numpy(weight).float().to(device),
            torch.from_numpy(self.level[rows]).float().to(device),
        )

    def _augment(self, frames: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Shifts and zooms a clip by a few pixels, and changes brightness, contrast and tint a little."""
        size, rng = frames.shape[1], self.rng
        grid = (np.arange(size) - size / 2) * rng.uniform(0.92, 1.06) + size / 2
        ys, xs = (np.clip(np.rint(grid + rng.uniform(-4, 4)), 0, size - 1).astype(int) for _ in range(2))
        gain = rng.uniform(0.85, 1.15) * rng.uniform(0.95, 1.05, 3)
        moved = frames[:, ys[:, None], xs].astype(np.float32)
        return (moved * gain.astype(np.float32) + np.float32(rng.uniform(-12, 12))).clip(0, 255)


def matching_term(logits: Tensor, match: Tensor, weight: Tensor) -> Tensor:
    """Sigmoid loss of clip-caption pairs (arXiv 2303.15343, algorithm 1), summed over captions, mean over clips.

    Args:
        logits: (B, B), clips in rows, captions in columns.
        match: (B, B), 1 for a true pair, 0 else.
        weight: (B, B), 0 leaves a pair out.
    """
    loss = functional.binary_cross_entropy_with_logits(logits, match, weight=weight, reduction="sum")
    return loss / len(logits)


def order_term(scores: Tensor, level: Tensor, owner: Tensor, temperature: float = 0.1) -> Tensor:
    """Bradley-Terry loss over pairs of clips of one task whose levels differ.

    Args:
        scores: (B,), cosine of each clip with its task's prompt.
        level: (B,), nearness to success.
        owner: (B,), task of each clip.
        temperature: of the score differences.
    """
    higher = (level[:, None] > level) & (owner[:, None] == owner)
    gaps = (scores[:, None] - scores)[higher]
    return functional.softplus(-gaps / temperature).mean() if len(gaps) else scores.sum() * 0


def fold(tower: VideoTower, config: PocketConfig) -> VideoTower:
    """Returns the same function without batch normalisation: its scale and shift go into the convolutions."""
    plain = VideoTower(config)
    state = {k: v for k, v in tower.state_dict().items() if not k.startswith("norms.")}
    layers = ["frame", *(f"spatial.{i}" for i in range(len(tower.spatial)))]
    layers += [f"temporal.{i}" for i in range(len(tower.temporal))]
    for layer, norm in zip(layers, tower.norms, strict=True):
        scale = norm.weight / (norm.running_var + norm.eps).sqrt()
        weight = state[f"{layer}.weight"]
        state[f"{layer}.weight"] = weight * scale.view(-1, *[1] * (weight.ndim - 1))
        state[f"{layer}.bias"] = (state[f"{layer}.bias"] - norm.running_mean) * scale + norm.bias
        if layer == "frame":
            state["mean.weight"] = state["mean.weight"] * scale.view(-1, 1, 1, 1)
    plain.load_state_dict(state)
    return plain.eval()


def build(config: PocketConfig) -> nn.ModuleDict:
    """Makes untrained towers and the two scalars of the sigmoid loss."""
    towers = nn.ModuleDict({"video": VideoTower(config, norm=True), "text": TextTower(config)})
    video, text = towers["video"], towers["text"]
    assert isinstance(video, VideoTower) and isinstance(text, TextTower)
    with torch.no_grad():
        half = config.widths[0] // 2
        video.mean.weight.zero_()
        video.mean.weight[:half] = -video.frame.weight[:half]  # half of the filters start as differences from the mean
        text.pieces.weight.mul_(0.05)  # rows that training never touches shall stay small
    return towers


def save(towers: nn.ModuleDict, config: PocketConfig, path: Path) -> None:
    """Writes both towers in half precision, batch normalisation folded."""
    video, text = towers["video"], towers["text"]
    assert isinstance(video, VideoTower)
    plain = nn.ModuleDict({"video": fold(video, config), "text": text})
    state = {name: tensor.detach().half().cpu().contiguous() for name, tensor in plain.state_dict().items()}
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file(state, path, {"pocket": TypeAdapter(PocketConfig).dump_json(config).decode()})


def main(
    data: Path = Path("outputs/pocket"),
    out: Path = WEIGHTS,
    steps: int = 2_000,
    learning_rate: float = 2e-3,
    order_weight: float = 1.0,
    seed: int = 0,
    device: str = "auto",
) -> None:
    """Trains, and writes the weights.

    Args:
        data: folder that `tools.pocket.collect` wrote.
        out: file of the weights.
        steps: batches of 64 clips.
        learning_rate: highest one; it rises over the first twentieth and falls to zero as a cosine.
        order_weight: weight of the order within a task against the sigmoid loss.
        seed: of weights, batches and captions.
        device: "auto", "cpu", "cuda".
    """
    torch.manual_seed(seed)
    where, config = resolve_device(device), PocketConfig()
    towers = build(config).to(where).train()
    scale = nn.Parameter(torch.tensor([np.log(10.0), -5.0], device=where, dtype=torch.float32))
    sampler = Sampler(load(data, "train"), seed)
    print(f"{len(sampler.level)} clips, {sum(p.numel() for p in towers.parameters()):,} parameters", flush=True)
    optimizer = torch.optim.AdamW([*towers.parameters(), scale], learning_rate, weight_decay=0.02)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, learning_rate, steps, pct_start=0.05)
    began, running = time.monotonic(), np.zeros(2)
    for step in range(1, steps + 1):
        batch = sampler.draw(where)
        with torch.autocast(
            where.type, torch.bfloat16, enabled=where.type == "cuda"
        ):  # on CPUs its backward pass is slower
            video, text = towers["video"](batch.frames), towers["text"](batch.captions + batch.prompts)
        cosines = video @ text.T
        many = len(batch.captions)
        matching = matching_term(cosines[:, :many] * scale[0].exp() + scale[1], batch.match, batch.weight)
        scores = cosines[torch.arange(many, device=where), many + batch.owner]
        order = order_term(scores, batch.level, batch.owner)
        optimizer.zero_grad(set_to_none=True)
        (matching + order_weight * order).backward()
        optimizer.step()
        schedule.step()
        running += (matching.item(), order.item())
        if step % 50 == 0:
            print(f"{time.monotonic() - began:6.0f} s  step {step}: matching, order = {running / 50}", flush=True)
            running[:] = 0
        if step % 250 == 0 or step == steps:
            save(towers, config, out)


if __name__ == "__main__":
    tyro.cli(main)
