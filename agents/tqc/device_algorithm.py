"""DeviceOffPolicyAlgorithm: an algorithm of Stable-Baselines3 whose policy and replay buffer live on a JAX device."""

from __future__ import annotations

import io
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Self

import jax
import numpy as np
from numpy.typing import NDArray
from stable_baselines3.common.buffers import ReplayBuffer
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.noise import ActionNoise
from stable_baselines3.common.off_policy_algorithm import OffPolicyAlgorithm
from stable_baselines3.common.type_aliases import GymEnv, Schedule
from stable_baselines3.common.utils import check_for_correct_spaces, get_system_info

from mvr_agents.tqc.agent_file import fill_in, is_pickled, read_agent, write_agent
from mvr_agents.tqc.arguments import check_finite, check_loaded
from mvr_agents.tqc.collector import Collector
from mvr_agents.tqc.outcome import TrainOutcome, mean_losses
from mvr_agents.tqc.policy import TQCPolicy
from mvr_agents.tqc.relabel import engine_of
from mvr_agents.tqc.replay import DeviceReplayBuffer
from mvr_wrappers.errors import ConfigError


class DeviceOffPolicyAlgorithm(OffPolicyAlgorithm):
    """Acts, stores, logs, saves and loads; a subclass makes policy and buffer, and trains.

    Attributes:
        losses: means over the gradient steps of the last training, by the names they are logged under; empty before.
    """

    policy: TQCPolicy
    replay_buffer: DeviceReplayBuffer | None
    _last_obs: Any

    def __init__(
        self,
        policy: str | type[TQCPolicy],
        env: GymEnv | None,
        learning_rate: float | Schedule,
        *,
        jax_device: jax.Device,
        **arguments: Any,
    ) -> None:
        # None is a valid env, if not typed so; what little torch is left computes on the CPU.
        super().__init__(policy, env, learning_rate, device="cpu", support_multi_env=True, **arguments)  # type: ignore[arg-type]
        self._jax_device = jax_device
        self._collector = Collector()
        self._pending: tuple[TrainOutcome, int] | None = None  # of the last training, and gradient steps asked for
        self.losses: dict[str, float] = {}

    @property
    def actor(self) -> TQCPolicy:  # type: ignore[override]
        """The policy, where SB3 looks for `reset_noise` and `get_std`."""
        return self.policy

    def _setup_learn(self, *args: Any, **kwargs: Any) -> tuple[int, BaseCallback]:
        """Prepares to learn; where that resets the envs, the trajectories that were stored last end."""
        before = self._last_obs
        prepared = super()._setup_learn(*args, **kwargs)
        if self._last_obs is not before and self.replay_buffer is not None:
            self.replay_buffer.cut()
        return prepared

    def set_env(self, env: GymEnv, force_reset: bool = True) -> None:
        """Goes on with another env, and with its engine."""
        super().set_env(env, force_reset)
        self._follow_engine()

    def _follow_engine(self) -> None:
        """Has the replay buffer relabelled by the engine of the env, unless `replay_buffer_kwargs` say otherwise."""
        engine = engine_of(self.env)
        if engine is not None and "engine" not in self.replay_buffer_kwargs and self.replay_buffer is not None:
            self.replay_buffer.set_engine(engine)

    def _sample_action(
        self, learning_starts: int, action_noise: ActionNoise | None = None, n_envs: int = 1
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Chooses the actions of a vector step in one device call, which also stores the step before."""
        assert self.replay_buffer is not None
        warm_up = self.num_timesteps < learning_starts and not (self.use_sde and self.use_sde_at_warmup)
        scaled = self._collector.act(self.policy, self.replay_buffer, self._last_obs, warm_up)
        # The actions had to wait for the last training: now its outcome costs nothing, and NaN goes no further.
        self._settle()
        if action_noise is not None:
            scaled = np.clip(scaled + action_noise(), -1.0, 1.0).astype(np.float32)
        return self.policy.unscale_action(scaled), scaled

    def _store_transition(
        self,
        replay_buffer: ReplayBuffer,
        buffer_action: NDArray[np.float32],
        new_obs: Any,
        reward: NDArray[Any],
        dones: NDArray[np.bool_],
        infos: list[dict[str, Any]],
    ) -> None:
        """Stages a transition for the next device call."""
        assert isinstance(replay_buffer, DeviceReplayBuffer)
        check_finite(self.num_timesteps, observation=new_obs, reward=reward)
        if self._vec_normalize_env is not None:  # what is stored is not what was acted on
            super()._store_transition(replay_buffer, buffer_action, new_obs, reward, dones, infos)
            return
        self._collector.store(replay_buffer, self._last_obs, buffer_action, new_obs, reward, dones, infos)
        self._last_obs = new_obs

    def _settle(self) -> None:
        """Fetches, checks and logs the outcome of the last training.

        Raises:
            NonFiniteError: see `mean_losses`.
        """
        if self._pending is not None:
            (outcome, asked), self._pending = jax.device_get(self._pending), None
            self._n_updates -= int(asked - outcome.updates)
            learned = self.policy.spec.learn_ent_coef
            self.losses = mean_losses(outcome, asked, self._n_updates, self.num_timesteps, learned)
            for name, value in self.losses.items():
                self.logger.record(f"train/{name}", value)

    def dump_logs(self) -> None:
        """Writes the log, with the losses of the last training."""
        self._settle()
        super().dump_logs()

    def get_parameters(self) -> dict[str, dict[str, Any]]:
        """Returns the parameters, those that the last training left, see `BaseAlgorithm.get_parameters`."""
        self._settle()
        return super().get_parameters()

    def save(  # type: ignore[override]  # not to a stream
        self, path: str | Path, exclude: Iterable[str] | None = None, include: Iterable[str] | None = None
    ) -> None:
        """Saves everything but the replay buffer, as arrays and JSON; see `BaseAlgorithm.save`.

        What cannot be written so, such as a learning rate that is a function of yours, is left out, and asked for again
        by `load` where it is needed.
        """
        self._settle()
        left = {*self._excluded_save_params(), *(exclude or ())} - {*(include or ())}
        data = {name: value for name, value in self.__dict__.items() if name not in left}
        write_agent(path, data, self.get_parameters())

    @classmethod
    def load(  # type: ignore[override]  # as above
        cls,
        path: str | Path,
        env: GymEnv | None = None,
        device: str = "auto",
        custom_objects: dict[str, Any] | None = None,
        print_system_info: bool = False,
        force_reset: bool = True,
        *,
        trust: bool = False,
        **kwargs: Any,
    ) -> Self:
        """Makes an agent of a saved one, see `BaseAlgorithm.load`; nothing of the file is executed.

        Args:
            path: the file.
            env: what it is to go on with; None is enough to predict.
            device: JAX device in the words of PyTorch.
            custom_objects: attributes in place of those saved, and those that `save` had to leave out.
            print_system_info: print the versions of what is installed.
            force_reset: reset the env before it learns.
            trust: also take a file of Stable-Baselines3's own format, as older versions of this package wrote it, which
                is unpickled, and so can execute whatever its author wrote into it.
            kwargs: other attributes to change.

        Raises:
            ConfigError: no such file, a damaged one, one that has to be trusted, or one from which something was left
                out that is needed.
        """
        if print_system_info:
            get_system_info()
        if is_pickled(path):
            if not trust:
                raise ConfigError(
                    f"{path} is a pickle of Stable-Baselines3, which can execute code when it is loaded: if you trust "
                    "who wrote it, add --trust (in Python trust=True)"
                )
            return super().load(path, env, device, custom_objects, force_reset=force_reset, **kwargs)
        data, parameters = read_agent(path)
        data |= custom_objects or {}
        if "policy_kwargs" in kwargs and kwargs["policy_kwargs"] != data["policy_kwargs"]:
            raise ConfigError(f"policy_kwargs are {data['policy_kwargs']} in {path}, not {kwargs['policy_kwargs']}")
        data |= kwargs
        if env is not None:
            env = cls._wrap_env(env, data["verbose"])
            check_for_correct_spaces(env, data["observation_space"], data["action_space"])
            data["n_envs"] = env.num_envs
            data["_last_obs"] = None if force_reset else data["_last_obs"]
        fill_in(data, path, needed=env is not None)
        model = cls(policy=data["policy_class"], env=env, device=device, _init_setup_model=False)  # type: ignore[call-arg]
        model.__dict__.update(data)
        model._setup_model()
        model.set_parameters(parameters, exact_match=True)  # type: ignore[arg-type]  # SB3 types what torch.load returns
        if model.use_sde:
            model.policy.reset_noise()
        return model

    def load_replay_buffer(self, path: str | Path | io.BufferedIOBase, truncate_last_traj: bool = True) -> None:
        """Loads what `save_replay_buffer` wrote.

        Args:
            path: the file.
            truncate_last_traj: end the last trajectories in it; False if the envs go on from where they led.

        Raises:
            ConfigError: it was written by another kind of agent, or for other envs.
        """
        old, self.replay_buffer = self.replay_buffer, None  # frees its memory for the new one
        super().load_replay_buffer(path, truncate_last_traj)
        new = check_loaded(self.replay_buffer, old, str(path))
        new.to(self._jax_device)
        if truncate_last_traj:
            new.cut()
        if old is not None and old.engine is not None:
            new.set_engine(old.engines or old.engine)

    def _excluded_save_params(self) -> list[str]:
        return [*super()._excluded_save_params(), "_jax_device", "_collector", "_pending"]
