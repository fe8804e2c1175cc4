"""Wilson's interval, by hand."""

from __future__ import annotations

import pytest

from mvr_agents.runs.interval import wilson_interval


def test_nine_of_ten() -> None:
    """z^2 / n = 0.384146; middle 1.092073 / 1.384146 = 0.78899, half 1.959964 sqrt(0.0186036) / 1.384146 = 0.19314."""
    assert wilson_interval(0.9, 10) == pytest.approx((0.78899 - 0.19314, 0.78899 + 0.19314), abs=1e-5)


def test_its_ends_are_as_far_from_the_share_as_chance_may_lead() -> None:
    for end in wilson_interval(0.3, 7):
        assert abs(0.3 - end) == pytest.approx(1.959964 * (end * (1 - end) / 7) ** 0.5)


@pytest.mark.parametrize(("share", "expected"), [(1.0, (3 / 4, 1.0)), (0.0, (0.0, 1 / 4)), (0.5, (1 / 4, 3 / 4))])
def test_round_numbers(share: float, expected: tuple[float, float]) -> None:
    """With z = 1 and 3 cases 1 + z^2 / n = 4/3; middle and half are 7/6 and 1/6, 1/6 and 1/6, 2/3 and 1/3."""
    assert wilson_interval(share, 3, z=1.0) == pytest.approx(expected)
