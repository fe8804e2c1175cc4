"""Settings are read strictly, and each error names the place, the key and the mend."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest

from mvr_wrappers.errors import ConfigError
from mvr_wrappers.settings import (
    AgentSettings,
    ClipSettings,
    RelevanceSettings,
    RewardSettings,
    ScheduleSettings,
    checked_weight,
    merge,
    parse,
)

KINDS = [ClipSettings, RelevanceSettings, RewardSettings, ScheduleSettings]


@pytest.mark.parametrize("kind", KINDS)
def test_defaults_survive_a_round_trip_through_plain_values(kind: type) -> None:
    assert parse(kind, dataclasses.asdict(kind()), "here") == kind()
    assert parse(kind, {}, "here") == kind()


@pytest.mark.parametrize("weight", [-0.1, float("nan"), float("inf"), "much", True, None])
def test_a_weight_is_a_finite_number_of_at_least_zero(weight: Any) -> None:
    assert [checked_weight(good) for good in (0, 0.5, np.float32(0.25))] == [0.0, 0.5, 0.25]
    with pytest.raises(ConfigError, match=r"weight is .*; give a finite number, at least 0"):
        checked_weight(weight)


@pytest.mark.parametrize("kind", KINDS)
def test_settings_are_frozen_and_slotted(kind: type) -> None:
    settings = kind()
    with pytest.raises((AttributeError, TypeError)):
        settings.lengths = 3
    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(settings, dataclasses.fields(settings)[0].name, 1)


def test_whole_numbers_serve_as_floats_but_nothing_is_cut_or_guessed() -> None:
    assert parse(RewardSettings, {"bound": 3}, "reward").bound == 3.0
    for value in (64.5, 64.0, "64", True, [64], np.float32(64)):
        with pytest.raises(ConfigError, match=r"^clip\.length: Input should be a valid integer, got"):
            parse(ClipSettings, {"length": value}, "clip")
    with pytest.raises(ConfigError, match=r"relevance\.standardise: Input should be a valid boolean, got 'no'"):
        parse(RelevanceSettings, {"standardise": "no"}, "relevance")


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_nan_and_infinity_are_refused(value: float) -> None:
    with pytest.raises(ConfigError, match=r"relevance\.tau: Input should be a finite number"):
        parse(RelevanceSettings, {"tau": value}, "relevance")


def test_an_unknown_key_names_the_nearest_and_all_valid_ones() -> None:
    with pytest.raises(ConfigError) as caught:
        parse(ClipSettings, {"lengths": 64}, "my.yaml: clip")
    message = str(caught.value)
    assert message.startswith("my.yaml: clip.lengths is not a setting. Nearest valid keys: length.")
    assert "film_every, frame_at, frames, image_size, length, quality, stride, views" in message


def test_a_choice_that_does_not_exist_names_the_choices() -> None:
    with pytest.raises(ConfigError, match=r"clip\.views: Input should be 'random', 'turns' or 'all', got 'each'"):
        parse(ClipSettings, {"views": "each"}, "clip")


def test_what_is_no_mapping_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"^clip: .*got 64"):
        parse(ClipSettings, 64, "clip")
    with pytest.raises(ConfigError, match="clip must be a mapping of settings, got 64"):
        merge(ClipSettings(), 64, "clip")


POSITIVE = {
    ClipSettings: ["length", "stride", "frames", "film_every", "image_size"],
    RelevanceSettings: [
        *("hidden", "tau", "beta", "learning_rate", "clips", "pairs", "states_per_clip", "references", "capacity"),
        *("steps_per_epoch", "patience", "max_steps"),
    ],
    RewardSettings: ["bound"],
    ScheduleSettings: ["score_every", "update_every", "max_clips"],
}


@pytest.mark.parametrize(("kind", "name"), [(kind, name) for kind, names in POSITIVE.items() for name in names])
@pytest.mark.parametrize("value", [0, -1])
def test_zero_and_negative_sizes_are_refused_by_constructor_and_parser(kind: type, name: str, value: int) -> None:
    section = kind.__name__.removesuffix("Settings").lower()
    message = rf"{section}\.{name} is {value}(\.0)?; it must be greater than 0"
    with pytest.raises(ConfigError, match=message):
        kind(**{name: value})
    with pytest.raises(ConfigError, match=f"^tasks.yaml: {message}"):
        parse(kind, {name: value}, f"tasks.yaml: {section}")


@pytest.mark.parametrize("name", ["representation_weight", "weight_decay", "min_total_steps"])
def test_weights_may_be_zero_but_not_negative(name: str) -> None:
    zero: dict[str, Any] = {name: 0}
    assert getattr(RelevanceSettings(**zero), name) == 0
    with pytest.raises(ConfigError, match=f"{name} is -1; it must not be negative"):
        RelevanceSettings(**{name: zero[name] - 1})


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: ClipSettings(length=8, frames=9), "clip.frames is 9, more than clip.length 8"),
        (lambda: RelevanceSettings(holdout=0.0), "holdout is 0.0; give a share between 0 and 1"),
        (lambda: RelevanceSettings(holdout=1.0), "holdout is 1.0; give a share between 0 and 1"),
        (lambda: RewardSettings(gamma=1.01), r"gamma is 1.01; give a discount in \[0, 1\]"),
    ],
)
def test_values_that_cannot_work_together_are_refused(make: Any, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        make()


def test_merge_changes_the_named_fields_only() -> None:
    assert merge(ClipSettings(length=32), {"stride": 4}, "clip") == ClipSettings(length=32, stride=4)
    assert merge(ClipSettings(length=32), None, "clip") == ClipSettings(length=32)
    assert merge(ClipSettings(length=32), ClipSettings(stride=4), "clip") == ClipSettings(stride=4)
    with pytest.raises(ConfigError, match=r"^clip\.frames is 9, more than clip\.length 8; lower frames$"):
        merge(ClipSettings(length=8, frames=8), {"frames": 9}, "clip")


def test_agent_settings_are_a_mapping_with_every_key_required() -> None:
    with pytest.raises(ConfigError, match=r"^agent\.steps is missing; add it$"):
        parse(AgentSettings, {}, "agent")
