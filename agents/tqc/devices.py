"""JAX devices: finding one by the words of PyTorch, and how much memory it has left."""

from __future__ import annotations

import os
from pathlib import Path

import jax

from mvr_wrappers.errors import ConfigError

_MEMORY_TABLE = Path("/proc/meminfo")  # of Linux
_PREALLOCATE = "XLA_PYTHON_CLIENT_PREALLOCATE"
_MEMORY_VARIABLES = (
    _PREALLOCATE,
    "XLA_PYTHON_CLIENT_MEM_FRACTION",
    "XLA_CLIENT_MEM_FRACTION",
    "XLA_PYTHON_CLIENT_ALLOCATOR",
)


def find_device(name: str) -> jax.Device:
    """Returns the JAX device that a word of PyTorch means.

    Args:
        name: "auto" (JAX's default), "cpu", "cuda" or "cuda:N".

    Raises:
        ConfigError: another word, or a GPU that JAX does not see.
    """
    share_gpu_memory()
    if name == "auto":
        return jax.devices()[0]
    kind, _, index = name.partition(":")
    if kind not in ("cpu", "cuda") or not (index.isdecimal() or not index):
        raise ConfigError(f"unknown device {name!r}; use auto, cpu, cuda or cuda:N")
    try:
        devices = jax.devices(kind)
    except RuntimeError as error:
        raise ConfigError(
            f"JAX sees no GPU for device {name!r}. Use device='cpu', or install JAX for CUDA: pip install 'jax[cuda13]'"
        ) from error
    if int(index or 0) >= len(devices):
        raise ConfigError(f"JAX sees {len(devices)} devices of kind {kind}, so there is no {name!r}")
    return devices[int(index or 0)]


def share_gpu_memory() -> None:
    """Keeps JAX from taking three quarters of a GPU's memory at once, which scorer and relevance model may need.

    It then takes what it needs, when it needs it. Without effect once JAX has used a GPU, or where the user has said
    how much JAX may take, by any of its environment variables.
    """
    if not any(variable in os.environ for variable in _MEMORY_VARIABLES):
        os.environ[_PREALLOCATE] = "false"


def free_memory(device: jax.Device) -> int | None:
    """Returns the bytes that can still be allocated on `device`, None where nothing tells.

    On a GPU that is what JAX grants itself; PyTorch, beside it, may have taken some of that.
    """
    stats = device.memory_stats()
    if stats and "bytes_limit" in stats:
        return int(stats["bytes_limit"] - stats["bytes_in_use"])
    if device.platform != "cpu":
        return None
    if _MEMORY_TABLE.exists():
        rows = dict(line.split(":", 1) for line in _MEMORY_TABLE.read_text().splitlines())
        return int(rows["MemAvailable"].split()[0]) * 1024
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") if hasattr(os, "sysconf") else None


def describe_bytes(count: int) -> str:
    """Returns a size in GB or MB for people."""
    return f"{count / 1e9:.2f} GB" if count >= 1e9 else f"{count / 1e6:.1f} MB"
