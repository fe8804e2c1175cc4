"""TQCPolicy: the networks of the JAX TQC behind the policy interface of Stable-Baselines3."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import torch as th
from gymnasium import spaces
from numpy.typing import NDArray
from stable_baselines3.common.policies import BasePolicy
from stable_baselines3.common.type_aliases import Schedule

from mvr_agents.tqc.devices import find_device
from mvr_agents.tqc.normalise import Statistics
from mvr_agents.tqc.options import PolicyOptions
from mvr_agents.tqc.programs import Held, RolloutState, draw_noise, predict
from mvr_agents.tqc.update import TQCSpec, init_state
from mvr_wrappers.errors import ConfigError

AUTO = "auto"
_OLD_PREFIX = "learner."  # of the names of the training state, before it was called so


def log_ent_coef(ent_coef: str | float) -> tuple[bool, float]:
    """Reads the argument `ent_coef` of TQC: "auto", "auto_<first value>" or a number.

    Returns:
        Whether it is learned, and the logarithm of its (first) value.

    Raises:
        ConfigError: anything else.
    """
    learned = isinstance(ent_coef, str) and ent_coef.startswith(AUTO)
    text = str(ent_coef)
    try:
        value = 1.0 if text == AUTO else float(text.removeprefix(f"{AUTO}_"))
    except ValueError as error:
        raise ConfigError(f"ent_coef must be auto, auto_<first value> or a number, not {ent_coef!r}") from error
    if not (0.0 <= value < math.inf) or (learned and value == 0.0):
        raise ConfigError(f"ent_coef={ent_coef!r}: it must be finite and not negative, and above 0 where learned")
    return learned, math.log(value) if value > 0.0 else -math.inf


def shape_of(space: spaces.Space[Any]) -> tuple[int, ...]:
    """Returns the shape of a Box."""
    assert space.shape is not None
    return space.shape


def size_of(space: spaces.Space[Any]) -> int:
    """Returns how many numbers an element of a Box holds."""
    return math.prod(shape_of(space))


class TQCPolicy(BasePolicy):
    """Actor, critics and all that learning and exploring change, on one JAX device.

    `state_dict` holds everything that a resumed run needs (parameters, optimizers, random keys, statistics), as torch
    tensors on the CPU.

    Args:
        observation_space: a Box.
        action_space: a bounded Box.
        lr_schedule: as SB3 hands it; TQC reads the schedule itself.
        seed: of networks, training and exploration.
        jax_device: a JAX device or a word for `find_device`.
        top_quantiles_to_drop_per_net, ent_coef, target_update_interval, noise_repeat: of TQC.
        options: see `PolicyOptions`.

    Attributes:
        spec: networks and losses.
        train_state: TrainState.
        rollout: RolloutState.
        noise_repeat: vector steps that explore with the same independent noise.
    """

    def __init__(
        self,
        observation_space: spaces.Box,
        action_space: spaces.Box,
        lr_schedule: Schedule,
        *,
        seed: int = 0,
        jax_device: jax.Device | str = AUTO,
        top_quantiles_to_drop_per_net: int = 2,
        ent_coef: str | float = AUTO,
        target_update_interval: int = 1,
        noise_repeat: int = 1,
        **options: Any,
    ) -> None:
        super().__init__(observation_space, action_space, squash_output=True)
        self.options = PolicyOptions.parse(options)
        self.jax_device = find_device(jax_device) if isinstance(jax_device, str) else jax_device
        if not 0 <= top_quantiles_to_drop_per_net < self.options.n_quantiles:
            raise ConfigError(
                f"top_quantiles_to_drop_per_net={top_quantiles_to_drop_per_net} of n_quantiles="
                f"{self.options.n_quantiles}: at least one must remain, and none can be added"
            )
        learned, first = log_ent_coef(ent_coef)
        self.spec = TQCSpec(
            actor=self.options.actor(size_of(action_space)),
            critics=self.options.critics(),
            n_critics=self.options.n_critics,
            drop_per_critic=top_quantiles_to_drop_per_net,
            learn_ent_coef=learned,
            optimizer=self.options.optimizer(),
            target_update_interval=target_update_interval,
        )
        dim = size_of(observation_space)
        statistics = Statistics.empty(dim) if self.options.normalize_observations else None
        with jax.default_device(self.jax_device):
            train_key, rollout_key = jax.random.split(jax.random.PRNGKey(seed))
            train_state = init_state(self.spec, train_key, dim, first)
            held = Held(rollout_key, jnp.zeros((), jnp.int32)) if noise_repeat > 1 else None
        self.noise_repeat = noise_repeat
        self.train_state, self.rollout = jax.device_put(
            (train_state, RolloutState(rollout_key, statistics, None, held)), self.jax_device
        )
        self._arguments = {
            "top_quantiles_to_drop_per_net": top_quantiles_to_drop_per_net,
            "ent_coef": ent_coef,
            "target_update_interval": target_update_interval,
            "noise_repeat": noise_repeat,
            **options,
        }
        self.reset_noise()

    def reset_noise(self, batch_size: int | None = None) -> None:
        """Draws the exploration matrices of gSDE anew; does nothing without it.

        Args:
            batch_size: matrices, one an env. None draws one and leaves the random key as it is: SB3 asks for that when
                it loads, and a resumed run must go on with the same numbers.
        """
        if self.spec.actor.use_sde:
            key, noise = draw_noise(self.spec.actor, self.rollout.key, batch_size or 1)
            self.rollout = self.rollout._replace(key=self.rollout.key if batch_size is None else key, noise=noise)

    def get_std(self) -> NDArray[np.float32]:
        """Returns the deviations of gSDE's exploration matrix, (H, A)."""
        observation = np.zeros((1, size_of(self.observation_space)), np.float32)
        output: Any = self.spec.actor.apply(self.train_state.actor, observation)
        return np.asarray(output.std)

    def predict(
        self,
        observation: NDArray[Any] | dict[str, NDArray[Any]],
        state: tuple[NDArray[Any], ...] | None = None,
        episode_start: NDArray[Any] | None = None,
        deterministic: bool = False,
    ) -> tuple[NDArray[np.float32], tuple[NDArray[Any], ...] | None]:
        """Returns actions for one observation or for several, see `BasePolicy.predict`."""
        if not isinstance(observation, np.ndarray):
            raise ConfigError(
                f"predict takes an array of observations, not {type(observation).__name__}. Gymnasium's reset() "
                "returns a pair, of which the observation is the first part"
            )
        vectorised = self.is_vectorized_observation(observation)
        rows = np.asarray(observation, np.float32).reshape(-1, size_of(self.observation_space))
        actions, key = predict(self.spec.actor, self.train_state.actor, self.rollout, rows, deterministic)
        self.rollout = self.rollout._replace(key=key)
        shaped = self.unscale_action(np.asarray(actions).reshape(-1, *shape_of(self.action_space)))
        return shaped if vectorised else shaped[0], state

    def _predict(self, observation: Any, deterministic: bool = False) -> th.Tensor:
        """Returns actions in [-1, 1] for a batch of observations, as torch tensors."""
        rows = observation.cpu().numpy().reshape(len(observation), -1).astype(np.float32)
        actions, key = predict(self.spec.actor, self.train_state.actor, self.rollout, rows, deterministic)
        self.rollout = self.rollout._replace(key=key)
        return th.from_numpy(np.array(actions)).reshape(-1, *shape_of(self.action_space))

    def forward(self, observation: Any, deterministic: bool = False) -> th.Tensor:
        """Returns what `_predict` returns."""
        return self._predict(observation, deterministic)

    def _leaves(self) -> tuple[dict[str, jax.Array], Any]:
        """Returns name -> array of all that is saved, and the structure to put it back."""
        saved = {"train_state": self.train_state, "rollout": self.rollout._replace(noise=None)}
        named, structure = jax.tree_util.tree_flatten_with_path(saved)
        return {jax.tree_util.keystr(path, simple=True, separator="."): leaf for path, leaf in named}, structure

    def state_dict(self, *args: Any, **kwargs: Any) -> dict[str, th.Tensor]:  # type: ignore[override]
        """Returns everything a resumed run needs, by name."""
        # Integers keep their bits: torch knows little of unsigned ones.
        arrays = {name: np.array(leaf) for name, leaf in self._leaves()[0].items()}
        return {name: th.from_numpy(a.view(np.int32) if a.dtype == np.uint32 else a) for name, a in arrays.items()}

    def load_state_dict(self, state_dict: Mapping[str, th.Tensor], strict: bool = True, assign: bool = False) -> None:
        """Takes what `state_dict` returned; with `strict=False` some names may be missing.

        Raises:
            ConfigError: names or shapes of other networks.
        """
        current, structure = self._leaves()
        state_dict = {_present_name(name): part for name, part in state_dict.items()}
        unknown = sorted(set(state_dict) - set(current))
        missing = sorted(set(current) - set(state_dict)) if strict else []
        if unknown or missing:
            raise ConfigError(f"these are parameters of another policy: unknown {unknown}, missing {missing}")
        arrays = []
        for name, old in current.items():
            # Copies, since what JAX is given may be written over in place.
            new = _array(state_dict[name], old.dtype) if name in state_dict else np.array(old)
            if new.shape != old.shape:
                raise ConfigError(f"the shape of {name} is {old.shape} here, but {new.shape} in what is loaded")
            arrays.append(jax.device_put(new, self.jax_device))
        state = jax.tree_util.tree_unflatten(structure, arrays)
        self.train_state = state["train_state"]
        self.rollout = state["rollout"]._replace(noise=self.rollout.noise)

    def _get_constructor_parameters(self) -> dict[str, Any]:
        spaces_ = {"observation_space": self.observation_space, "action_space": self.action_space}
        return {**spaces_, "lr_schedule": self._dummy_schedule, **self._arguments}


def _array(saved: th.Tensor, dtype: np.dtype[Any]) -> NDArray[Any]:
    """Returns a copy in the dtype it had before `state_dict` made a tensor of it."""
    array = saved.cpu().numpy().copy()
    return array.view(dtype) if dtype == np.uint32 else array.astype(dtype)


def _present_name(saved: str) -> str:
    """Returns what a part of `state_dict` is called now."""
    return f"train_state.{saved.removeprefix(_OLD_PREFIX)}" if saved.startswith(_OLD_PREFIX) else saved
