"""Clips: what travels from the recorder to the dataset. Plain frozen values; frames may be still to come."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from mvr_wrappers.errors import ConfigError

UNKNOWN = -1
"""The episode of a clip that nobody knows the episode of."""


def frame_indices(length: int, frames: int, at: Literal["middle", "first"] = "middle") -> NDArray[np.int64]:
    """Returns which states of a clip are filmed: one of each of `frames` equal segments.

    Clips whose starts differ by a multiple of `length / frames` therefore share frames.

    Args:
        length: states in the clip.
        frames: frames to take, at most `length`.
        at: which state of its segment a frame shows.

    Returns:
        int64 array (frames,), increasing, values in [0, length).
    """
    if not 0 < frames <= length:
        raise ConfigError(f"a clip of {length} states cannot give {frames} frames; set 0 < frames <= length")
    half_segments = 2 * np.arange(frames) + (1 if at == "middle" else 0)
    return half_segments * length // (2 * frames)


def clip_starts(n_states: int, length: int, stride: int) -> list[int]:
    """Returns the first state of each clip cut from an episode.

    The last clip always ends on the episode's last state, so success at the very end is seen.

    Args:
        n_states: states in the episode, the initial one included.
        length: states in a clip.
        stride: states between the starts of neighbouring clips.

    Returns:
        Increasing start indices; empty when the episode is shorter than one clip.
    """
    last = n_states - length
    if last < 0:
        return []
    starts = list(range(0, last + 1, stride))
    return starts if starts[-1] == last else [*starts, last]


class Moments:
    """Frames of a clip as one array a moment: clips that overlap share arrays, and a clip keeps its own alone.

    Calling it stacks them. While somebody holds the result, the next call returns it again.

    Args:
        arrays: F arrays, uint8 (V, H, W, 3), in the order of time.
    """

    __slots__ = ("__weakref__", "_arrays", "_stacked")

    def __init__(self, arrays: Iterable[NDArray[np.uint8]]) -> None:
        self._arrays = tuple(arrays)
        self._stacked: weakref.ref[NDArray[np.uint8]] | None = None

    @property
    def arrays(self) -> tuple[NDArray[np.uint8], ...]:
        """F arrays, uint8 (V, H, W, 3)."""
        return self._arrays

    def __call__(self) -> NDArray[np.uint8]:
        """Returns the frames, uint8 (V, F, H, W, 3); do not write into them."""
        frames = None if self._stacked is None else self._stacked()
        if frames is None:
            frames = np.stack(self.arrays, axis=1)
            self._stacked = weakref.ref(frames)
        return frames

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickles the arrays: clips that are pickled together go on sharing them."""
        return Moments, (self.arrays,)


@dataclass(frozen=True, slots=True, eq=False, weakref_slot=True)
class Clip:
    """L consecutive states of one episode, filmed as F frames from V views.

    Attributes:
        states: float32 (L, D), the states the frames were taken from, in order.
        source: the frames, or a function that returns them once they are rendered, such as `Moments`.
        views: int64 (V,), index of each filmed view in the camera rig.
        prompt: what `reset(options={"prompt": ...})` asked of the episode; None is the env's own prompt.
        episode: which episode of the run it was cut from, any number of at least 0 that no other episode has;
            `UNKNOWN` counts as an episode of its own.
        start: which step of the episode its first state is, 0 being what `reset` returned.
    """

    states: NDArray[np.float32]
    source: NDArray[np.uint8] | Callable[[], NDArray[np.uint8]]
    views: NDArray[np.int64]
    prompt: str | None = None
    episode: int = UNKNOWN
    start: int = 0

    def __post_init__(self) -> None:
        """Checks ranks and, of frames that are there already, that they and the views are parallel."""
        shape = None if callable(self.source) else self.source.shape
        if self.states.ndim != 2 or (shape is not None and (len(shape) != 5 or shape[-1] != 3)):
            raise ConfigError(
                f"a clip needs states (L, D) and frames (V, F, H, W, 3), got {self.states.shape} and {shape}"
            )
        if shape is not None and self.views.shape != shape[:1]:
            raise ConfigError(f"a clip filmed from {shape[0]} views needs as many view indices, got {self.views}")

    @property
    def frames(self) -> NDArray[np.uint8]:
        """uint8 (V, F, H, W, 3), RGB, upright; waits for them if they are still being rendered. Do not write into it.

        Of a filmed clip they are put together here: the same array for all who use it at a time, a new one later.

        Raises:
            FilmingError: OpenGL refused the model or the size.
        """
        return self.source() if callable(self.source) else self.source

    @property
    def moments(self) -> tuple[NDArray[np.uint8], ...]:
        """F arrays, uint8 (V, H, W, 3): the frames of each moment, which overlapping clips share; waits as `frames`."""
        return self.source.arrays if isinstance(self.source, Moments) else tuple(np.moveaxis(self.frames, 1, 0))

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickles the frames themselves."""
        frames = self.source if isinstance(self.source, Moments) else self.frames
        return Clip, (self.states, frames, self.views, self.prompt, self.episode, self.start)


@dataclass(frozen=True, slots=True, eq=False)
class ScoredClip:
    """A clip after scoring: the frames are gone, one score and one embedding a view remain.

    Attributes:
        states: float32 (L, D).
        views: int64 (V,), index of each view in the camera rig.
        scores: float32 (V,), psi: cosine between video and prompt embedding (paper section 4.1).
        embeddings: float32 (V, E), unit rows, the video embedding of each view.
        episode: as of the clip.
    """

    states: NDArray[np.float32]
    views: NDArray[np.int64]
    scores: NDArray[np.float32]
    embeddings: NDArray[np.float32]
    episode: int = UNKNOWN

    def __post_init__(self) -> None:
        """Checks that views, scores and embeddings are parallel."""
        if not self.views.shape == self.scores.shape == self.embeddings.shape[:1]:
            raise ConfigError(
                "a scored clip needs one view index, one score and one embedding a view, "
                f"got {self.views.shape}, {self.scores.shape} and {self.embeddings.shape}"
            )


ROWS = tuple(field.name for field in fields(ScoredClip))
"""What a scored clip consists of, each an array with a row a clip where clips are kept together."""


def stack_clips(clips: Sequence[ScoredClip]) -> dict[str, NDArray[Any]]:
    """Returns scored clips as arrays with a row a clip, by the names in `ROWS`; no arrays of no clips."""
    return {name: np.stack([getattr(clip, name) for clip in clips]) for name in ROWS} if clips else {}


def unstack_clips(rows: Mapping[str, NDArray[Any]]) -> list[ScoredClip]:
    """Returns the clips that `stack_clips` made arrays of."""
    columns = [rows[name] for name in ROWS] if rows else []
    return [
        ScoredClip(states, views, scores, embeddings, int(episode))
        for states, views, scores, embeddings, episode in zip(*columns, strict=True)
    ]
