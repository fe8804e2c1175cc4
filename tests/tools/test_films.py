from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.support.pocket_films import EXPERT, RANDOM, write_films
from tools.pocket.films import SIZE, Film, read_films, write_shard


def test_films_come_back(tmp_path: Path, rng: np.random.Generator) -> None:
    pixels = [rng.integers(0, 256, (n, SIZE, SIZE, 3), np.uint8) for n in (9, 12, 8)]
    write_shard(
        tmp_path / "00-a",
        [Film("push-v3", 1, 0.0, 4, 8, 9, EXPERT), Film("push-v3", 1, 90.0, 4, 8, 12, EXPERT)],
        pixels[:2],
    )
    write_shard(tmp_path / "00-b", [Film("ant", 2, 45.5, 0, 6, 8, RANDOM)], pixels[2:])
    films = read_films(tmp_path)
    assert films.columns["subject"].tolist() == ["push-v3", "push-v3", "ant"]
    assert films.columns["azimuth"].tolist() == [0.0, 90.0, 45.5]
    assert films.columns["solved"].tolist() == [90, 90, 131]
    np.testing.assert_array_equal(films.clip(0, 1), pixels[0][1:9])
    np.testing.assert_array_equal(films.clip(1, 4), pixels[1][4:12])
    np.testing.assert_array_equal(films.clip(2, 0), pixels[2])


def test_a_shard_that_was_cut_is_not_read(tmp_path: Path, rng: np.random.Generator) -> None:
    write_films(tmp_path / "train", rng)
    np.save(tmp_path / "train" / "01-half.frames.npy", np.zeros(3))
    assert len(read_films(tmp_path / "train").pixels) == 1


def test_no_films(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"tools\.pocket\.collect"):
        read_films(tmp_path)
