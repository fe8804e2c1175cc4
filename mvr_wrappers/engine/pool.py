"""ClipPool: filmed clips that wait for scoring, never more than will be scored."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mvr_wrappers.arrays import Arrays, generator_from_array, generator_to_array, group, nested, numbered
from mvr_wrappers.clips import Clip, Moments


class ClipPool:
    """Keeps a uniformly random `capacity` of the clips offered since the last `take` (reservoir sampling).

    Memory is bounded however much is filmed: a clip keeps its own frames alone.

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

    def state_dict(self) -> dict[str, NDArray[Any]]:
        """Returns everything as named arrays, frames that clips share once; waits for those still being rendered."""
        shared: dict[int, tuple[int, NDArray[np.uint8]]] = {}  # id -> number and array, which keeps the id its own
        clips: dict[str, NDArray[Any]] = {}
        for i, clip in enumerate(self._clips):
            numbers = [shared.setdefault(id(array), (len(shared), array))[0] for array in clip.moments]
            of_clip: dict[str, NDArray[Any]] = {
                "states": clip.states,
                "views": clip.views,
                "moments": np.array(numbers),
                "place": np.array([clip.episode, clip.start]),
            }
            clips |= nested(**{str(i): of_clip})
        counters = {"dropped": np.array(self.dropped), "offered": np.array(self._offered)}
        frames = {str(number): array for number, array in shared.values()}
        return {**counters, "rng": generator_to_array(self._rng), **nested(clips=clips, frames=frames)}

    def load_state_dict(self, arrays: Arrays) -> None:
        """Takes over the state of another pool. A clip's prompt is that of the engine it waits in."""
        self.dropped, self._offered = int(arrays["dropped"]), int(arrays["offered"])
        self._rng = generator_from_array(arrays["rng"])
        frames = group(arrays, "frames")
        self._clips = [
            Clip(
                clip["states"],
                Moments(frames[str(number)] for number in clip["moments"]),
                clip["views"],
                None,
                *clip["place"].tolist(),
            )
            for clip in numbered(group(arrays, "clips"))
        ]
