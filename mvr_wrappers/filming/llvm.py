"""The LLVMs that may meet in one process: that of software OpenGL, and that of triton, which torch brings on Linux.

Mesa loads its LLVM so that every library loaded later binds to it. A triton that is loaded later crashes with it
(SIGSEGV; seen with triton 3.7.0 to 3.8.0 and Mesa's LLVM 15), and torch loads triton when it makes its first optimizer.
A triton that is loaded first has bound to its own LLVM by then, and both work. Hence the order: triton, then OpenGL.
"""

from __future__ import annotations

import ctypes
import importlib
import importlib.util
import logging
import sys
from typing import Literal

_SYMBOL = "LLVMContextCreate"  # of LLVM's C interface, in every version
_log = logging.getLogger(__name__)

TritonState = Literal["absent", "first", "hidden", "broken"]


def load_triton() -> None:
    """Imports triton where it is installed, before OpenGL can load Mesa's LLVM.

    Where OpenGL has already loaded it (code of the user has rendered), triton can no longer be imported without a
    crash. It is then hidden: this process goes on as if triton were not installed, and the log says so. A triton that
    cannot be imported is logged too, and does not keep anything from being filmed.
    """
    if sys.platform != "linux":  # elsewhere, libraries do not bind to each other's symbols in this way
        return
    if "triton" not in sys.modules and llvm_is_visible():
        if importlib.util.find_spec("triton") is not None:
            sys.modules["triton"] = None  # type: ignore[assignment]  # the import system's own mark: not to be found
            _log.warning(
                "OpenGL was started before mvr_wrappers.filming was imported. Importing triton would now crash this "
                "process, so it is hidden: torch.compile has no triton here. To have it, import mvr_wrappers.filming "
                "(or triton) before the first frame is rendered."
            )
        return
    try:
        importlib.import_module("triton")
    except ModuleNotFoundError as error:
        if error.name != "triton":  # else not installed, or hidden
            _log.warning("triton cannot be imported, filming goes on without it: %s", error)
    except Exception as error:  # noqa: BLE001 - nothing in it may keep anybody from filming
        _log.warning("triton cannot be imported, filming goes on without it: %s: %s", type(error).__name__, error)


def llvm_is_visible() -> bool:
    """Whether an LLVM is loaded to which a library loaded next would bind."""
    return hasattr(ctypes.CDLL(None), _SYMBOL)


def triton_state() -> TritonState:
    """What became of triton in this process, once `load_triton` was called.

    Returns:
        "absent": not installed. "first": loaded before OpenGL. "hidden": OpenGL was first. "broken": its import failed.
    """
    if "triton" in sys.modules:
        return "hidden" if sys.modules["triton"] is None else "first"
    return "absent" if importlib.util.find_spec("triton") is None else "broken"
