"""TQC in JAX (Kuznetsov et al. 2020, arXiv 2005.04269), behind the interface of Stable-Baselines3."""
# ruff: noqa: E402 - what is missing is named, and how to install it, before it is imported

from __future__ import annotations

from typing import Any, ClassVar

from mvr_agents.extras import require

require("mvr_agents.TQC", "stable_baselines3", "jax", "flax", "optax")

import numpy as np
from stable_baselines3.common.base_class import maybe_make_env
from stable_baselines3.common.buffers import ReplayBuffer
from stable_baselines3.common.noise import ActionNoise
from stable_baselines3.common.policies import BasePolicy
from stable_baselines3.common.type_aliases import GymEnv, MaybeCallback, Schedule

from mvr_agents.tqc import programs
from mvr_agents.tqc.arguments import check_arguments, check_names, check_spaces
from mvr_agents.tqc.device_algorithm import DeviceOffPolicyAlgorithm
from mvr_agents.tqc.devices import find_device
from mvr_agents.tqc.normalise import Normaliser, Statistics
from mvr_agents.tqc.policy import AUTO, TQCPolicy, size_of
from mvr_agents.tqc.replay import DeviceReplayBuffer
from mvr_agents.tqc.update import Hyper
from mvr_wrappers.errors import ConfigError


class TQC(DeviceOffPolicyAlgorithm):
    """Truncated quantile critics, with the words, methods and files of Stable-Baselines3.

    The replay buffer lies on the JAX device, and its rewards are never stale: see `DeviceReplayBuffer`. One compiled
    call chooses the actions of a vector step and stores the step before; another samples, learns `gradient_steps` times
    and moves the target critics. Losses are fetched with the next actions, so nothing waits for them.

    Where the env goes on, so does a run from `save` and `save_replay_buffer`, bit for bit on the CPU, with
    `load_replay_buffer(path, truncate_last_traj=False)`; an `action_noise` draws from NumPy's global generator, which
    is not saved. Where the env is reset, returns of several steps end.

    Args:
        policy: "MlpPolicy" or a subclass of TQCPolicy.
        env: an env or a VecEnv with flat Box observations and bounded Box actions, or an env's id.
        learning_rate: of all networks and of the entropy coefficient; a number or a function of the remaining progress,
            which goes from 1 to 0.
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
        noise_repeat: vector steps that explore with the same independent noise, which each scales with the deviation at
            its own observation; gSDE has `sde_sample_freq` for that.
        ent_coef_lr: constant learning rate of the entropy coefficient; None: that of the networks.

    Attributes:
        losses: means over the gradient steps of the last training, by the names they are logged under; empty before.

    Raises:
        ConfigError: an argument that cannot work, or an unknown one.
        EnvError: observations or actions of another kind.
        NonFiniteError: while learning, NaN or infinity came from the env or is in a batch; nothing was learned from it.
    """

    policy_aliases: ClassVar[dict[str, type[BasePolicy]]] = {"MlpPolicy": TQCPolicy}

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
        noise_repeat: int = 1,
        ent_coef_lr: float | None = None,
        _init_setup_model: bool = True,
        **unknown: Any,
    ) -> None:
        check_names(unknown, TQC)
        if isinstance(policy, str) and policy not in self.policy_aliases:
            raise ConfigError(f"unknown policy {policy!r}; the JAX TQC has MlpPolicy alone")
        if env is None and _init_setup_model:
            raise ConfigError("env is None; give an env, a VecEnv or the id of an env")
        if env is not None:
            env = maybe_make_env(env, verbose)
            check_spaces(env.observation_space, env.action_space)
        super().__init__(
            policy,
            env,
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
            seed=seed,
            use_sde=use_sde,
            sde_sample_freq=sde_sample_freq,
            use_sde_at_warmup=use_sde_at_warmup,
            jax_device=find_device(str(device)),
        )
        self.ent_coef = ent_coef
        self.ent_coef_lr = ent_coef_lr
        self.target_update_interval = target_update_interval
        self.target_entropy = target_entropy
        self.top_quantiles_to_drop_per_net = top_quantiles_to_drop_per_net
        self.noise_repeat = noise_repeat
        if _init_setup_model:
            self._setup_model()

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
            noise_repeat=self.noise_repeat,
            **self.policy_kwargs,
        )
        if self.replay_buffer is None:
            self.replay_buffer_class = self.replay_buffer_class or DeviceReplayBuffer
            self.replay_buffer = self.replay_buffer_class(  # type: ignore[assignment]  # as checked
                self.buffer_size,
                self.observation_space,
                self.action_space,
                self._jax_device,
                self.n_envs,
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

    def train(self, gradient_steps: int, batch_size: int) -> None:
        """Learns `gradient_steps` times in one device call, without waiting for it."""
        assert self.replay_buffer is not None
        self._settle()
        learning_rate = self.lr_schedule(self._current_progress_remaining)
        self.logger.record("train/learning_rate", learning_rate)
        self.replay_buffer.relabel()
        self.replay_buffer.flush()
        self.policy.train_state, outcome = programs.train(
            self.policy.spec,
            self.policy.train_state,
            self.replay_buffer.storage,
            self.replay_buffer.filled,
            self._scales(),
            Hyper(learning_rate, self.gamma, self.tau, float(self.target_entropy), self.ent_coef_lr),
            gradient_steps,
            batch_size=batch_size,
            n_steps=self.replay_buffer.n_steps,
        )
        self._pending = (outcome, gradient_steps)
        self._n_updates += gradient_steps
        self.logger.record("train/n_updates", self._n_updates, exclude="tensorboard")

    def _scales(self) -> Normaliser | Statistics:
        """Returns how sampled observations and rewards are normalised."""
        if self._vec_normalize_env is not None:
            scales = Normaliser.from_vec_normalize(self._vec_normalize_env)
        else:
            scales = Normaliser()
        return scales if self.policy.rollout.statistics is None else self.policy.rollout.statistics
