"""What the pocket scorer is trained to do, as functions of cosines, and the schedule it learns by."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

TEMPERATURE = 0.1  # of the differences between scores
SHARPNESS = 6.0  # logits that a whole level of difference asks for


def matching_term(logits: Tensor, match: Tensor, weight: Tensor) -> Tensor:
    """Sigmoid loss of clip-caption pairs (Zhai et al., arXiv 2303.15343, algorithm 1): sum of captions, mean of clips.

    Args:
        logits: (B, C), clips in rows, captions in columns.
        match: (B, C), 1 for a true pair, 0 else.
        weight: (B, C), 0 leaves a pair out.
    """
    loss = functional.binary_cross_entropy_with_logits(logits, match, weight=weight, reduction="sum")
    return loss / len(logits)


def order_term(scores: Tensor, level: Tensor, owner: Tensor) -> Tensor:
    """Bradley-Terry loss with soft targets over all pairs of clips of one group; 0 where every difference is as asked.

    A difference of levels d asks for the odds exp(6 d). Equal levels ask for equal scores, so that nothing else - the
    view, the positions - moves them.

    Args:
        scores: (B,), cosine of each clip with its group's prompt.
        level: (B,), nearness to what the prompt says, in [0, 1].
        owner: (B,), group of each clip.
    """
    first, second = torch.triu_indices(len(scores), len(scores), 1, device=scores.device)
    pairs = owner[first] == owner[second]
    first, second = first[pairs], second[pairs]
    asked = SHARPNESS * (level[first] - level[second])
    given = (scores[first] - scores[second]) / TEMPERATURE
    target = asked.sigmoid()
    least = functional.binary_cross_entropy_with_logits(asked, target)
    return functional.binary_cross_entropy_with_logits(given, target) - least


def naming_term(scores: Tensor, offered: Tensor, name: Tensor) -> Tensor:
    """Cross-entropy of naming what a clip shows, mean over the clips that have names to choose from; 0 without any.

    Args:
        scores: (B, N), cosines of clips and names.
        offered: bool (B, N), which names are to choose from.
        name: int64 (B,), the right one; not read where none is offered.
    """
    rows = offered.any(1)
    logits = (scores[rows] / TEMPERATURE).masked_fill(~offered[rows], -torch.inf)
    loss = functional.cross_entropy(logits, name[rows], reduction="sum")
    return loss / rows.sum().clamp(min=1)


def twin_term(rows: Tensor, twins: Tensor) -> Tensor:
    """Mean squared distance between the embeddings of one moment from two views.

    Args:
        rows: (B, E), unit rows.
        twins: (B,), index of each row's twin; a row without one is its own.
    """
    alone = twins == torch.arange(len(twins), device=twins.device)
    gaps = (rows - rows[twins]).square().sum(1)
    return gaps.sum() / (~alone).sum().clamp(min=1)


def learning_rate(step: int, steps: int, highest: float, warmup: int = 200, decay: float = 0.3) -> float:
    """Rises over `warmup` steps, stays, and falls to zero in a line over the last `decay` of the steps.

    What is learned while it stays does not depend on `steps`, so a run may be made longer or shorter on the way.
    """
    rising = min((step + 1) / warmup, 1.0)
    falling = min((steps - step) / max(decay * steps, 1), 1.0)
    return highest * min(rising, falling)
