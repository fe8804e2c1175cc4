"""How often does a 95% interval of `mvr report` hold the true value? Measured on scores whose distribution is known.

    OMP_NUM_THREADS=1 python benchmarks/intervals.py [trials]

prints one table in Markdown. Each trial draws the scores of all seeds from a normal distribution, the same for every
task, and takes the interval of their interquartile mean; the true one is the distribution's mean.
"""

from __future__ import annotations

import sys

import numpy as np

from mvr_agents.runs.provenance import made_with
from mvr_agents.sweeps.statistics import estimate, interquartile_mean

SEEDS, TASKS = (2, 3, 4, 5, 10, 20), (1, 10)
RESAMPLES = 1_000  # fewer than a report takes, for speed


def coverage(tasks: int, seeds: int, trials: int) -> float:
    """Returns the share of trials whose interval holds the true value."""
    rng, held = np.random.default_rng(0), 0
    for trial in range(trials):
        sample = [rng.normal(size=seeds) for _ in range(tasks)]
        found = estimate(interquartile_mean, sample, resamples=RESAMPLES, seed=trial)
        held += bool(found.low <= 0 <= found.high)
    return held / trials


def main() -> None:
    """Prints the table."""
    trials = int(sys.argv[1]) if len(sys.argv) > 1 else 4_000
    origin = made_with("scipy")
    print(f"Share of {trials:,} intervals of 95% that hold the true value, by the seeds of each task.\n")
    print("| seeds | " + " | ".join(f"{tasks} task{'s' * (tasks > 1)}" for tasks in TASKS) + " |")
    print("| --- |" + " ---: |" * len(TASKS))
    for seeds in SEEDS:
        print(f"| {seeds} | " + " | ".join(f"{coverage(tasks, seeds, trials):.1%}" for tasks in TASKS) + " |")
    print(f"\nMade with: {origin}")


if __name__ == "__main__":
    main()
