"""How many clips a second a `ScorerPool` embeds with 1, 2 and 4 workers, beside the scorer in the own process.

    python benchmarks/scorer_pool.py                                    # pocket on this machine's CPU, or its GPUs
    python benchmarks/scorer_pool.py --name viclip-l --clips 512        # on a machine with GPUs; needs the weights

Each is timed on the same random clips, turn by turn, and the median is printed with the range. `--threads` is of each
worker on a CPU and of the own process alike, so that all rows have the same bits, which is checked.
"""

from __future__ import annotations

import argparse
import contextlib
import statistics
import time

import numpy as np
import torch

from mvr_agents.runs.provenance import made_with
from mvr_wrappers.scorers import Scorer, load_scorer
from mvr_wrappers.scorers.pool import ScorerPool

WORKERS = (1, 2, 4)


def main() -> None:
    """Measures and prints a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--name", default="pocket")
    parser.add_argument("--clips", type=int, default=256)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1)
    args, origin = parser.parse_args(), made_with()
    torch.set_num_threads(args.threads)
    local = load_scorer(args.name)
    shape = (args.clips, local.n_frames, local.image_size, local.image_size, 3)
    frames = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    with contextlib.ExitStack() as stack:
        scorers: dict[str, Scorer] = {"own process": local}
        for count in WORKERS:
            pool = stack.enter_context(ScorerPool(args.name, count, threads=args.threads))
            scorers[f"pool of {count}"] = pool
        expected = local.embed_video(frames)
        equal = {label: np.array_equal(scorer.embed_video(frames), expected) for label, scorer in scorers.items()}
        seconds: dict[str, list[float]] = {label: [] for label in scorers}
        for _ in range(args.rounds):
            for label, scorer in scorers.items():
                began = time.perf_counter()
                scorer.embed_video(frames)
                seconds[label].append(time.perf_counter() - began)
    print(f"{args.name}, {args.clips} clips {shape[1:]}, {args.threads} threads each; {origin}\n")
    print("| where | clips/s, median (range) | against the own process | same bits |")
    print("| --- | --- | --- | --- |")
    base = statistics.median(seconds["own process"])
    for label, times in seconds.items():
        middle = statistics.median(times)
        rates = f"{args.clips / middle:.0f} ({args.clips / max(times):.0f}-{args.clips / min(times):.0f})"
        print(f"| {label} | {rates} | {base / middle:.2f} | {'yes' if equal[label] else 'no'} |")


if __name__ == "__main__":
    main()
