"""RelevanceTrainer: fits the relevance model to the clips seen so far (MVR, arXiv 2603.01694, section 4.2)."""

from __future__ import annotations

import copy
import math
import time
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mvr_wrappers.arrays import Arrays, generator_from_array, generator_to_array, group, nested
from mvr_wrappers.relevance.dataset import ClipBatch, ClipDataset
from mvr_wrappers.relevance.losses import direct_loss, matching_loss, representation_loss
from mvr_wrappers.relevance.model import RelevanceModel
from mvr_wrappers.settings import RelevanceSettings


@dataclass(frozen=True, slots=True)
class UpdateReport:
    """What one update did.

    Attributes:
        steps: optimiser steps taken; 0 when the update was skipped.
        n_clips: clips in the dataset.
        skipped: why nothing was trained; empty when it was.
        diverged: whether weights became NaN or infinite; then those before the update are left.
        stopped_early: whether the held-out loss stopped it; else it took `max_steps`.
        matching_loss: of the objective, mean over the last epoch's steps; in nats where that is "matching".
        representation_loss: the same of that loss.
        held_out_before: both losses, weighted, on the clips of held-out episodes before the update.
        held_out_after: the same with the weights that were kept.
        held_out_episodes: how many episodes these clips are of.
        pair_accuracy: share of their pairs that f orders as their scores do.
        seconds: wall time.
    """

    steps: int
    n_clips: int
    skipped: str = ""
    diverged: bool = False
    stopped_early: bool = False
    matching_loss: float = math.nan
    representation_loss: float = math.nan
    held_out_before: float = math.nan
    held_out_after: float = math.nan
    held_out_episodes: int = 0
    pair_accuracy: float = math.nan
    seconds: float = 0.0


class _Losses(NamedTuple):
    total: Tensor
    objective: Tensor
    representation: Tensor


class _Watch:
    """Watches the held-out loss of a model that is trained, and keeps the weights that an update leaves.

    Args:
        model: whose weights these are.
        loss: before it is trained; infinite if the weights so far are not to be kept.
        keep: "best" or "last".
    """

    def __init__(self, model: RelevanceModel, loss: float, keep: str) -> None:
        self._model, self._keep, self._best = model, keep, loss
        self.stale = 0  # epochs since the loss was lowest
        self.diverged = False
        self.weights = self._before = _copy(model)

    def see(self, loss: float) -> None:
        """Takes note of the loss after an epoch."""
        if not _is_finite(self._model):
            self.diverged, self.weights = True, self._before
            return
        better = loss < self._best
        self._best, self.stale = min(loss, self._best), 0 if better else self.stale + 1
        if better or self._keep == "last":
            self.weights = _copy(self._model)


class RelevanceTrainer:
    """Owns the relevance model and everything random about its training but the choice of held-out episodes.

    Training goes on from the previous weights at every update, as in the paper; the optimiser starts afresh, because
    its moments belong to the last weights, not to the best ones that an update leaves behind. On a CPU, training
    repeats to the bit for one seed and one number of threads.

    Args:
        settings: how to train.
        rng: source of initial weights, clips, pairs and states; owned by the trainer from here on.
        device: of torch, such as "cpu" or "cuda:0".
    """

    def __init__(self, settings: RelevanceSettings, rng: np.random.Generator, device: str = "cpu") -> None:
        self.settings = settings
        self.model: RelevanceModel | None = None
        self.total_steps = 0
        self._rng = rng
        self._device = torch.device(device)

    def update(self, dataset: ClipDataset) -> UpdateReport:
        """Trains until the held-out loss stops falling, and leaves the weights that `settings.keep` names.

        While no two clips are held out, it trains for `settings.patience` epochs.
        """
        start = time.perf_counter()
        if dataset.n_train < 2:
            reason = f"{len(dataset)} clips of {dataset.n_episodes} episodes are too few: an update compares clips"
            return UpdateReport(steps=0, n_clips=len(dataset), skipped=reason)
        # An env may be stepped, and so this update be run, inside a caller's no_grad or inference_mode.
        with torch.inference_mode(False), torch.enable_grad():
            report = self._fit(self._prepare_model(dataset), dataset)
        return replace(report, seconds=time.perf_counter() - start)

    def state_dict(self) -> dict[str, NDArray[Any]]:
        """Returns everything as named arrays that `numpy.savez` stores without pickling."""
        arrays = {"total_steps": np.array(self.total_steps), "rng": generator_to_array(self._rng)}
        if self.model is None:
            return arrays
        weights = {name: tensor.cpu().numpy().copy() for name, tensor in self.model.state_dict().items()}
        return {**arrays, **nested(model=weights)}

    def load_state_dict(self, arrays: Arrays) -> None:
        """Takes over the state of a trainer of the same settings."""
        self.total_steps = int(arrays["total_steps"])
        self._rng = generator_from_array(arrays["rng"])
        weights = {name: torch.from_numpy(np.array(array)) for name, array in group(arrays, "model").items()}
        if weights:
            self.model = self._new_model(len(weights["mean"]), torch.Generator())
            self.model.load_state_dict(weights)

    def _new_model(self, state_dim: int, generator: torch.Generator) -> RelevanceModel:
        settings = self.settings
        bound = settings.state_bound if settings.standardise else None
        model = RelevanceModel(
            *(state_dim, settings.hidden, generator), state_bound=bound, direction_length=settings.direction_length
        )
        return model.to(self._device)

    def _prepare_model(self, dataset: ClipDataset) -> RelevanceModel:
        if self.model is None:
            generator = torch.Generator().manual_seed(int(self._rng.integers(2**63)))
            self.model = self._new_model(dataset.state_dim, generator)
        if self.settings.standardise:
            # The weights are not rescaled to make up for the change of standardisation. That would keep f exactly, but
            # a feature that was nearly constant so far would leave huge weights behind once it starts to vary.
            self.model.set_standardisation(*dataset.standardisation(self.settings.constant))
        return self.model

    def _fit(self, model: RelevanceModel, dataset: ClipDataset) -> UpdateReport:
        settings = self.settings
        trained = copy.deepcopy(model)  # what the optimiser moves; `model` follows as its running average
        optimiser = torch.optim.AdamW(
            trained.parameters(), lr=settings.learning_rate, weight_decay=settings.weight_decay, fused=True
        )
        held_out = dataset.held_out() if dataset.n_held > 1 else None
        held_pairs = np.stack(np.triu_indices(dataset.n_held, k=1))  # at most 50 clips, hence at most 1,225 pairs
        before, _ = self._evaluate(model, held_out, held_pairs)
        # Weights that have learned nothing are unsure of everything, which a loss over few episodes may prefer.
        start = before if self.total_steps else math.inf
        watch = _Watch(model, start, settings.keep if held_out is not None else "last")
        steps, last = 0, (math.nan, math.nan)
        try:
            while steps < settings.max_steps and (
                watch.stale < settings.patience or self.total_steps < settings.min_total_steps
            ):
                epoch = min(settings.steps_per_epoch, settings.max_steps - steps)
                last = self._train_epoch(model, trained, optimiser, dataset, epoch)
                steps += epoch
                watch.see(self._evaluate(model, held_out, held_pairs)[0])
                if watch.diverged:
                    return UpdateReport(steps, len(dataset), diverged=True)
                self.total_steps += epoch
        finally:  # an error too leaves weights that can be saved
            model.load_state_dict(watch.weights)
        after, accuracy = self._evaluate(model, held_out, held_pairs)
        return UpdateReport(
            steps,
            len(dataset),
            stopped_early=steps < settings.max_steps,
            matching_loss=last[0],
            representation_loss=last[1],
            held_out_before=before,
            held_out_after=after,
            held_out_episodes=dataset.n_held_episodes,
            pair_accuracy=accuracy,
        )

    def _train_epoch(
        self,
        model: RelevanceModel,
        trained: RelevanceModel,
        optimiser: torch.optim.Optimizer,
        dataset: ClipDataset,
        steps: int,
    ) -> tuple[float, float]:
        """Trains `trained`, `model` following; returns the mean matching and representation loss over the steps."""
        settings, rng = self.settings, self._rng
        history = torch.zeros(2, device=self._device)  # summed on the device: reading it every step would wait for it
        for _ in range(steps):
            batch = dataset.sample(rng, settings.clips, settings.states_per_clip)
            losses = self._losses(trained, batch, draw_pairs(rng, len(batch.scores), settings.pairs))[0]
            optimiser.zero_grad(set_to_none=True)
            losses.total.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
            _follow(model, trained, settings.averaging)
            history += torch.stack([losses.objective.detach(), losses.representation.detach()])
        objective, representation = (history / steps).tolist()
        return objective, representation

    @torch.no_grad()
    def _evaluate(
        self, model: RelevanceModel, held_out: ClipBatch | None, pairs: NDArray[np.int64]
    ) -> tuple[float, float]:
        """Returns the weighted loss and the pair accuracy on the held-out clips; NaN where there are none."""
        if held_out is None:
            return math.nan, math.nan
        losses, relevance = self._losses(model, held_out, pairs)
        f, psi = relevance.cpu().numpy(), held_out.scores
        df, dpsi = f[pairs[0]] - f[pairs[1]], psi[pairs[0]] - psi[pairs[1]]
        ranked = dpsi != 0
        accuracy = float((np.sign(df) == np.sign(dpsi))[ranked].mean()) if ranked.any() else math.nan
        return float(losses.total), accuracy

    def _losses(self, model: RelevanceModel, batch: ClipBatch, pairs: NDArray[np.int64]) -> tuple[_Losses, Tensor]:
        """Returns the losses over pairs (2, P) of the batch's clips, and the clips' relevances (M,)."""
        settings = self.settings
        states, psi, e = (
            torch.from_numpy(array).to(self._device) for array in (batch.states, batch.scores, batch.embeddings)
        )
        i, j = torch.from_numpy(pairs).to(self._device)
        g = model.embed(states).mean(dim=1)
        f = g @ model.unit_direction  # the mean of <d, g(s)> is <d, mean of g(s)>
        if settings.objective == "direct":
            objective = direct_loss(f, psi)
        else:
            objective = matching_loss(f[i], f[j], psi[i], psi[j], settings.tau, settings.beta)
        representation = representation_loss(
            *(e.index_select(0, i), e.index_select(0, j)), *(g.index_select(0, i), g.index_select(0, j))
        )
        return _Losses(objective + settings.representation_weight * representation, objective, representation), f


def draw_pairs(rng: np.random.Generator, n_clips: int, n_pairs: int) -> NDArray[np.int64]:
    """Draws pairs of distinct clips: int64 (2, P), uniform over the ordered pairs of `n_clips`, which is at least 2."""
    first = rng.integers(n_clips, size=n_pairs)
    return np.stack([first, (first + rng.integers(1, n_clips, size=n_pairs)) % n_clips])


@torch.no_grad()
def _follow(average: RelevanceModel, model: RelevanceModel, keep: float) -> None:
    """Moves a running average of weights towards those of `model`; equals them where `keep` is 0."""
    for mean, weight in zip(average.parameters(), model.parameters(), strict=True):
        mean.lerp_(weight, 1.0 - keep)


def _is_finite(model: RelevanceModel) -> bool:
    return all(bool(torch.isfinite(tensor).all()) for tensor in model.state_dict().values())


def _copy(model: RelevanceModel) -> dict[str, Tensor]:
    return {name: tensor.clone() for name, tensor in model.state_dict().items()}
