"""RelevanceModel: state embedding g(s) and state relevance f(s) (MVR, arXiv 2603.01694, section 4.2)."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from mvr_wrappers.relevance_net import UNBOUNDED, RelevanceNet

# Said at every creation: a caller may have changed the defaults of torch.
PLAIN: dict[str, Any] = {"dtype": torch.float32, "device": "cpu"}


class RelevanceModel(nn.Module):
    """f(s) = <d/|d|, g(s)> in [-1, 1], with g(s) = h(s)/|h(s)| and h a linear-ReLU-linear network.

    States are standardised by a mean and a deviation that are part of the model and change only through
    `set_standardisation`, and then clipped.

    Args:
        state_dim: D.
        hidden: H, width of both layers.
        generator: source of the initial weights; the global one of torch is not touched.
        state_bound: standardised states are clipped to [-state_bound, state_bound]; None does not clip.
        direction_length: |d| at the start.
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self,
        state_dim: int,
        hidden: int,
        generator: torch.Generator,
        *,
        state_bound: float | None = None,
        direction_length: float = 1.0,
    ) -> None:
        super().__init__()
        self.state_bound = UNBOUNDED if state_bound is None else state_bound
        self.register_buffer("mean", torch.zeros(state_dim, **PLAIN))
        self.register_buffer("std", torch.ones(state_dim, **PLAIN))
        self.layer_1 = _linear(state_dim, hidden, generator)
        self.layer_2 = _linear(hidden, hidden, generator)
        direction = F.normalize(torch.randn(hidden, generator=generator, **PLAIN), dim=0)
        self.direction = nn.Parameter(direction_length * direction)

    @property
    def unit_direction(self) -> Tensor:
        """(H,), d/|d|: the only way the direction is ever used."""
        return F.normalize(self.direction, dim=0)

    def embed(self, states: Tensor) -> Tensor:
        """Computes g(s): float32 (..., D) -> (..., H), unit rows."""
        inputs = ((states - self.mean) / self.std).clamp(-self.state_bound, self.state_bound)
        hidden = F.relu(self.layer_1(inputs))
        return F.normalize(self.layer_2(hidden), dim=-1)

    def forward(self, states: Tensor) -> Tensor:
        """Computes f(s): float32 (..., D) -> (...), in [-1, 1]."""
        return self.embed(states) @ self.unit_direction

    def set_standardisation(self, mean: NDArray[np.float64], std: NDArray[np.float64]) -> None:
        """Freezes the mean (D,) and deviation (D,), greater than 0, that states are standardised with."""
        self.mean.copy_(torch.from_numpy(mean))
        self.std.copy_(torch.from_numpy(std))

    @torch.no_grad()
    def relevance(self, states: NDArray[np.float32]) -> NDArray[np.float32]:
        """Computes f(s) in NumPy: (..., D) -> float32 (...)."""
        tensor = torch.tensor(states, dtype=torch.float32, device=self.mean.device)
        return np.asarray(self(tensor).cpu().numpy())

    @torch.no_grad()
    def net(self) -> RelevanceNet:
        """Copies f into NumPy arrays, the direction normalised."""
        tensors = (
            *(self.mean, 1.0 / self.std),
            *(self.layer_1.weight.T, self.layer_1.bias, self.layer_2.weight.T, self.layer_2.bias),
            *(self.unit_direction, torch.tensor(self.state_bound)),
        )
        return RelevanceNet(*(np.array(tensor.cpu().numpy(), np.float32, order="C") for tensor in tensors))


def _linear(inputs: int, outputs: int, generator: torch.Generator) -> nn.Linear:
    """Returns a linear layer with torch's usual initial weights, drawn from `generator`."""
    layer = nn.Linear(inputs, outputs, device="meta", dtype=torch.float32)  # so that nothing is drawn globally
    layer = layer.to_empty(device="cpu")
    bound = 1.0 / math.sqrt(inputs)
    for parameter in (layer.weight, layer.bias):
        nn.init.uniform_(parameter, -bound, bound, generator=generator)
    return layer
