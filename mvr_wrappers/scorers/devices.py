"""Where and in which precision a scorer computes: one place turns a user's words into torch's values."""

from __future__ import annotations

import functools
import importlib.util
import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

from mvr_wrappers.errors import ConfigError, ScorerError
from mvr_wrappers.scorers.base import checked_dtype

CPU_INFO = Path("/proc/cpuinfo")


def resolve_device(device: str | torch.device = "auto") -> torch.device:
    """Returns the torch device meant by `device`; "auto" is CUDA where there is one, else the CPU.

    Raises:
        ConfigError: torch knows no such device.
        ScorerError: the device is a CUDA one that this machine or this build of torch lacks.
    """
    if device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        found = torch.device(device)
    except (RuntimeError, TypeError) as error:
        raise ConfigError(f'device {device!r} is unknown to torch; give "auto", "cpu", "cuda" or "cuda:N"') from error
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if found.type == "cuda" and (found.index or 0) >= count:
        raise ScorerError(
            f"device {str(found)!r} was asked for, and torch {torch.__version__} sees {count} CUDA devices; "
            'use device="auto" or device="cpu", or install a CUDA build of torch and its driver'
        )
    return found


def resolve_dtype(dtype: str | torch.dtype, device: torch.device, *, cpu_bfloat16: bool = False) -> torch.dtype:
    """Returns the precision meant by `dtype`.

    Args:
        dtype: "float32", "bfloat16", or "auto": bfloat16 on a CUDA device that has it, and on a CPU that has it if
            `cpu_bfloat16`; else float32. Factories that load another scorer hand on their own torch.dtype.
        device: where the scorer computes.
        cpu_bfloat16: whether the scorer is faster in bfloat16 on CPUs with such instructions.

    Raises:
        ConfigError: `dtype` is none of these words.
    """
    if isinstance(dtype, torch.dtype) and dtype in (torch.float32, torch.bfloat16):
        return dtype
    if checked_dtype(dtype) == "auto":
        if device.type == "cuda":
            native = torch.cuda.is_bf16_supported(including_emulation=False)
        else:
            native = cpu_bfloat16 and device.type == "cpu" and cpu_multiplies_bfloat16()
        return torch.bfloat16 if native else torch.float32
    return torch.bfloat16 if dtype == "bfloat16" else torch.float32


@functools.cache
def cpu_multiplies_bfloat16() -> bool:
    """Returns whether the CPU has instructions for bfloat16 products (AVX512-BF16 or AMX), as far as Linux tells."""
    return CPU_INFO.is_file() and bool(re.search(r"\b(avx512_bf16|amx_bf16)\b", CPU_INFO.read_text()))


def compiled(function: Callable[[Tensor], Tensor], device: torch.device) -> Callable[[Tensor], Tensor]:
    """Returns `function` fused by `torch.compile`, after checking that there is what it generates code with.

    Raises:
        ScorerError: there is no C++ compiler (CPU) or no Triton (CUDA).
    """
    if device.type == "cuda":
        if importlib.util.find_spec("triton") is None:
            raise ScorerError("compile=True needs Triton on a CUDA device: pip install triton, or leave compile out")
    elif not any(map(shutil.which, (os.environ.get("CXX", "g++"), "g++", "clang++"))):
        raise ScorerError("compile=True needs a C++ compiler, found through CXX or as g++; or leave compile out")
    return torch.compile(function)
