"""What every clip of a film shows: its stage, and how near it is to success."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tools.pocket.captions import TASKS
from tools.pocket.films import FRAMES, Films

SHAKY = 0.3  # action noise above which the hand visibly trembles
_FIXED = {"success": 1.0, "held": 0.95, "shaky": 0.2, "failed": 0.15, "random": 0.0, "idle": 0.0}


@dataclass(frozen=True, slots=True, eq=False)
class Clips:
    """All labelled clips of a split, N of them, in arrays.

    Attributes:
        film: row of the film; `frame`: first of its frames that the clip has.
        subject: MetaWorld task or body.
        stage: of the task, or the body's motion.
        progress: share of the way from the behaviour's first state to success at the clip's last frame; 0 for episodes
            without success.
        level: nearness to success in [0, 1], by which clips of one task are ordered; 1 for motions.
    """

    film: NDArray[np.int64]
    frame: NDArray[np.int64]
    subject: NDArray[Any]
    stage: NDArray[Any]
    progress: NDArray[np.float64]
    level: NDArray[np.float64]


def label(films: Films) -> Clips:
    """Labels every clip of 8 neighbouring frames; those that show nothing in particular are left out."""
    c = films.columns
    counts = np.maximum(c["frames"] - FRAMES + 1, 0)
    film = np.repeat(np.arange(len(counts)), counts)
    frame = np.concatenate([np.arange(count) for count in counts])
    begun, touched, solved, kind = (c[name][film] for name in ("begun", "touched", "solved", "kind"))
    first = c["first"][film] + c["spacing"][film] * frame
    last = first + c["spacing"][film] * (FRAMES - 1)
    never, shaky = solved >= c["states"][film], c["noise"][film] > SHAKY
    scripted = np.isin(kind, ("expert", "missed"))
    under_way = last >= begun + c["spacing"][film]

    stage = np.full(len(film), "", "U16")
    before = scripted & ~never & under_way & (last < solved)
    stage[scripted & ~never & ~under_way] = "idle"
    stage[before & (last <= touched)] = "approach"
    stage[before & (last > touched)] = "partial"
    stage[before & shaky] = "shaky"
    stage[scripted & ~never & (last >= solved) & (first < solved)] = "success"
    stage[scripted & ~never & (first >= solved)] = "held"
    stage[(kind == "expert") & never & shaky & under_way] = "shaky"
    stage[(kind == "missed") & never & (last >= begun + 45)] = "failed"
    for aimless in ("random", "idle"):  # at most a third of the clip is what came before
        stage[(kind == aimless) & (first + (last - first) // 3 >= begun) & (last < solved)] = aimless
    motion = ~np.isin(c["subject"][film], list(TASKS))
    stage[motion] = kind[motion]
    stage[motion & (kind == "fall") & (frame > 1)] = ""  # by then it may lie

    progress = np.where(never, 0.0, np.clip((last - begun) / np.maximum(solved - begun, 1), 0, 1))
    level = 0.05 + 0.75 * progress
    for name, value in _FIXED.items():
        level[stage == name] = value
    solved_now = np.isin(stage, ("success", "held"))
    level[solved_now & shaky] -= 0.3 * np.minimum(c["noise"][film], 1)[solved_now & shaky]
    level[motion] = 1.0
    keep = np.flatnonzero(stage != "")
    return Clips(film[keep], frame[keep], c["subject"][film[keep]], stage[keep], progress[keep], level[keep])
