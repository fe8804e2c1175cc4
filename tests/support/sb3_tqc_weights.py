"""The weights of sb3-contrib's TQC, laid out as the JAX TQC lays out its own."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch as th
from numpy.typing import NDArray
from sb3_contrib import TQC

Tree = dict[str, Any]  # of float32 arrays


def weights_of(agent: TQC) -> Tree:
    """Copies all weights that an update changes: field of `TrainState` -> its value."""
    return {
        "actor": {"params": _actor(agent.actor)},
        "critics": {"params": _critics(agent.critic)},
        "targets": {"params": _critics(agent.critic_target)},
        "log_ent_coef": _array(agent.log_ent_coef).reshape(()),
    }


def _actor(actor: Any) -> Tree:
    torso = _torso(actor.latent_pi)
    mean = _affine(actor.mu[0] if isinstance(actor.mu, th.nn.Sequential) else actor.mu)  # gSDE clips it
    if actor.use_sde:
        return {"Torso_0": torso, "Linear_0": mean, "log_std": _array(actor.log_std)}
    log_std = _affine(actor.log_std)
    both = {name: np.concatenate([mean[name], log_std[name]], axis=-1) for name in mean}  # ours is one layer
    return {"Torso_0": torso, "Linear_0": both}


def _critics(critics: Any) -> Tree:
    """Stacks the parameters of all critics along a first axis."""
    one_by_one = []
    for network in critics.q_networks:
        *hidden, head = network
        one_by_one.append({"Torso_0": _torso(hidden), **_affine(head)})
    return _stack(one_by_one)


def _stack(trees: list[Tree]) -> Tree:
    stacked: Tree = {}
    for name, first in trees[0].items():
        parts = [tree[name] for tree in trees]
        stacked[name] = _stack(parts) if isinstance(first, dict) else np.stack(parts)
    return stacked


def _torso(modules: Any) -> Tree:
    layers = [module for module in modules if isinstance(module, th.nn.Linear)]
    return {f"Linear_{i}": _affine(layer) for i, layer in enumerate(layers)}


def _affine(layer: Any) -> Tree:
    return {"kernel": _array(layer.weight).T, "bias": _array(layer.bias)}


def _array(values: Any) -> NDArray[np.float32]:
    return np.array(values.detach().numpy())  # a copy: torch goes on in the same memory
