"""Where and in which precision a scorer computes: one place turns a user's words into torch's values."""

from __future__ import annotations

import torch

from mvr_wrappers.errors import ConfigError, ScorerError

DTYPES = {
    "float32": torch.float32,
    "fp32": torch.float32,
    "bfloat16": torch.bfloat16,
    "bf16": torch.bfloat16,
}


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
    except RuntimeError as error:
        raise ConfigError(f'device {device!r} is unknown to torch; give "auto", "cpu", "cuda" or "cuda:N"') from error
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if found.type == "cuda" and (found.index or 0) >= count:
        raise ScorerError(
            f"device {str(found)!r} was asked for, and torch {torch.__version__} sees {count} CUDA devices; "
            'use device="auto" or device="cpu", or install a CUDA build of torch and its driver'
        )
    return found


def resolve_dtype(dtype: str | torch.dtype, device: torch.device) -> torch.dtype:
    """Returns the precision meant by `dtype`; "auto" is bfloat16 on a CUDA device that has it, else float32.

    Raises:
        ConfigError: `dtype` is neither float32 nor bfloat16.
    """
    if dtype == "auto":
        bf16 = device.type == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False)
        return torch.bfloat16 if bf16 else torch.float32
    found = DTYPES.get(dtype) if isinstance(dtype, str) else dtype
    if found not in DTYPES.values():
        raise ConfigError(f'dtype {dtype!r} is not offered; give "auto", "float32" or "bfloat16"')
    assert found is not None
    return found
