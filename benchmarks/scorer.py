"""How fast ViCLIP scores clips: our path against the same network run the authors' way, as tables in Markdown.

    python benchmarks/scorer.py                                      # ViCLIP-B on this machine's CPU, or its GPU
    python benchmarks/scorer.py --name viclip-l --clips 128          # on a GPU
    python benchmarks/scorer.py --name viclip-l --clips 128 --compile

Weights are random, since speed does not depend on them. Frames are bytes in host memory, embeddings end there too. "The
authors' way" is one clip a call, float32 without TF32, attention that is not fused, and frames normalised on the host
with NumPy. FLOP are those of the vision transformer's matrix products, two for a multiplication and its addition. The
rate they are compared with is that of one large square matrix product, measured in between.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn import functional as F
from torch.nn.attention import SDPBackend, sdpa_kernel

from mvr_agents.runs.provenance import made_with
from mvr_wrappers.scorers.devices import resolve_device, resolve_dtype
from mvr_wrappers.scorers.viclip.net import SIZES, ViCLIP, ViCLIPSize
from mvr_wrappers.scorers.viclip.scorer import DEVIATION, MEAN, ViCLIPScorer
from mvr_wrappers.scorers.viclip.tokenizer import ClipTokenizer

Embed = Callable[[NDArray[np.uint8]], NDArray[np.float32]]
PRODUCT = {"cpu": 2048, "cuda": 8192}  # rows and columns of the matrices
DTYPES = {torch.float32: "float32", torch.bfloat16: "bfloat16"}


def main() -> None:
    """Measures both paths, turn by turn, and prints the tables."""
    args = read_arguments()
    origin, device = made_with(), resolve_device(args.device)
    torch.set_float32_matmul_precision("highest")  # no TF32
    size = SIZES[args.name]
    shape = (args.clips, size.frames, size.image_size, size.image_size, 3)
    frames = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    theirs = authors_way(random_network(size, device, torch.float32), device)
    fast = resolve_dtype("auto", device, cpu_bfloat16=True)
    paths: dict[str, tuple[torch.dtype, Embed, int]] = {
        "the authors' way": (torch.float32, theirs, args.baseline_clips)
    }
    for dtype in dict.fromkeys((torch.float32, fast)):
        network = random_network(size, device, dtype)
        scorer = ViCLIPScorer(args.name, network, ClipTokenizer([], size.context), compile=args.compile)
        paths[f"ours, {DTYPES[dtype]}"] = (dtype, scorer.embed_video, args.clips)
    exact = theirs(frames[:1])[0]
    agreement = {
        label: float(embed(frames[:clips])[0] @ exact) for label, (_, embed, clips) in paths.items()
    }  # warm now
    seconds: dict[str, list[float]] = {label: [] for label in paths}
    rates: dict[torch.dtype, list[float]] = {dtype: [] for dtype in DTYPES}
    for _ in range(args.repeats):
        for dtype, found in rates.items():
            found.append(product_rate(device, dtype))
        for label, (_, embed, clips) in paths.items():
            seconds[label].append(timed(partial(embed, frames[:clips])) / clips)
    print(f"{args.name}, {size.frames} frames of {size.image_size} pixels, {flop(size) / 1e12:.3f} TFLOP a clip")
    print(f"{where(device)}; compile={args.compile}\n\n{origin}\n")
    print_table(paths, seconds, rates, agreement, flop(size))


def read_arguments() -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description="How fast ViCLIP scores clips.")
    cuda = torch.cuda.is_available()
    parser.add_argument("--name", choices=sorted(SIZES), default="viclip-l" if cuda else "viclip-b")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--clips", type=int, default=128 if cuda else 4, help="in one call of ours")
    parser.add_argument("--baseline-clips", type=int, default=16 if cuda else 2, help="one by one, the authors' way")
    parser.add_argument("--repeats", type=int, default=5 if cuda else 3)
    parser.add_argument("--compile", action="store_true", help="fuse our video tower with torch.compile")
    return parser.parse_args()


def random_network(size: ViCLIPSize, device: torch.device, dtype: torch.dtype) -> ViCLIP:
    """Makes a network of the given size with weights drawn from one stream."""
    torch.manual_seed(0)
    network = ViCLIP(size)
    for parameter in network.parameters():
        nn.init.normal_(parameter, std=0.02)
    for module in network.modules():
        if isinstance(module, nn.LayerNorm):
            module.reset_parameters()
    return network.to(device, dtype).eval().requires_grad_(False)


def authors_way(network: ViCLIP, device: torch.device) -> Embed:
    """Returns what embeds clips as the authors' code does."""
    mean, deviation = np.array(MEAN, np.float32), np.array(DEVIATION, np.float32)

    @torch.inference_mode()
    def embed(frames: NDArray[np.uint8]) -> NDArray[np.float32]:
        rows = []
        with sdpa_kernel(SDPBackend.MATH):
            for clip in frames:
                pixels = (clip.astype(np.float32) / np.float32(255) - mean) / deviation
                tensor = torch.from_numpy(pixels.transpose(0, 3, 1, 2)[None].copy()).to(device)
                rows.append(F.normalize(network.embed_video(tensor)).cpu().numpy())
        return np.concatenate(rows)

    return embed


def flop(size: ViCLIPSize) -> float:
    """Returns the floating-point operations of the vision transformer for one clip."""
    width, layers, _ = size.vision
    patches = size.frames * size.patches
    tokens = patches + 1
    stem = 2 * patches * 3 * size.patch**2 * width
    block = 2 * tokens * 12 * width**2 + 4 * tokens**2 * width  # projections and perceptron; scores and their mixture
    return float(stem + layers * block)


def product_rate(device: torch.device, dtype: torch.dtype) -> float:
    """Returns the FLOP/s of a square matrix product."""
    n = PRODUCT[device.type]
    left, right = (torch.randn(n, n, device=device, dtype=dtype) for _ in range(2))
    rounds = 20 if device.type == "cuda" else 3
    (left @ right).sum().item()
    return rounds * 2 * n**3 / timed(lambda: [left @ right for _ in range(rounds)][-1].sum().item())


def timed(work: Callable[[], object]) -> float:
    """Returns the seconds of `work`, which ends with its results on the host."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def where(device: torch.device) -> str:
    """Names the device."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else f"CPU, {torch.get_num_threads()} threads"


def print_table(
    paths: dict[str, tuple[torch.dtype, Embed, int]],
    seconds: dict[str, list[float]],
    rates: dict[torch.dtype, list[float]],
    agreement: dict[str, float],
    work: float,
) -> None:
    """Prints medians over the repetitions: of each path, and of the matrix products."""
    product = {dtype: statistics.median(found) for dtype, found in rates.items()}
    clip = {label: statistics.median(found) for label, found in seconds.items()}
    slowest = clip["the authors' way"]
    columns = ("path", "clips/s", "against the authors' way", "model TFLOP/s", "of its precision's product")
    print("| " + " | ".join((*columns, "of bfloat16's product", "cosine")) + " |\n" + "| --- " * 7 + "|")
    for label, (dtype, _, _) in paths.items():
        rate = work / clip[label]
        shares = f"{rate / product[dtype]:.0%} | {rate / product[torch.bfloat16]:.0%}"
        ratio = f"{slowest / clip[label]:.2f}x"
        print(f"| {label} | {1 / clip[label]:.3g} | {ratio} | {rate / 1e12:.3g} | {shares} | {agreement[label]:.5f} |")
    print("\n| matrix product | TFLOP/s |\n| --- | --- |")
    for dtype, rate in product.items():
        print(f"| {DTYPES[dtype]} | {rate / 1e12:.3g} |")


if __name__ == "__main__":
    main()
