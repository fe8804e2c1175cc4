"""Where clips are cut, which of their states are filmed, and that their arrays fit each other."""

from __future__ import annotations

import dataclasses
import pickle
from typing import Literal

import numpy as np
import pytest

from mvr_wrappers.clips import Clip, ScoredClip, clip_starts, frame_indices, stack_clips, unstack_clips
from mvr_wrappers.errors import ConfigError


@pytest.mark.parametrize(
    ("length", "frames", "expected"),
    [
        (64, 8, [4, 12, 20, 28, 36, 44, 52, 60]),  # middles of eight segments of 8
        (6, 3, [1, 3, 5]),
        (5, 5, [0, 1, 2, 3, 4]),
        (7, 2, [1, 5]),  # 7/4 and 21/4, rounded down
        (9, 1, [4]),
        (1, 1, [0]),
    ],
)
def test_frames_stand_in_the_middle_of_equal_segments(length: int, frames: int, expected: list[int]) -> None:
    indices = frame_indices(length, frames)
    assert indices.tolist() == expected
    assert indices.dtype == np.int64


def test_frames_are_increasing_and_inside_the_clip_at_every_size() -> None:
    for length in range(1, 40):
        for frames in range(1, length + 1):
            indices = frame_indices(length, frames)
            assert len(indices) == frames
            assert indices[0] >= 0 and indices[-1] < length
            assert (np.diff(indices) > 0).all()


def test_clips_shifted_by_a_segment_share_all_but_one_frame() -> None:
    first, second = frame_indices(64, 8), 8 + frame_indices(64, 8)
    assert set(first[1:]) == set(second[:-1])


@pytest.mark.parametrize(("length", "frames"), [(8, 9), (8, 0), (8, -1), (0, 0), (0, 1)])
def test_more_frames_than_states_are_refused(length: int, frames: int) -> None:
    with pytest.raises(ConfigError, match=f"a clip of {length} states cannot give {frames} frames"):
        frame_indices(length, frames)


@pytest.mark.parametrize(
    ("n_states", "length", "stride", "expected"),
    [
        (501, 64, 16, [*range(0, 433, 16), 437]),  # 500 steps: the last clip ends on the last state
        (64, 64, 16, [0]),
        (63, 64, 16, []),
        (0, 64, 16, []),
        (65, 64, 16, [0, 1]),
        (80, 64, 16, [0, 16]),
        (10, 3, 100, [0, 7]),
        (4, 1, 1, [0, 1, 2, 3]),
    ],
)
def test_clips_start_at_each_stride_and_one_ends_with_the_episode(
    n_states: int, length: int, stride: int, expected: list[int]
) -> None:
    assert clip_starts(n_states, length, stride) == expected


def _clip(states: tuple[int, ...] = (5, 3), frames: tuple[int, ...] = (2, 4, 6, 6, 3), views: int = 2) -> Clip:
    return Clip(np.zeros(states, np.float32), np.zeros(frames, np.uint8), np.zeros(views, np.int64))


def test_a_clip_keeps_its_arrays_and_cannot_be_changed() -> None:
    clip = _clip()
    assert clip.states.shape == (5, 3)
    with pytest.raises(dataclasses.FrozenInstanceError):
        clip.views = np.zeros(2, np.int64)  # type: ignore[misc]


@pytest.mark.parametrize(
    "broken",
    [
        {"states": (15,)},  # flattened: time and features must stay apart
        {"states": (1, 5, 3)},
        {"frames": (4, 6, 6, 3)},
        {"frames": (2, 4, 6, 6, 4)},  # an alpha channel
        {"frames": (3, 4, 6, 6, 3)},  # three views filmed, two named
    ],
)
def test_arrays_that_do_not_fit_each_other_are_refused(broken: dict[str, tuple[int, ...]]) -> None:
    with pytest.raises(ConfigError):
        _clip(**broken)  # type: ignore[arg-type]


def test_a_scored_clip_holds_no_frames() -> None:
    names = {field.name for field in dataclasses.fields(ScoredClip)}
    assert names == {"states", "views", "scores", "embeddings", "episode"}


def test_scores_and_embeddings_belong_to_the_views() -> None:
    states, embeddings = np.zeros((5, 3), np.float32), np.eye(2, 4, dtype=np.float32)
    views, scores = np.array([0, 3]), np.array([0.1, 0.2], np.float32)
    assert ScoredClip(states, views, scores, embeddings).views.tolist() == [0, 3]
    for broken in ((views[:1], scores, embeddings), (views, scores[:1], embeddings), (views, scores, embeddings[:1])):
        with pytest.raises(ConfigError, match="one view index, one score and one embedding a view"):
            ScoredClip(states, *broken)


def test_scored_clips_are_stacked_and_taken_apart_again() -> None:
    clips = [
        ScoredClip(
            np.full((2, 1), i, np.float32), np.array([i]), np.ones(1, np.float32), np.ones((1, 2), np.float32), i
        )
        for i in (-1, 2**33, 5)
    ]
    again = unstack_clips(stack_clips(clips))
    assert [clip.episode for clip in again] == [-1, 2**33, 5]
    for clip, same in zip(clips, again, strict=True):
        np.testing.assert_array_equal(clip.states, same.states)
    assert stack_clips([]) == {} and unstack_clips({}) == []


@pytest.mark.parametrize(("at", "expected"), [("middle", [1, 3, 5, 7]), ("first", [0, 2, 4, 6])])
def test_which_state_of_its_part_a_frame_shows(at: Literal["middle", "first"], expected: list[int]) -> None:
    assert frame_indices(8, 4, at).tolist() == expected


def test_a_pickled_clip_knows_its_episode_still() -> None:
    clip = Clip(np.zeros((5, 3), np.float32), np.zeros((1, 4, 6, 6, 3), np.uint8), np.zeros(1, np.int64), None, 7, 16)
    again = pickle.loads(pickle.dumps(clip))
    assert (again.episode, again.start) == (7, 16)
