"""TQC in JAX (Kuznetsov et al. 2020, arXiv 2005.04269), behind the interface of Stable-Baselines3."""
# ruff: noqa: E402 - what is missing is named, and how to install it, before it is imported

from __future__ import annotations

import io
from pathlib import Path
from typing import Any, ClassVar

from mvr_agents.extras import require

require("mvr_agents.TQC", "stable_baselines3", "jax", "flax", "optax")

import jax
import numpy as np
from numpy.typing import NDArray
from stable_baselines3.common.base_class import maybe_make_env
from stable_baselines3.common.buffers import ReplayBuffer
from stable_baselines3.common.noise import ActionNoise
from stable_baselines3.common.off_policy_algorithm import OffPolicyAlgorithm
from stable_baselines3.common.policies import BasePolicy
from stable_baselines3.common.type_aliases import GymEnv, MaybeCallback, Schedule

from mvr_agents.tqc import programs as compiled
from mvr_agents.tqc.arguments import check_arguments, check_loaded, check_spaces, read_report
from mvr_agents.tqc.devices import find_device
from mvr_agents.tqc.normalise import Normaliser, Statistics
from mvr_agents.tqc.policy import AUTO, TQCPolicy, shape_of, size_of
from mvr_agents.tqc.relabel import engine_of
from mvr_agents.tqc.replay import DeviceReplayBuffer, Mirror
from mvr_agents.tqc.update import Hyper
from mvr_wrappers.errors import ConfigError, NonFiniteError, nearest


class TQC(OffPolicyAlgorithm):
    """Truncated quantile critics, with the words, methods and files of Stable-Baselines3.

    The replay buffer lies on the JAX device, and its rewards are never stale: see `DeviceReplayBuffer`. One compiled
    call chooses the actions of a vector step and stores the step before; another samples, learns `gradient_steps` times
    and moves the target critics. Losses are fetched with the next actions, so nothing waits for them.

    A run that goes on from `save` and `save_replay_buffer` continues with the same numbers as one that never stopped,
    bit for bit on the CPU, as long as the env does, too. An `action_noise` draws from NumPy's global generator,
    which is not saved.

    Args:
        policy: "MlpPolicy" or a subclass of TQCPolicy.
        env: an env or a VecEnv with flat Box observations and bounded Box actions, or an env's id.
        learning_rate: of all networks; a number or a function of the remaining progress, which goes from 1 to 0.
        buffer_size: transitions kept, of all envs together.
        learning_starts: env steps of uniformly random actions before learning starts.
        batch_size: transitions of one gradient step.
        tau: share of the way the target critics move.
        gamma: discount.
        train_freq: vector steps between two trainings, or (number, "step" or "episode").
        gradient_steps: gradient steps of one training; -1: as many as env steps since the last.
        action_noise: added to the actions while exploring.
        replay_buffer_class: None, or a subclass of DeviceReplayBuffer.
        replay_buffer_kwargs: its further arguments. Where rewards are shaped by an engine, that of the env has the
            buffer relabelled (several engines too); {"engine": engine} names another, {"engine": None} keeps shaping as
            it was stored.
        optimize_memory_usage: must be False.
        n_steps: steps of n-step returns.
        ent_coef: "auto" learns the entropy coefficient, "auto_0.1" from 0.1 on; a number keeps it there.
        target_update_interval: gradient steps between two moves of the target critics, counted over all trainings.
        target_entropy: "auto" for minus the number of actions, or a number.
        top_quantiles_to_drop_per_net: largest quantiles dropped for each critic.
        use_sde: generalised state-dependent exploration instead of independent noise.
        sde_sample_freq: vector steps between two exploration matrices; -1 draws one a rollout.
        use_sde_at_warmup: explore so before `learning_starts`, too, instead of uniformly.
        stats_window_size: episodes the logged means are taken over.
        tensorboard_log: folder of TensorBoard files.
        policy_kwargs: see `PolicyOptions`.
        verbose: 0, 1 or 2.
        seed: of networks, exploration, replay and env; None draws one.
        device: JAX device in the words of PyTorch: auto, cpu, cuda, cuda:N.

    Raises:
        ConfigError: an argument that cannot work, or an unknown one.
        EnvError: observations or actions of another kind.
        NonFiniteError: while learning, NaN or infinity came from the env or is in a batch; nothing was learned from it.
    """

    policy_aliases: ClassVar[dict[str, type[BasePolicy]]] = {"MlpPolicy": TQCPolicy}
    policy: TQCPolicy
    replay_buffer: DeviceReplayBuffer | None
    _last_obs: Any

    def __init__(
        self,
        policy: str | type[TQCPolicy],
        env: GymEnv | str | None,
        learning_rate: float | Schedule = 3e-4,
        buffer_size: int = 1_000_000,
        learning_starts: int = 100,
        batch_size: int = 256,
        tau: float = 0.005,
        gamma: float = 0.99,
        train_freq: int | tuple[int, str] = 1,
        gradient_steps: int = 1,
        action_noise: ActionNoise | None = None,
        replay_buffer_class: type[ReplayBuffer] | None = None,
        replay_buffer_kwargs: dict[str, Any] | None = None,
        optimize_memory_usage: bool = False,
        n_steps: int = 1,
        ent_coef: str | float = AUTO,
        target_update_interval: int = 1,
        target_entropy: str | float = AUTO,
        top_quantiles_to_drop_per_net: int = 2,
        use_sde: bool = False,
        sde_sample_freq: int = -1,
        use_sde_at_warmup: bool = False,
        stats_window_size: int = 100,
        tensorboard_log: str | None = None,
        policy_kwargs: dict[str, Any] | None = None,
        verbose: int = 0,
        seed: int | None = None,
        device: str = AUTO,
        _init_setup_model: bool = True,
        **unknown: Any,
    ) -> None:
        if unknown:
            raise ConfigError(
                f"TQC has no argument {', '.join(unknown)}. Nearest: {nearest(next(iter(unknown)), _ARGUMENTS)}"
            )
        if isinstance(policy, str) and policy not in self.policy_aliases:
            raise ConfigError(f"unknown policy {policy!r}; the JAX learner has MlpPolicy alone")
        if env is None and _init_setup_model:
            raise ConfigError("env is None; give an env, a VecEnv or the id of an env")
        if env is not None:
            env = maybe_make_env(env, verbose)
            check_spaces(env.observation_space, env.action_space)
        self._jax_device = find_device(str(device))
        super().__init__(
            policy,
            env,  # type: ignore[arg-type]  # None is well, if not typed so
            learning_rate,
            buffer_size=buffer_size,
            learning_starts=learning_starts,
            batch_size=batch_size,
            tau=tau,
            gamma=gamma,
            train_freq=train_freq,
            gradient_steps=gradient_steps,
            action_noise=action_noise,
            replay_buffer_class=replay_buffer_class,
            replay_buffer_kwargs=replay_buffer_kwargs,
            optimize_memory_usage=optimize_memory_usage,
            n_steps=n_steps,
            policy_kwargs={**(policy_kwargs or {})},
            stats_window_size=stats_window_size,
            tensorboard_log=tensorboard_log,
            verbose=verbose,
            device="cpu",  # of what little torch is left
            support_multi_env=True,
            seed=seed,
            use_sde=use_sde,
            sde_sample_freq=sde_sample_freq,
            use_sde_at_warmup=use_sde_at_warmup,
        )
        self.ent_coef = ent_coef
        self.target_update_interval = target_update_interval
        self.target_entropy = target_entropy
        self.top_quantiles_to_drop_per_net = top_quantiles_to_drop_per_net
        self._observations = Mirror()
        self._actions = Mirror()
        self._report: tuple[compiled.Report, int] | None = None
        if _init_setup_model:
            self._setup_model()

    @property
    def actor(self) -> TQCPolicy:  # type: ignore[override]
        """The policy, where SB3 looks for `reset_noise` and `get_std`."""
        return self.policy

    def _setup_model(self) -> None:
        self._convert_train_freq()
        check_arguments(self)
        self._setup_lr_schedule()
        self.set_random_seed(self.seed)
        if self.target_entropy == AUTO:
            self.target_entropy = -float(size_of(self.action_space))
        self.target_entropy = float(self.target_entropy)
        self.policy = self.policy_class(  # type: ignore[assignment]  # TQCPolicy or a subclass
            self.observation_space,
            self.action_space,
            self.lr_schedule,
            seed=np.random.SeedSequence().generate_state(1)[0] if self.seed is None else self.seed,
            jax_device=self._jax_device,
            top_quantiles_to_drop_per_net=self.top_quantiles_to_drop_per_net,
            ent_coef=self.ent_coef,
            target_update_interval=self.target_update_interval,
            **self.policy_kwargs,
        )
        if self.replay_buffer is None:
            self.replay_buffer_class = self.replay_buffer_class or DeviceReplayBuffer
            self.replay_buffer = self.replay_buffer_class(  # type: ignore[assignment]  # as checked
                *(self.buffer_size, self.observation_space, self.action_space, self._jax_device, self.n_envs),
                **{"n_steps": self.n_steps, "gamma": self.gamma, **self.replay_buffer_kwargs},
            )
        if self.replay_buffer_kwargs.get("engine") is not None:  # the buffer has it; `save` would pickle it
            self.replay_buffer_kwargs = {k: v for k, v in self.replay_buffer_kwargs.items() if k != "engine"}
        if self.env is not None and self.replay_buffer is not None:  # else it is loaded to predict: nothing will come
            self.replay_buffer.check_memory()

    def learn(
        self,
        total_timesteps: int,
        callback: MaybeCallback = None,
        log_interval: int = 4,
        tb_log_name: str = "TQC",
        reset_num_timesteps: bool = True,
        progress_bar: bool = False,
    ) -> TQC:
        """Learns for a number of env steps, see `OffPolicyAlgorithm.learn`."""
        assert self.replay_buffer is not None
        if self.replay_buffer.engine is None:
            self._follow_engine()
        super().learn(total_timesteps, callback, log_interval, tb_log_name, reset_num_timesteps, progress_bar)
        self._settle()
        return self

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
        buffer, policy = self.replay_buffer, self.policy
        warm_up = self.num_timesteps < learning_starts and not (self.use_sde and self.use_sde_at_warmup)
        actions, policy.rollout, storage = compiled.act(
            *(policy.spec.actor, policy.train_state.actor, policy.rollout),
            self._observations.on_device(self._last_obs, buffer),
            warm_up,
            *(None, None) if buffer.staged is None else (buffer.storage, buffer.staged),
        )
        if storage is not None:
            buffer.storage, buffer.staged = storage, None
        scaled = np.asarray(actions).reshape(-1, *shape_of(self.action_space))
        # The actions had to wait for the last training: now its report costs nothing, and NaN goes no further.
        self._settle()
        if action_noise is None:
            self._actions.remember(scaled, actions)
        else:
            scaled = np.clip(scaled + action_noise(), -1.0, 1.0).astype(np.float32)
        return policy.unscale_action(scaled), scaled

    def _store_transition(
        self,
        replay_buffer: ReplayBuffer,
        buffer_action: NDArray[np.float32],
        new_obs: Any,
        reward: NDArray[Any],
        dones: NDArray[np.bool_],
        infos: list[dict[str, Any]],
    ) -> None:
        """Stages a transition for the next device call. What is on the device already does not cross again."""
        assert isinstance(replay_buffer, DeviceReplayBuffer)
        for what, values in (("observation", new_obs), ("reward", reward)):
            finite = np.isfinite(values).reshape(len(values), -1).all(axis=1)
            if not finite.all():
                raise NonFiniteError(
                    f"env {int(finite.argmin())} gave a NaN or infinite {what} at step {self.num_timesteps}; the "
                    "transition was not stored"
                )
        if self._vec_normalize_env is not None:  # what is stored is not what was acted on
            super()._store_transition(replay_buffer, buffer_action, new_obs, reward, dones, infos)
            return
        observations = self._observations.on_device(self._last_obs, replay_buffer)
        following = self._observations.on_device(new_obs, replay_buffer)
        finals = {
            i: infos[i]["terminal_observation"] for i in np.flatnonzero(dones) if "terminal_observation" in infos[i]
        }
        if finals:
            last = np.array(new_obs)
            for i, final in finals.items():
                last[i] = final
            following = replay_buffer.put(last)
        actions = self._actions.on_device(buffer_action, replay_buffer)
        replay_buffer.stage(observations, following, actions, reward, dones, infos)
        self._last_obs = new_obs

    def train(self, gradient_steps: int, batch_size: int) -> None:
        """Learns `gradient_steps` times in one device call, without waiting for it."""
        assert self.replay_buffer is not None
        self._settle()
        learning_rate = self.lr_schedule(self._current_progress_remaining)
        self.logger.record("train/learning_rate", learning_rate)
        self.replay_buffer.relabel()
        self.replay_buffer.flush()
        self.policy.train_state, report = compiled.train(
            *(self.policy.spec, self.policy.train_state, self.replay_buffer.storage, self.replay_buffer.filled),
            self._scales(),
            Hyper(learning_rate, self.gamma, self.tau, float(self.target_entropy)),
            gradient_steps,
            batch_size=batch_size,
            n_steps=self.replay_buffer.n_steps,
        )
        self._report = (report, gradient_steps)
        self._n_updates += gradient_steps
        self.logger.record("train/n_updates", self._n_updates, exclude="tensorboard")

    def _scales(self) -> Normaliser | Statistics:
        """Returns how sampled observations and rewards are normalised."""
        if self._vec_normalize_env is not None:
            scales = Normaliser.from_vec_normalize(self._vec_normalize_env)
        else:
            scales = Normaliser()
        return scales if self.policy.rollout.statistics is None else self.policy.rollout.statistics

    def _settle(self) -> None:
        """Fetches, checks and logs the report of the last training.

        Raises:
            NonFiniteError: see `read_report`.
        """
        if self._report is not None:
            (report, asked), self._report = jax.device_get(self._report), None
            self._n_updates -= int(asked - report.updates)
            means = read_report(report, asked, self._n_updates, self.num_timesteps, self.policy.spec.learn_ent_coef)
            for name, value in means.items():
                self.logger.record(f"train/{name}", value)

    def dump_logs(self) -> None:
        """Writes the log, with the losses of the last training."""
        self._settle()
        super().dump_logs()

    def save(self, path: str | Path | io.BufferedIOBase, *args: Any, **kwargs: Any) -> None:
        """Saves everything but the replay buffer, see `BaseAlgorithm.save`."""
        self._settle()
        super().save(path, *args, **kwargs)

    def load_replay_buffer(self, path: str | Path | io.BufferedIOBase, truncate_last_traj: bool = True) -> None:
        """Loads what `save_replay_buffer` wrote.

        Raises:
            ConfigError: it was written by another kind of agent, or for other envs.
        """
        old, self.replay_buffer = self.replay_buffer, None  # frees its memory for the new one
        super().load_replay_buffer(path, truncate_last_traj)
        new = check_loaded(self.replay_buffer, old, str(path))
        new.to(self._jax_device)
        if old is not None and old.engine is not None:
            new.set_engine(old.engines or old.engine)

    def _excluded_save_params(self) -> list[str]:
        return [*super()._excluded_save_params(), "_jax_device", "_observations", "_actions", "_report"]


_ARGUMENTS = [name for name in TQC.__init__.__annotations__ if name not in ("unknown", "return", "_init_setup_model")]
