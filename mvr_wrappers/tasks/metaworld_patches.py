"""What is changed in Meta-World so that it runs on today's MuJoCo: each change with its reason.

Meta-World 3.1.1 pins MuJoCo 3.3.0, which it does not need: installed without its dependencies it runs as it is up to
MuJoCo 3.16, and with this change on 3.17 and later. Nothing is changed on disk, and nothing before one of its tasks is
made.
"""

from __future__ import annotations

import importlib
from typing import Any

_COLUMNS = 11  # of an equality constraint's data, as Meta-World knows it


def load() -> None:
    """Imports Meta-World, which registers its ids, and applies the patches. Calling it again changes nothing.

    Raises:
        ModuleNotFoundError: Meta-World is not installed.
    """
    importlib.import_module("metaworld")
    _fit_welds(importlib.import_module("metaworld.sawyer_xyz_env").SawyerMocapBase)


class _Narrow:
    """A model that shows the columns of `eq_data` that Meta-World knows; what is written there reaches the model."""

    def __init__(self, model: Any) -> None:
        self._model = model
        self.eq_data = model.eq_data[:, :_COLUMNS]

    def __getattr__(self, name: str) -> Any:
        return getattr(self._model, name)


def _fit_welds(base_class: Any) -> None:
    """Lets the hand's weld be reset where MuJoCo has more than eleven numbers for it.

    `reset_mocap_welds` assigns eleven numbers to a whole row of `eq_data`. MuJoCo 3.17 gave the row a twelfth, and
    NumPy refuses. The eleven are the same as before; the twelfth stays as the model was compiled.
    """
    import mujoco

    plain = base_class.reset_mocap_welds
    if mujoco.mjNEQDATA <= _COLUMNS or plain.__module__ == __name__:  # an older MuJoCo; patched before
        return

    def reset_mocap_welds(self: Any) -> None:
        try:
            return plain(self)  # type: ignore[no-any-return]  # a Meta-World that knows better
        except ValueError as error:
            if "broadcast" not in str(error):
                raise
        model, self.model = self.model, _Narrow(self.model)
        try:
            plain(self)
        finally:
            self.model = model

    base_class.reset_mocap_welds = reset_mocap_welds
