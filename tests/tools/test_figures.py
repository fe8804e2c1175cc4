from __future__ import annotations

import numpy as np
import pytest

from tools.pocket.figures import auc, auc_table, over_episodes, over_tables, view_share


def test_auc_by_hand() -> None:
    assert auc(np.array([3.0, 1.0]), np.array([2.0, 1.0, 0.0])) == pytest.approx((3 + 1.5) / 6)
    assert auc(np.array([2.0]), np.array([1.0])) == 1.0


def test_the_mean_of_a_table_is_the_auc(rng: np.random.Generator) -> None:
    positive, negative = rng.normal(size=(4, 2)), rng.normal(size=(3, 2))
    table = auc_table(list(positive), list(negative))
    assert table.shape == (4, 3)
    assert table.mean() == pytest.approx(auc(positive.ravel(), negative.ravel()))


def test_view_share() -> None:
    scores, views = np.array([0.0, 0.0, 1.0, 1.0]), np.array([0, 0, 90, 90])
    assert view_share(scores, views) == 1.0
    noise = np.random.default_rng(0).normal(size=4_000)
    assert view_share(noise, np.arange(4_000) % 4) < 0.01
    # Two views whose means differ by 2 deviations: variance 1 between, 1 within.
    assert view_share(noise + 2 * (np.arange(4_000) % 2), np.arange(4_000) % 2) == pytest.approx(0.5, abs=0.03)


def test_intervals_hold_the_mean(rng: np.random.Generator) -> None:
    values = {"a": rng.normal(1.0, 1, 50), "b": rng.normal(3.0, 1, 50)}
    figure = over_episodes(values, 400)
    assert figure.mean == pytest.approx(np.mean([values["a"].mean(), values["b"].mean()]))
    deviation = np.sqrt(sum(v.var() / 50 for v in values.values())) / 2
    assert figure.high - figure.low == pytest.approx(2 * 1.96 * deviation, rel=0.2)
    assert figure.low < figure.mean < figure.high


def test_tables_without_spread_have_no_interval() -> None:
    figure = over_tables({"a": np.full((3, 4), 0.5), "b": np.full((2, 2), 1.0)}, 10)
    assert (figure.mean, figure.low, figure.high) == (0.75, 0.75, 0.75)
    assert figure.tasks == {"a": 0.5, "b": 1.0}
    assert str(figure) == "0.750 (0.750-0.750)"
