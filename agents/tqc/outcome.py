"""TrainOutcome: what one call of `programs.train` came to, and how it is read."""

from __future__ import annotations

from typing import NamedTuple

import jax
import numpy as np

from mvr_agents.tqc.update import Batch, Losses
from mvr_wrappers.errors import NonFiniteError

Array = jax.Array


class TrainOutcome(NamedTuple):
    """What one call of `programs.train` came to.

    Attributes:
        losses: sums over the updates done.
        updates: int32, updates done. Fewer than asked for: the next batch was not finite, and nothing learned from it.
        finite: bool (5,), whether each part of that batch is finite.
    """

    losses: Losses
    updates: Array
    finite: Array


def mean_losses(
    outcome: TrainOutcome, asked: int, n_updates: int, env_steps: int, learned_ent_coef: bool
) -> dict[str, float]:
    """Returns the means of the losses of a training, by the names SB3 logs them under.

    Args:
        outcome: of a training, as NumPy arrays.
        asked: gradient steps it was asked for.
        n_updates: gradient steps of the agent, these included.
        env_steps: environment steps of the agent, for the message.
        learned_ent_coef: whether the entropy coefficient has a loss.

    Raises:
        NonFiniteError: a batch was not finite, from which nothing was learned, or the losses were not.
    """
    if outcome.updates < asked:
        parts = [name for name, finite in zip(Batch._fields, outcome.finite, strict=True) if not finite]
        raise NonFiniteError(
            f"NaN or infinity in the {' and '.join(parts)} of the batch for update {n_updates + 1}, drawn at env step "
            f"{env_steps}; the networks are as they were before it"
        )
    if not np.isfinite(outcome.losses.critic + outcome.losses.actor):
        raise NonFiniteError(
            f"the losses became NaN or infinite in updates {n_updates - asked + 1} to {n_updates}, at env step "
            f"{env_steps}: the networks have diverged. A smaller learning rate may help"
        )
    sums = {
        "ent_coef": outcome.losses.ent_coef_value,
        "actor_loss": outcome.losses.actor,
        "critic_loss": outcome.losses.critic,
    }
    if learned_ent_coef:
        sums["ent_coef_loss"] = outcome.losses.ent_coef
    return {name: float(total / outcome.updates) for name, total in sums.items()}
