"""Trains the pocket scorer on collected clips: `python -m tools.pocket.train --data outputs/pocket`.

Two losses. Every clip of a batch is paired with every caption under a sigmoid (Zhai et al., arXiv 2303.15343), so that
a sentence means something by itself. And within a task, clips nearer to success must score higher against the task's
prompt, whatever the view: a Bradley-Terry loss on the differences of scores. The first gives the meaning, the second
an order to learn a reward from.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
import tyro
from numpy.typing import NDArray
from pydantic import TypeAdapter
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn import functional

from mvr_wrappers.scorers.devices import resolve_device
from mvr_wrappers.scorers.pocket import WEIGHTS, read_weights
from mvr_wrappers.scorers.pocket_net import PocketConfig, TextTower, VideoTower
from tools.pocket.batches import Batch, Sampler
from tools.pocket.collect import load


@dataclass(frozen=True, slots=True)
class Settings:
    """How to train.

    Attributes:
        steps: batches of 64 clips for both towers; 0 keeps the video tower that is there.
        head_steps: batches of 160 clips for the last layer of the video tower and for the text tower, after that.
        copies: times each clip is altered and its features computed for that.
        learning_rate: highest one; it rises over the first twentieth and falls to zero as a cosine.
        order_weight: weight of the order within a task against the sigmoid loss.
        seed: of weights, batches and captions.
    """

    steps: int = 700
    head_steps: int = 1_200
    copies: int = 2
    learning_rate: float = 2e-3
    order_weight: float = 1.0
    seed: int = 0


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
    """Writes both towers as trained, batch normalisation folded into the convolutions."""
    video = towers["video"]
    assert isinstance(video, VideoTower)
    write(nn.ModuleDict({"video": fold(video, config), "text": towers["text"]}), config, path)


def write(towers: nn.ModuleDict, config: PocketConfig, path: Path) -> None:
    """Writes folded towers in half precision."""
    state = {name: tensor.detach().half().cpu().contiguous() for name, tensor in towers.state_dict().items()}
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file(state, path, {"pocket": TypeAdapter(PocketConfig).dump_json(config).decode()})


def total_loss(video: Tensor, text: Tensor, batch: Batch, scale: Tensor, order_weight: float) -> tuple[Tensor, Tensor]:
    """Returns the loss of one batch and its two terms (2,).

    Args:
        video: (B, E), unit rows.
        text: (B + T, E), unit rows: captions, then prompts.
        batch: where they come from.
        scale: (2,), logarithm of the factor on the cosines, and what is added to them.
        order_weight: weight of the order term.
    """
    cosines, many = video @ text.T, len(batch.captions)
    matching = matching_term(cosines[:, :many] * scale[0].exp() + scale[1], batch.match, batch.weight)
    own = cosines[torch.arange(many, device=cosines.device), many + batch.owner]
    order = order_term(own, batch.level, batch.owner)
    return matching + order_weight * order, torch.stack([matching, order]).detach()


def fit(
    parameters: list[nn.Parameter], step_loss: Callable[[], tuple[Tensor, Tensor]], steps: int, learning_rate: float
) -> Iterator[int]:
    """Takes optimiser steps and yields after each; prints the mean terms of every 50."""
    optimizer = torch.optim.AdamW(parameters, learning_rate, weight_decay=0.02)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, learning_rate, steps, pct_start=0.05)
    began, running = time.monotonic(), np.zeros(2)
    for step in range(1, steps + 1):
        loss, terms = step_loss()
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        schedule.step()
        running += terms.cpu().numpy() / 50
        if step % 50 == 0:
            print(f"{time.monotonic() - began:6.0f} s  step {step}: matching, order = {running}", flush=True)
            running[:] = 0
        yield step


def new_scale(device: torch.device) -> nn.Parameter:
    """Returns the two scalars of the sigmoid loss as they begin."""
    return nn.Parameter(torch.tensor([np.log(10.0), -5.0], device=device, dtype=torch.float32))


def train_both(data: dict[str, NDArray[Any]], out: Path, settings: Settings, device: torch.device) -> None:
    """Trains both towers together and writes them, now and then on the way as well."""
    config = PocketConfig()
    towers, scale = build(config).to(device).train(), new_scale(device)
    sampler = Sampler(data, settings.seed)

    def step_loss() -> tuple[Tensor, Tensor]:
        batch = sampler.draw(device)
        # On CPUs the backward pass of these convolutions is slower in bfloat16.
        with torch.autocast(device.type, torch.bfloat16, enabled=device.type == "cuda"):
            video, text = towers["video"](sampler.frames(batch.rows, device)), towers["text"](batch.sentences)
        return total_loss(video, text, batch, scale, settings.order_weight)

    for step in fit([*towers.parameters(), scale], step_loss, settings.steps, settings.learning_rate):
        if step % 250 == 0 or step == settings.steps:
            save(towers, config, out)


def train_heads(data: dict[str, NDArray[Any]], out: Path, settings: Settings, device: torch.device) -> None:
    """Goes on with the last layer of the video tower and the text tower, over features computed once.

    Without the convolutions a step costs little, so the two can see many more pairs and sentences than the whole.
    """
    config, towers = read_weights(out)
    video, text = towers["video"].to(device), towers["text"].to(device)
    assert isinstance(video, VideoTower)
    sampler = Sampler(data, settings.seed + 1, tasks=10, clips=16)
    chunks = np.array_split(np.tile(np.arange(len(sampler.level)), settings.copies), 1 + len(sampler.level) // 16)
    with torch.inference_mode():
        features = torch.cat([video.features(sampler.frames(chunk, device)) for chunk in chunks])
    features = features.clone().view(settings.copies, len(sampler.level), -1)
    scale = new_scale(device)

    def step_loss() -> tuple[Tensor, Tensor]:
        batch = sampler.draw(device)
        copy = torch.from_numpy(sampler.rng.integers(settings.copies, size=len(batch.rows)))
        chosen = functional.dropout(features[copy, torch.from_numpy(batch.rows)], 0.1)
        return total_loss(video.head(chosen), text(batch.sentences), batch, scale, settings.order_weight)

    heads = [*video.project.parameters(), *text.parameters()]
    for parameter in heads:
        parameter.requires_grad_(True)
    for _ in fit([*heads, scale], step_loss, settings.head_steps, settings.learning_rate / 4):
        pass
    write(towers, config, out)


def main(
    settings: Annotated[Settings, tyro.conf.arg(name="")],
    data: Path = Path("outputs/pocket"),
    out: Path = WEIGHTS,
    device: str = "auto",
) -> None:
    """Trains, and writes the weights.

    Args:
        settings: how.
        data: folder that `tools.pocket.collect` wrote.
        out: file of the weights.
        device: "auto", "cpu", "cuda".
    """
    torch.manual_seed(settings.seed)
    clips, where = load(data, "train"), resolve_device(device)
    print(f"{len(clips['frames'])} clips", flush=True)
    if settings.steps:
        train_both(clips, out, settings, where)
    if settings.head_steps:
        train_heads(clips, out, settings, where)


if __name__ == "__main__":
    tyro.cli(main)
