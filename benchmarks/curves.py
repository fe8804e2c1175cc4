"""Files of learning curves: a comment that says what the run was made with, the names of the columns, the numbers."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray


def save(file: Path, curve: NDArray[np.float64], columns: str, origin: str) -> None:
    """Writes a curve, float (K, columns), with `origin`, a line of `mvr_agents.runs.provenance.made_with`."""
    np.savetxt(file, curve, "%.6g", ",", header=f"# {origin}\n{columns}", comments="")


def load(file: Path) -> NDArray[np.float64]:
    """Reads a curve, float (K, columns)."""
    return np.loadtxt(file, delimiter=",", skiprows=2, ndmin=2)


def origins(files: Iterable[Path]) -> str:
    """Returns what the runs in `files` say that they were made with, each saying once."""
    said = dict.fromkeys(file.read_text("utf-8").partition("\n")[0].removeprefix("# ") for file in files)
    return "Made with: " + " | ".join(said)
