"""Meta-World's hand is welded on any MuJoCo: also on those that have more numbers for a weld than Meta-World knows."""

from __future__ import annotations

import subprocess
import sys
from types import SimpleNamespace
from typing import Any

import cloudpickle
import mujoco
import numpy as np
import pytest

from mvr_wrappers.tasks import metaworld_patches
from mvr_wrappers.tasks.base_envs import make_base_env
from mvr_wrappers.tasks.registry import get_task

WELD = [0, 0, 0, 0, 0, 0, -1, 0, 0, 0, 5]


def base_class(write: Any) -> Any:
    """Returns a class whose `reset_mocap_welds` writes in each row of the model's data as `write` does."""

    class Base:
        def __init__(self, columns: int) -> None:
            self.model = SimpleNamespace(eq_data=np.full((2, columns), 7.0), eq_type=[1, 1])

        def reset_mocap_welds(self) -> None:
            for row in range(len(self.model.eq_type)):
                write(self.model.eq_data, row)

    return Base


def whole_row(data: Any, row: int) -> None:
    """As Meta-World 3.1.1."""
    data[row] = np.array(WELD)


def test_eleven_numbers_are_written_and_the_twelfth_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mujoco, "mjNEQDATA", 12)
    base = base_class(whole_row)
    with pytest.raises(ValueError, match="broadcast"):
        base(12).reset_mocap_welds()
    metaworld_patches._fit_welds(base)
    patched = base.reset_mocap_welds
    metaworld_patches._fit_welds(base)
    assert base.reset_mocap_welds is patched  # once is enough
    env = base(12)
    model = env.model
    env.reset_mocap_welds()
    assert env.model is model
    np.testing.assert_array_equal(model.eq_data, [[*WELD, 7]] * 2)


def test_an_older_mujoco_leaves_metaworld_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mujoco, "mjNEQDATA", 11)
    base = base_class(whole_row)
    plain = base.reset_mocap_welds
    metaworld_patches._fit_welds(base)
    assert base.reset_mocap_welds is plain


def test_a_metaworld_that_knows_the_twelfth_number_has_its_way(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mujoco, "mjNEQDATA", 12)

    def all_twelve(data: Any, row: int) -> None:
        data[row] = [*WELD, 2]

    base = base_class(all_twelve)
    metaworld_patches._fit_welds(base)
    env = base(12)
    env.reset_mocap_welds()
    np.testing.assert_array_equal(env.model.eq_data, [[*WELD, 2]] * 2)


def test_other_errors_are_not_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mujoco, "mjNEQDATA", 12)

    def fail(data: Any, row: int) -> None:
        raise ValueError("no such weld")

    base = base_class(fail)
    metaworld_patches._fit_welds(base)
    with pytest.raises(ValueError, match="no such weld"):
        base(12).reset_mocap_welds()


def test_a_task_is_welded_here_and_in_a_process_that_only_unpickles_it(tmp_path: Any) -> None:
    pytest.importorskip("metaworld", reason="metaworld is not installed")
    env = make_base_env(get_task("hammer-v3"))
    env.reset(seed=0)
    model: Any = env.unwrapped.model  # type: ignore[attr-defined]
    np.testing.assert_array_equal(model.eq_data[:, :11], [WELD])
    (tmp_path / "env.pickle").write_bytes(cloudpickle.dumps(env))
    code = (
        "import pickle, sys; env = pickle.load(open(sys.argv[1], 'rb')); "
        "print(*env.unwrapped.model.eq_data[0, :11].astype(int))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, tmp_path / "env.pickle"], capture_output=True, text=True, check=False
    )
    assert done.stdout.split() == [str(number) for number in WELD], done.stderr
