"""The lowest promised versions are read from pyproject.toml, as pip wants them."""

from __future__ import annotations

import subprocess
import sys

from tests.support.paths import ROOT
from tools import lowest


def test_bounds_become_pins_and_what_has_none_is_left_out() -> None:
    given = ["gymnasium[mujoco]>=1.2", "numpy>=2.0,<3", "types-PyYAML", 'tomli>=2; python_version < "3.11"', "me[all]"]
    assert list(lowest.lowest(given)) == ["gymnasium==1.2", "numpy==2.0", 'tomli==2; python_version < "3.11"']


def test_all_requirements_but_those_left_out_are_printed() -> None:
    done = subprocess.run(
        [sys.executable, ROOT / "tools/lowest.py", "--except", "torch"], capture_output=True, text=True, check=True
    )
    names = {line.partition("==")[0] for line in done.stdout.splitlines()}
    assert {"mujoco", "metaworld", "jax", "pytest", "transformers"} <= names and "torch" not in names
