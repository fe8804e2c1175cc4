"""ClipPool: filmed clips that wait for scoring, never more than will be scored."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mvr_wrappers.clips import Clip
from mvr_wrappers.engine.arrays_file import Arrays, nested, numbered

_ARRAYS = ("states", "frames", "views")  # of a clip; its prompt is that of the engine it waits in


class ClipPool:
    """Keeps a uniformly random `capacity` of the clips offered since the last `take` (reservoir sampling).

    Memory is bounded however much is filmed.

    Args:
        capacity: clips kept at most.
        rng: decides which; owned by the pool from here on.

    Attributes:
        dropped: clips offered and not kept, since the beginning.
    """

    __slots__ = ("_capacity", "_clips", "_offered", "_rng", "dropped")

    def __init__(self, capacity: int, rng: np.random.Generator) -> None:
        self.dropped = 0
        self._capacity, self._rng = capacity, rng
        self._clips: list[Clip] = []
        self._offered = 0

    def __len__(self) -> int:
        """Clips that wait."""
        return len(self._clips)

    def offer(self, clips: Sequence[Clip]) -> None:
        """Takes clips in; beyond the capacity each is kept in place of a random one, or dropped."""
        for clip in clips:
            self._offered += 1
            if len(self._clips) < self._capacity:
                self._clips.append(clip)
                continue
            self.dropped += 1
            slot = int(self._rng.integers(self._offered))
            if slot < self._capacity:
                self._clips[slot] = clip

    def take(self) -> list[Clip]:
        """Hands over the clips kept and begins anew."""
        clips, self._clips, self._offered = self._clips, [], 0
        return clips

    def header(self) -> dict[str, Any]:
        """Returns the counters and the generator's state, JSON-safe."""
        return {"dropped": self.dropped, "offered": self._offered, "rng": self._rng.bit_generator.state}

    def state_dict(self) -> dict[str, NDArray[Any]]:
        """Returns the clips as named arrays."""
        return nested(**{str(i): {name: getattr(clip, name) for name in _ARRAYS} for i, clip in enumerate(self._clips)})

    def load(self, header: Mapping[str, Any], arrays: Arrays) -> None:
        """Takes over what `header` and `state_dict` of another pool described."""
        self.dropped, self._offered = header["dropped"], header["offered"]
        self._rng.bit_generator.state = header["rng"]
        self._clips = [Clip(clip["states"], clip["frames"], clip["views"]) for clip in numbered(arrays)]
