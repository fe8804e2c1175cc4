"""Filmstrips: the clips filmed last as one picture, for people to look at; Reel keeps those clips."""

from __future__ import annotations

import textwrap
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from mvr_wrappers.clips import Clip
from mvr_wrappers.errors import ConfigError, FilmingError

KEPT = 4  # clips of each view; a clip of 8 frames of 224 pixels is 1.2 MB

_SMALLEST = 96  # pixels of a frame's side; smaller frames are enlarged by a whole number
_TEXT, _LINE, _MARGIN, _GAP = 14, 19, 12, 3  # pixels: letters, lines, around things, between frames
_BLACK, _GREY = "#141414", "#6e6e6e"

ScoreOf: TypeAlias = Callable[[Clip], NDArray[np.float32] | None]


@dataclass(frozen=True, slots=True, eq=False)
class Strip:
    """One row of a filmstrip.

    Attributes:
        frames: uint8 (F, H, W, 3), RGB, in the order of time.
        caption: lines that stand to the left.
        color: of the caption, such as "#2c8a57".
    """

    frames: NDArray[np.uint8]
    caption: tuple[str, ...]
    color: str = _GREY


class Reel:
    """Keeps the latest clips of each prompt and view."""

    __slots__ = ("_clips",)

    def __init__(self) -> None:
        self._clips: dict[str, dict[int, deque[Clip]]] = {}

    def add(self, prompt: str, clips: Sequence[Clip]) -> None:
        """Takes in clips, oldest first, that were filmed for `prompt`."""
        of_views = self._clips.setdefault(prompt, {})
        for clip in clips:
            for view in clip.views.tolist():
                of_views.setdefault(view, deque(maxlen=KEPT)).append(clip)

    def draw(self, score_of: Callable[[str], ScoreOf], clips: int = 1) -> NDArray[np.uint8]:
        """Draws the latest clips: a row for each view, time from left to right, psi beside it where it is known.

        Args:
            score_of: prompt -> clip -> psi of its views, float32 (V,), or None while it was not scored.
            clips: how many of each view, the latest lowest; at most `KEPT`.

        Returns:
            uint8 (H, W, 3), RGB.

        Raises:
            FilmingError: nothing was filmed yet.
            ConfigError: more clips than are kept, or none.
        """
        if not 1 <= clips <= KEPT:
            raise ConfigError(f"filmstrip of {clips} clips a view; give 1 to {KEPT}, the latest that are kept")
        parts = []
        for prompt, of_views in self._clips.items():
            latest = [(view, clip) for view in sorted(of_views) for clip in list(of_views[view])[-clips:]]
            if latest:
                parts.append((f'"{prompt}"', [_strip(clip, view, score_of(prompt)(clip)) for view, clip in latest]))
        if not parts:
            raise FilmingError(
                "nothing has been filmed yet. Frames are made when a filmed episode ends or is reset: one episode of "
                "every clip.film_every, if it has clip.length states or more. Run one to its end, then look again."
            )
        return draw_filmstrip(parts)


def draw_filmstrip(
    parts: Sequence[tuple[str, Sequence[Strip]]], footer: str = "time, left to right"
) -> NDArray[np.uint8]:
    """Draws rows of frames under headings, one below the other.

    Args:
        parts: heading (its line breaks are kept) and rows; at least one row in all.
        footer: what the frames of a row differ in.

    Returns:
        uint8 (H, W, 3), RGB.
    """
    from PIL import Image, ImageDraw, ImageFont

    font = ImageFont.load_default(_TEXT)
    rows = {strip: _side_by_side(strip.frames) for _, strips in parts for strip in strips}
    left = 2 * _MARGIN + int(max(font.getlength(line) for strip in rows for line in strip.caption))
    width = left + max(row.shape[1] for row in rows.values()) + _MARGIN
    letters = max(20, int((width - 2 * _MARGIN) / font.getlength("n")))
    headings = [[part for line in heading.split("\n") for part in textwrap.wrap(line, letters)] for heading, _ in parts]
    heights = {strip: max(len(row), _LINE * len(strip.caption)) + _MARGIN for strip, row in rows.items()}
    height = _LINE * (sum(map(len, headings)) + 1) + _MARGIN * (len(parts) + 1) + sum(heights.values())
    canvas = Image.new("RGB", (width, height), "white")
    pen, top = ImageDraw.Draw(canvas), _MARGIN // 2
    for heading, (_, strips) in zip(headings, parts, strict=True):
        pen.text((_MARGIN, top), "\n".join(heading), _BLACK, font, spacing=_LINE - _TEXT)
        top += _LINE * len(heading) + _MARGIN // 2
        for strip in strips:
            canvas.paste(Image.fromarray(rows[strip]), (left, top))
            pen.text((_MARGIN, top), "\n".join(strip.caption), strip.color, font, spacing=_LINE - _TEXT)
            top += heights[strip]
        top += _MARGIN // 2
    pen.text((width - _MARGIN, top), footer, _GREY, font, anchor="ra")
    return np.array(canvas)


def _side_by_side(frames: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Returns frames (F, H, W, 3) in one row, small ones enlarged: uint8 (H', W', 3)."""
    enlarged = -(-_SMALLEST // min(frames.shape[1:3]))
    frames = frames.repeat(enlarged, axis=1).repeat(enlarged, axis=2)
    padded = np.pad(frames, ((0, 0), (0, 0), (0, _GAP), (0, 0)), constant_values=255)
    return np.concatenate(list(padded), axis=1)[:, :-_GAP]


def _strip(clip: Clip, view: int, scores: NDArray[np.float32] | None) -> Strip:
    row = clip.views.tolist().index(view)
    return Strip(clip.frames[row], (f"view {view}", "not scored" if scores is None else f"score {scores[row]:.3f}"))
