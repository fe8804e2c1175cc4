"""The losses of state relevance, as pure functions of torch tensors (MVR, arXiv 2603.01694, section 4.2)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def matching_loss(
    f_i: Tensor, f_j: Tensor, psi_i: Tensor, psi_j: Tensor, tau: float = 0.1, beta: float = 100.0
) -> Tensor:
    """Asks the relevances of two clips to be ordered as their scores, softly.

    BCE(sigma((f_i - f_j) / tau), sigma(beta (psi_i - psi_j))), the second being the target; a Bradley-Terry
    likelihood with soft labels. Finite for every finite input.

    Args:
        f_i: (B,), mean relevance of the first clip of each pair.
        f_j: (B,), of the second.
        psi_i: (B,), video-text score of the first clip.
        psi_j: (B,), of the second.
        tau: temperature of the relevance differences, greater than 0.
        beta: sharpness of the score differences, at least 0.

    Returns:
        Mean over the pairs, a scalar, in nats.
    """
    target = torch.sigmoid(beta * (psi_i - psi_j))
    return F.binary_cross_entropy_with_logits((f_i - f_j) / tau, target)


def direct_loss(f: Tensor, psi: Tensor) -> Tensor:
    """Asks the relevance of a clip to be its score: (f - psi)^2, the paper's ablation "direct" of the matching loss.

    Args:
        f: (B,), mean relevance of each clip.
        psi: (B,), its video-text score.

    Returns:
        Mean over the clips, a scalar.
    """
    return F.mse_loss(f, psi)


def representation_loss(e_i: Tensor, e_j: Tensor, g_i: Tensor, g_j: Tensor) -> Tensor:
    """Asks two clips to be as similar in their states as they are in their videos: |cos(e_i, e_j) - <g_i, g_j>|.

    Of clips filmed from several views, cos(e_i, e_j) is the mean of the cosines between videos from the same view.

    Args:
        e_i: (B, E) or (B, V, E), video embedding of the first clip of each pair, or of each of its views in the order
            of the second's; need not be unit vectors.
        e_j: (B, E) or (B, V, E), of the second.
        g_i: (B, H), mean state embedding of the first clip, not renormalised.
        g_j: (B, H), of the second.

    Returns:
        Mean over the pairs, a scalar in [0, 2].
    """
    cosine = F.cosine_similarity(e_i, e_j, dim=-1)
    same_view = cosine if cosine.ndim == 1 else cosine.mean(dim=1)
    return (same_view - (g_i * g_j).sum(-1)).abs().mean()
