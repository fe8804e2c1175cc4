from __future__ import annotations

import threading

from mvr_wrappers.filming import gl


def contexts_here() -> list[gl.SharedContext]:
    """Returns the GL contexts of this thread; films are rendered in another one, which may hold its own."""
    return [context for key, context in gl._process.contexts.items() if key[0] is threading.current_thread()]
