"""What clips are scored against: prompts embedded once, and the goal-baseline regularisation of their scores."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from mvr_wrappers.errors import ConfigError
from mvr_wrappers.prompts import checked_prompt
from mvr_wrappers.scorers.base import Scorer
from mvr_wrappers.scorers.checks import embed_prompts

Rows = NDArray[np.float32]


def check_baseline(baseline_prompt: str | None, alpha: float) -> None:
    """Refuses a regularisation that cannot work.

    Raises:
        ConfigError: the baseline is empty, or `alpha` lies outside [0, 1], or is not 0 and there is no baseline.
    """
    if not (isinstance(alpha, int | float) and 0 <= alpha <= 1):
        raise ConfigError(f"alpha is {alpha!r}; give a strength in [0, 1]")
    if baseline_prompt is None and alpha > 0:
        raise ConfigError(
            f"alpha is {alpha} and there is no baseline; give baseline_prompt=, what is seen whatever the agent does, "
            'such as "a humanoid robot"'
        )
    if baseline_prompt is not None:
        checked_prompt(baseline_prompt)


@dataclass(frozen=True, slots=True, eq=False)
class Goal:
    """P prompts as a scorer sees them: embedded once, however many clips are scored.

    Attributes:
        texts: float32 (P, E), unit rows.
        baseline: float32 (E,), a unit row, or None without regularisation.
        alpha: strength of the regularisation.
    """

    texts: Rows
    baseline: Rows | None = None
    alpha: float = 0.0

    @classmethod
    def embed(
        cls, scorer: Scorer, prompts: Sequence[str], baseline_prompt: str | None = None, alpha: float = 0.0
    ) -> Self:
        """Embeds prompts, and the baseline that their scores are regularised with.

        Args:
            scorer: the encoder.
            prompts: P sentences.
            baseline_prompt: what is seen whatever the agent does, such as "a humanoid robot"; None has none.
            alpha: strength of the regularisation in [0, 1]; 0 is the plain cosine. See `goal_baseline`.

        Raises:
            ConfigError: a prompt is blank, or means the same to the scorer as the baseline; or a regularisation that
                cannot work, see `check_baseline`.
            ScorerError: the scorer returns something else than unit rows.
        """
        check_baseline(baseline_prompt, alpha)
        texts = embed_prompts(scorer, prompts)
        if baseline_prompt is None:
            return cls(texts)
        baseline = embed_prompts(scorer, [baseline_prompt])[0]
        for prompt, text in zip(prompts, texts, strict=True):
            if math.isclose(float(text @ baseline), 1.0, abs_tol=1e-6):
                raise ConfigError(f"{scorer.name} sees no difference between the prompt {prompt!r} and its baseline")
        return cls(texts, baseline, float(alpha))

    def psi(self, videos: Rows) -> Rows:
        """Scores video embeddings, unit rows (N, E), against the prompts -> float32 (N, P).

        Without a baseline psi = cos(video, prompt) (MVR, arXiv 2603.01694, section 4.1). With one see `goal_baseline`.
        """
        if self.baseline is None:
            return videos @ self.texts.T
        columns = [goal_baseline(videos, text, self.baseline, self.alpha) for text in self.texts]
        return np.stack(columns, axis=1) if columns else np.zeros((len(videos), 0), np.float32)


def goal_baseline(videos: Rows, goal: Rows, baseline: Rows, alpha: float) -> Rows:
    """Returns the goal-baseline regularised score of Rocamonde et al. (VLM-RM, arXiv 2310.12921, definition 1).

    psi = 1 - 1/2 || alpha proj_L s + (1 - alpha) s - g ||^2, where s is a video, g the goal, b the baseline, all of
    unit length, and L the line through b and g. As g lies on L, the norm splits into the part of q = s - g along
    u = (g - b) / ||g - b||, which is kept, and the rest, which shrinks: (1 - alpha)^2 ||q||^2 + (1 - (1 - alpha)^2)
    <q, u>^2. At alpha 0 psi is the cosine <s, g>; at 1 only the progress from b to g counts.

    Args:
        videos: (N, E), unit rows.
        goal: (E,), of unit length.
        baseline: (E,), of unit length, not `goal`.
        alpha: strength in [0, 1].

    Returns:
        float32 (N,).
    """
    if alpha == 0:
        return videos @ goal
    line = goal.astype(np.float64) - baseline
    along = (videos - goal.astype(np.float64)) @ (line / np.linalg.norm(line))
    distance = 2.0 - 2.0 * (videos.astype(np.float64) @ goal)  # ||q||^2, as both are of unit length
    keep = (1.0 - alpha) ** 2
    psi: Rows = (1.0 - 0.5 * (keep * distance + (1.0 - keep) * along**2)).astype(np.float32)
    return psi
