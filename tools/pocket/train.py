"""Trains the pocket scorer on collected films: `python -m tools.pocket.train --data outputs/pocket`.

Four losses (losses.py). Every clip of a batch is paired with every caption under a sigmoid, so that a sentence means
something by itself. Within a task, clips are ordered by their nearness to success, whatever the view, the positions and
the light, and by nothing else. And one moment from two views has one embedding. The first gives the meaning, the
second an order to learn a reward from, the third lets cameras be moved. Last, clips of a body choose among its motions.

A run writes a checkpoint beside the weights every few hundred steps and goes on from it when it is started again.
"""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
import tyro
from pydantic import TypeAdapter
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.utils.data import DataLoader

from mvr_wrappers.scorers.devices import resolve_device
from mvr_wrappers.scorers.pocket.net import PocketConfig, TextTower, VideoTower
from mvr_wrappers.scorers.pocket.scorer import read_weights
from tools.pocket.batches import Batch, Sampler
from tools.pocket.films import read_films
from tools.pocket.labels import label
from tools.pocket.losses import learning_rate, matching_term, naming_term, order_term, twin_term


@dataclass(frozen=True, slots=True)
class Settings:
    """How to train.

    Attributes:
        steps: batches; a finished run may be given more, or a cut one fewer.
        groups: tasks and bodies in a batch, of eight clips each.
        rate: highest learning rate.
        order_weight: weight of the order within a task against the sigmoid loss.
        twin_weight: weight of the distance between views against the sigmoid loss.
        naming_weight: weight of naming a body's motion against the sigmoid loss.
        half: compute in bfloat16; slower on processors without instructions for it.
        seed: of weights, batches and captions.
    """

    steps: int = 6_000
    groups: int = 8
    rate: float = 1.5e-3
    order_weight: float = 4.0
    twin_weight: float = 0.5
    naming_weight: float = 2.0
    half: bool = True
    seed: int = 0


def fold(tower: VideoTower, config: PocketConfig) -> VideoTower:
    """Returns the same function without batch normalisation: its scale and shift go into the convolutions."""
    plain = VideoTower(config).to(tower.project.weight.device)
    state = {k: v for k, v in tower.state_dict().items() if not k.startswith("norms.")}
    layers = ["frame", *(f"spatial.{i}" for i in range(len(tower.spatial)))]
    layers += [f"temporal.{i}" for i in range(len(tower.temporal))]
    norms: Any = tower.norms  # batch normalisation of images, of videos, or none
    for layer, norm in zip(layers, norms, strict=True):
        if isinstance(norm, nn.Identity):
            continue
        scale = norm.weight / (norm.running_var + norm.eps).sqrt()
        weight = state[f"{layer}.weight"]
        state[f"{layer}.weight"] = weight * scale.view(-1, *[1] * (weight.ndim - 1))
        state[f"{layer}.bias"] = (state[f"{layer}.bias"] - norm.running_mean) * scale + norm.bias
        if layer == "frame":
            state["mean.weight"] = state["mean.weight"] * scale.view(-1, 1, 1, 1)
    plain.load_state_dict(state)
    return plain.eval()


def build(config: PocketConfig) -> nn.ModuleDict:
    """Makes untrained towers."""
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
    """Writes both towers in half precision, batch normalisation folded into the convolutions."""
    video = towers["video"]
    assert isinstance(video, VideoTower)
    folded = nn.ModuleDict({"video": fold(video, config), "text": towers["text"]})
    state = {name: tensor.detach().half().cpu().contiguous() for name, tensor in folded.state_dict().items()}
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file(state, path, {"pocket": TypeAdapter(PocketConfig).dump_json(config).decode()})


class Trainer:
    """Towers and optimiser, and the step they are at."""

    def __init__(
        self,
        settings: Settings,
        device: torch.device,
        config: PocketConfig | None = None,
        start: Path | None = None,
    ) -> None:
        torch.manual_seed(settings.seed)
        self.settings, self.device = settings, device
        self.config = config or PocketConfig()
        towers = build(self.config)
        if start is not None:
            self.config, towers = read_weights(start)
        self.towers = towers.to(device).train().requires_grad_(True)
        # Logarithm of the factor on the cosines of the sigmoid loss, and what is added to them.
        self.scale = nn.Parameter(torch.tensor([np.log(10.0), -5.0], device=device, dtype=torch.float32))
        self.optimizer = torch.optim.AdamW([*self.towers.parameters(), self.scale], settings.rate, weight_decay=0.02)
        self.step = 0

    def advance(self, batch: Batch) -> Tensor:
        """Takes one step; returns the four terms (4,)."""
        settings, batch = self.settings, batch.to(self.device)
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate(self.step, settings.steps, settings.rate)
        with torch.autocast(self.device.type, torch.bfloat16, enabled=settings.half):
            video, text = self.towers["video"](batch.pixels()), self.towers["text"](batch.sentences)
        terms = loss_terms(video, text, batch, self.scale)
        weights = terms.new_tensor([1.0, settings.order_weight, settings.twin_weight, settings.naming_weight])
        self.optimizer.zero_grad(set_to_none=True)
        (terms * weights).sum().backward()
        self.optimizer.step()
        self.step += 1
        return terms.detach()

    def save(self, path: Path) -> None:
        """Writes a checkpoint, whole or not at all."""
        state = {
            "towers": self.towers.state_dict(),
            "scale": self.scale.detach(),
            "optimizer": self.optimizer.state_dict(),
            "step": self.step,
        }
        torch.save(state, path.with_suffix(".part"))
        path.with_suffix(".part").replace(path)

    def load(self, path: Path) -> None:
        """Goes on from a checkpoint."""
        state: dict[str, Any] = torch.load(path, map_location=self.device, weights_only=True)
        self.towers.load_state_dict(state["towers"])
        self.scale.data.copy_(state["scale"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.step = state["step"]


def loss_terms(video: Tensor, text: Tensor, batch: Batch, scale: Tensor) -> Tensor:
    """Returns the matching, the order, the twin and the naming term of one batch, (4,).

    Args:
        video: (B, E), unit rows.
        text: (C + G + N, E), unit rows: captions, prompts, motions.
        batch: where they come from.
        scale: (2,), logarithm of the factor on the cosines, and what is added to them.
    """
    sizes = [len(batch.captions), len(batch.prompts), len(batch.motions)]
    captions, prompts, motions = (video @ text.T).split(sizes, dim=1)
    own = prompts.gather(1, batch.owner[:, None])[:, 0]
    return torch.stack(
        [
            matching_term(captions * scale[0].exp() + scale[1], batch.match, batch.weight),
            order_term(own, batch.level, batch.owner),
            twin_term(video, batch.twins),
            naming_term(motions, batch.offered, batch.motion),
        ]
    )


def main(
    settings: Annotated[Settings, tyro.conf.arg(name="")],
    data: Path = Path("outputs/pocket"),
    out: Path = Path("outputs/pocket/pocket.safetensors"),
    device: str = "auto",
    every: int = 200,
    start: Path | None = None,
    workers: int = 0,
) -> None:
    """Trains, and writes the weights.

    Args:
        settings: how.
        data: folder that `tools.pocket.collect` wrote.
        out: file of the weights; the checkpoint lies beside it.
        device: "auto", "cpu", "cuda".
        every: steps from one checkpoint to the next.
        start: weights to begin with, as a scorer has them, without normalisation over the batch: use a lower rate.
        workers: processes that draw batches ahead; a GPU needs a dozen, a CPU none.
    """
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # lets CUDA repeat itself, too
    torch.use_deterministic_algorithms(True, warn_only=True)
    films = read_films(data / "train")
    clips = label(films)
    print(f"{len(films.start)} films, {len(clips.film)} clips", flush=True)
    sampler = Sampler(films, clips, settings.seed, settings.groups)
    trainer = Trainer(settings, resolve_device(device), start=start)
    checkpoint = out.with_suffix(".checkpoint")
    if checkpoint.exists():
        trainer.load(checkpoint)
        print(f"going on from step {trainer.step}", flush=True)
    began, running = time.monotonic(), np.zeros(4)
    batches = DataLoader(sampler, batch_size=None, sampler=range(trainer.step, settings.steps), num_workers=workers)
    for batch in batches:
        running += trainer.advance(batch).cpu().numpy() / 50
        if trainer.step % 50 == 0:
            terms = ", ".join(f"{term:.4f}" for term in running)
            print(
                f"{time.monotonic() - began:6.0f} s  step {trainer.step}: match, order, twin, naming = {terms}",
                flush=True,
            )
            running[:] = 0
        if trainer.step % every == 0 or trainer.step == settings.steps:
            out.parent.mkdir(parents=True, exist_ok=True)
            trainer.save(checkpoint)
            save(trainer.towers, trainer.config, out)


if __name__ == "__main__":
    tyro.cli(main)
