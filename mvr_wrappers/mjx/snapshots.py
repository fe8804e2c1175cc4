"""Snapshots as arguments of compiled functions."""

from __future__ import annotations

from dataclasses import replace

import jax
import numpy as np

from mvr_wrappers.errors import ConfigError
from mvr_wrappers.relevance_net import RelevanceNet
from mvr_wrappers.snapshot import KNOTS, RewardSnapshot

# The numbers of a snapshot are arguments of a compiled function and its rule is not: a new one compiles nothing anew.
jax.tree_util.register_dataclass(
    RewardSnapshot, data_fields=["net", "table", "weight", "gamma", "bound", "version"], meta_fields=["rule"]
)


def as_arrays(snapshot: RewardSnapshot, state_dim: int, hidden: int) -> RewardSnapshot:
    """Returns a snapshot whose numbers are float32 arrays, of the same shapes before the first update as after it.

    Args:
        snapshot: any snapshot of the engine.
        state_dim: D, of the states it is to shape.
        hidden: H, of the networks the engine learns.

    Raises:
        ConfigError: it was learned on states of another size.
    """
    if snapshot.state_dim not in (None, state_dim):
        raise ConfigError(
            f"this reward was learned on states of {snapshot.state_dim} numbers, and those of the env have {state_dim}:"
            " give the engine's own state_fn, or an engine of its own to this env"
        )
    if snapshot.net is None:  # a network of zeros finds every state irrelevant, and an empty table pays 0 for that
        row, layer = np.zeros(hidden, np.float32), np.zeros((hidden, hidden), np.float32)
        inputs = np.zeros(state_dim, np.float32)
        net = RelevanceNet(inputs, inputs, np.zeros((state_dim, hidden), np.float32), row, layer, row, row)
        snapshot = replace(snapshot, net=net, table=np.zeros(KNOTS, np.float32))
    arrays: RewardSnapshot = jax.tree.map(lambda part: np.asarray(part, np.float32), snapshot)
    return arrays
