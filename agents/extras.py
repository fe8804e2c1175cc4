"""Optional dependencies of the learners and of the `mvr` command: checked before use, named when missing."""

from __future__ import annotations

import importlib.util

from mvr_wrappers.errors import MissingExtraError

EXTRAS = {
    "tyro": "train",
    "rich": "train",
    "tqdm": "train",
    "matplotlib": "train",
    "av": "train",
    "scipy": "train",
    "tensorboard": "train",
    "stable_baselines3": "sb3",
    "sb3_contrib": "sb3",
    "metaworld": "metaworld",
    "jax": "jax",
    "flax": "jax",
    "optax": "jax",
    "transformers": "transformers",
    "optuna": "tune",
    "wandb": "wandb",
}
"""Import name -> the extra of this distribution that installs it."""


def is_installed(package: str) -> bool:
    """Returns whether `package` could be imported, without importing it."""
    return importlib.util.find_spec(package) is not None


def require(purpose: str, *packages: str) -> None:
    """Checks that packages are installed.

    Args:
        purpose: what they are for, the subject of the error's sentence.
        packages: import names, keys of `EXTRAS`.

    Raises:
        MissingExtraError: naming the first that is missing and the extra that installs it.
    """
    for package in packages:
        if not is_installed(package):
            raise MissingExtraError(package, EXTRAS[package], purpose)
