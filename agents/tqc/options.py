"""The words of `policy_kwargs`: those of sb3-contrib's TQC, and a few of our own, checked."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from typing import Any, cast

import optax
import torch as th

from mvr_agents.tqc.networks import ACTIVATIONS, Activation, Actor, stacked_critics
from mvr_agents.tqc.update import OptimizerSpec
from mvr_wrappers.errors import ConfigError, nearest

_OF_TORCH: dict[Any, tuple[Callable[..., optax.GradientTransformation], dict[str, Any]]] = {
    th.optim.Adam: (optax.adam, {}),
    th.optim.AdamW: (optax.adamw, {"weight_decay": 1e-2}),
    th.optim.RMSprop: (optax.rmsprop, {"decay": 0.99, "eps_in_sqrt": False}),
    th.optim.SGD: (optax.sgd, {}),
}
"""Optimizer of torch -> that of optax, and the arguments in which torch's defaults are others."""
_OPTAX_NAMES = {"alpha": "decay"}
"""Argument of an optimizer of torch -> its name in optax, where that is another."""
_ONLY_DEFAULT: dict[str, tuple[Any, ...]] = {
    "features_extractor_class": (None,),
    "features_extractor_kwargs": (None, {}),
    "normalize_images": (True,),
    "share_features_extractor": (False,),
}
"""Words of sb3-contrib for images: accepted with the values that change nothing."""


@dataclass(frozen=True)
class PolicyOptions:
    """What `policy_kwargs` may say.

    Attributes:
        net_arch: widths of the hidden layers, or {"pi": widths, "qf": widths}.
        activation_fn: a name of `networks.ACTIVATIONS`, the torch module of that name, or a function of jax.numpy.
        use_sde: set by the argument of that name of TQC.
        log_std_init, use_expln, clip_mean: of gSDE, see `networks.Actor`.
        n_quantiles: of each critic.
        n_critics: number of critics.
        optimizer_class: torch's Adam, AdamW, RMSprop or SGD, which compute what torch computes, or an optax factory
            that takes `learning_rate`. The entropy coefficient has Adam in any case, as in sb3-contrib.
        optimizer_kwargs: its other arguments, by the names and with the defaults of torch or of optax.
        layer_norm: normalise the layers of the critics (DroQ, arXiv 2110.02034).
        dropout_rate: of the critics' layers.
        normalize_observations: by their running mean and deviation, clipped to 10 deviations.
        matmul_dtype: "float32", or "bfloat16" for matrix products of rounded operands with float32 sums. On NVIDIA GPUs
            since Ampere JAX computes products of float32 in TF32, unless `jax.default_matmul_precision` says otherwise.
    """

    net_arch: Any = (256, 256)
    activation_fn: Any = "relu"
    use_sde: bool = False
    log_std_init: float = -3.0
    use_expln: bool = False
    clip_mean: float = 2.0
    n_quantiles: int = 25
    n_critics: int = 2
    optimizer_class: Any = optax.adam
    optimizer_kwargs: Mapping[str, Any] | None = None
    layer_norm: bool = False
    dropout_rate: float = 0.0
    normalize_observations: bool = False
    matmul_dtype: str = "float32"

    @classmethod
    def parse(cls, words: Mapping[str, Any]) -> PolicyOptions:
        """Checks and returns the options.

        Raises:
            ConfigError: an unknown word, with the nearest ones, or a value that cannot work.
        """
        valid = [field.name for field in fields(cls)]
        for word, value in words.items():
            if word in _ONLY_DEFAULT and value not in _ONLY_DEFAULT[word]:
                raise ConfigError(
                    f"policy_kwargs: {word}={value!r} is not supported; observations are flat vectors here"
                )
            if word not in valid and word not in _ONLY_DEFAULT:
                raise ConfigError(f"policy_kwargs: unknown word {word!r}. Nearest: {nearest(word, valid)}")
        given = {word: value for word, value in words.items() if word in valid}
        if given.get("net_arch", ()) is None:
            del given["net_arch"]
        options = cls(**given)
        options._check()
        return options

    def _check(self) -> None:
        for name in ("n_quantiles", "n_critics"):
            if not (isinstance(getattr(self, name), int) and getattr(self, name) > 0):
                raise ConfigError(f"policy_kwargs: {name} must be a positive integer, not {getattr(self, name)!r}")
        if not 0.0 <= self.dropout_rate < 1.0:
            raise ConfigError(f"policy_kwargs: dropout_rate must lie in [0, 1), not {self.dropout_rate}")
        if self.matmul_dtype not in ("float32", "bfloat16"):
            raise ConfigError(f"policy_kwargs: matmul_dtype must be float32 or bfloat16, not {self.matmul_dtype!r}")

    def actor(self, action_dim: int) -> Actor:
        """Returns the policy network."""
        return Actor(
            action_dim=action_dim,
            net_arch=self._widths("pi"),
            activation=self._activation(),
            bfloat16=self.matmul_dtype == "bfloat16",
            use_sde=self.use_sde,
            log_std_init=self.log_std_init,
            use_expln=self.use_expln,
            clip_mean=self.clip_mean,
        )

    def critics(self) -> Any:
        """Returns all critics as one module."""
        return stacked_critics(
            self.n_critics,
            n_quantiles=self.n_quantiles,
            net_arch=self._widths("qf"),
            activation=self._activation(),
            layer_norm=self.layer_norm,
            dropout_rate=self.dropout_rate,
            bfloat16=self.matmul_dtype == "bfloat16",
        )

    def optimizer(self) -> OptimizerSpec:
        """Returns the optimizer of the networks.

        Raises:
            ConfigError: another optimizer of torch, or arguments that it does not have.
        """
        options = dict(self.optimizer_kwargs or {})
        factory = self.optimizer_class
        if factory in _OF_TORCH:
            factory, defaults = _OF_TORCH[factory]
            options = {**defaults, **{_OPTAX_NAMES.get(name, name): value for name, value in options.items()}}
        if "betas" in options:
            options["b1"], options["b2"] = options.pop("betas")
        spec = OptimizerSpec(factory, tuple(sorted(options.items())))
        try:
            spec.build()
        except TypeError as error:
            raise ConfigError(
                f"policy_kwargs: optimizer_class and optimizer_kwargs do not fit optax: {error}"
            ) from error
        return spec

    def _widths(self, network: str) -> tuple[int, ...]:
        arch = self.net_arch.get(network) if isinstance(self.net_arch, Mapping) else self.net_arch
        if not arch or not all(isinstance(width, int) and width > 0 for width in arch):
            raise ConfigError(
                f"policy_kwargs: net_arch must list positive widths, or be {{'pi': widths, 'qf': widths}}, "
                f"not {self.net_arch!r}"
            )
        return tuple(arch)

    def _activation(self) -> Activation:
        given: Any = self.activation_fn
        if isinstance(given, type) and issubclass(given, th.nn.Module):
            given = given.__name__
        if not isinstance(given, str):
            return cast(Activation, given)
        if given.lower() not in ACTIVATIONS:
            raise ConfigError(f"policy_kwargs: unknown activation_fn {given!r}. Nearest: {nearest(given, ACTIVATIONS)}")
        return ACTIVATIONS[given.lower()]
