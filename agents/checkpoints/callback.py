"""CheckpointCallback: saves all that a training goes on from, and goes on from it exactly."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.buffers import ReplayBuffer
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.off_policy_algorithm import OffPolicyAlgorithm

from mvr_agents.checkpoints import replay_log
from mvr_agents.checkpoints.agent_state import counters, read_parameters, set_counters, write_parameters
from mvr_agents.checkpoints.folder import Checkpoint, CheckpointFolder
from mvr_agents.checkpoints.generators import generator_states, set_generator_states
from mvr_agents.checkpoints.replay_log import ReplayLog, RowsFile
from mvr_agents.checkpoints.shapers import engine_groups, shapers_of
from mvr_wrappers.errors import ConfigError
from mvr_wrappers.wrappers.relabelling import FollowsEngine

AGENT, COLUMNS = "agent.npz", "columns.npz"


class Part(Protocol):
    """Something of yours that a run goes on from as well."""

    def state_dict(self) -> dict[str, Any]:
        """Returns its state, JSON-safe."""
        ...

    def load_state_dict(self, state: dict[str, Any], /) -> None:
        """Takes over what `state_dict` returned; called before training goes on."""
        ...

    def cut_episodes(self) -> None:
        """Takes note that all envs were reset, and that episodes under way never end."""
        ...


class CheckpointCallback(BaseCallback):
    """Saves every so many env steps all that a training of Stable-Baselines3 goes on from.

    That is: networks, optimisers, counters, random generators, replay buffer (new rows alone, see `ReplayLog`), and of
    envs shaped by this package the engines and the state of filming. Simulations are not saved: at a checkpoint, in the
    run that goes on as in the one that is resumed, all envs are reset with seeds that follow from `seed` and the count
    of steps, and returns of several steps end there. So a run that was killed and resumed ends with the same numbers
    to the bit as one that was not, as long as engines are in "sync" mode, on one machine, and envs depend on nothing
    but the seed of their reset. It costs one truncated episode an env.

    Checkpoints are written when a rollout begins, at the first one after a multiple of `every`: never inside a rollout,
    whose experience is not learned from yet. Two are kept, each a folder that appears whole or not at all; a damaged
    one is refused by its checksums, and the one before is taken. Nothing is pickled.

    Example:
        A script that can be killed at any time and started again::

            checkpoints = CheckpointCallback("checkpoints", every=10_000)
            model = SAC("MlpPolicy", venv, seed=0)
            done = checkpoints.resume(model)  # 0 where there is no checkpoint yet
            model.learn(1_000_000 - done, callback=checkpoints, reset_num_timesteps=not done)

    Args:
        folder: where checkpoints lie.
        every: env steps between two, over all sub-envs; 0 writes none but when `stop` asks for it.
        replay: save the replay buffer; without it, a run goes on with an empty one, which is not exact.
        stop: asked when a rollout begins; once true, a checkpoint is written and training ends.
        parts: things of yours to save and restore, by name.
        seed: of the resets at checkpoints; None is that of the agent, or 0.

    Raises:
        ConfigError: a negative number of steps.
    """

    def __init__(
        self,
        folder: str | Path,
        every: int,
        *,
        replay: bool = True,
        stop: Callable[[], bool] = lambda: False,
        parts: Mapping[str, Part] | None = None,
        seed: int | None = None,
    ) -> None:
        super().__init__()
        if every < 0:
            raise ConfigError(f"every is {every}; give env steps between two checkpoints, or 0 for none")
        self._folder, self._every, self._stop = CheckpointFolder(folder), every, stop
        self._log = ReplayLog(self._folder.replay) if replay else None
        self._parts, self._seed = dict(parts or {}), seed
        self._last = 0  # env steps at the last checkpoint
        self._resumed: Checkpoint | None = None  # until it is restored
        self._ended = False

    def resume(self, model: BaseAlgorithm, *, exact: bool = False) -> int:
        """Has an agent go on from the latest checkpoint: sets its counters now, and all else when learning begins.

        Call `learn` with `reset_num_timesteps=False` then, with this callback, and with the steps that are left. Agent
        and envs are made as for the first time, with the same arguments and seeds.

        Args:
            model: the agent, which has its envs.
            exact: pass over a checkpoint written because the run was to stop, after which envs started at another time
                than they would have.

        Returns:
            The env steps it has made; 0 where there is no checkpoint.

        Raises:
            ConfigError: all checkpoints are damaged, or they are of another agent.
        """
        found = self._folder.latest(regular=exact)
        if found is None:
            return 0
        if found.state["agent"] != _kind(model):
            raise ConfigError(f"{found.path} is of {found.state['agent']}, and this agent is {_kind(model)}")
        self._resumed, self._last = found, found.step
        set_counters(model, found.state["counters"])
        for name, part in self._parts.items():
            part.load_state_dict(found.state["parts"][name])
        return found.step

    @property
    def stopped(self) -> bool:
        """Whether training was ended because `stop` asked for it, after a checkpoint."""
        return self._ended

    def _on_rollout_start(self) -> None:
        if self._resumed is not None:
            self._restore(self._resumed)
            self._resumed = None
        due = self._every > 0 and self._last // self._every < self.num_timesteps // self._every
        if due or (self._stop() and self.num_timesteps > self._last):
            self._save(regular=due)
        self._ended = self._stop()

    def _on_step(self) -> bool:
        return not self._ended

    def _save(self, *, regular: bool) -> None:
        films = [shaper.state_dict() for shaper in shapers_of(self.training_env)]
        buffer = self._buffer
        if buffer is not None:
            _cut(buffer)
        self.logger.dump(self.num_timesteps)  # what is collected for the log is not saved
        kept = self._folder.write(self.num_timesteps, regular, lambda path: self._fill(path, films))
        if self._log is not None:
            self._log.forget(kept)
        self._last = self.num_timesteps
        self._reset()

    def _fill(self, path: Path, films: list[dict[str, Any]]) -> tuple[dict[str, Any], list[RowsFile]]:
        """Writes the files of a checkpoint, see `Fill`."""
        write_parameters(path / AGENT, self.model)
        for i, group in enumerate(engine_groups(self.training_env)):
            group.save(path / f"engines-{i}")
        state: dict[str, Any] = {
            "agent": _kind(self.model),
            "counters": counters(self.model),
            "generators": generator_states(self.model.action_space),
            "films": films,
            "parts": {name: part.state_dict() for name, part in self._parts.items()},
        }
        buffer, rows = self._buffer, []
        if buffer is not None and self._log is not None:
            added = (self.num_timesteps - self._last) // buffer.n_envs
            state["replay"] = self._log.append(buffer, added)
            rows = replay_log.files_of(state["replay"])
            replay_log.write_columns(path / COLUMNS, replay_log.changing_columns(buffer))
            if isinstance(buffer, FollowsEngine):
                state["labels"] = buffer.label_state()
        return state, rows

    def _restore(self, found: Checkpoint) -> None:
        state = found.state
        for i, group in enumerate(engine_groups(self.training_env)):
            group.restore(found.path / f"engines-{i}")
        for shaper, films in zip(shapers_of(self.training_env), state["films"], strict=True):
            shaper.load_state_dict(films)
        buffer = self._buffer
        if buffer is not None and self._log is not None and "replay" in state:
            columns = replay_log.read_columns(found.path / COLUMNS)
            prompt_at = columns.pop("prompt_at", None)
            self._log.fill(buffer, state["replay"], columns)
            if isinstance(buffer, FollowsEngine):
                buffer.load_label_state(state["labels"], prompt_at)
        read_parameters(found.path / AGENT, self.model)
        set_counters(self.model, state["counters"])
        set_generator_states(state["generators"], self.model.action_space)
        self._reset()

    def _reset(self) -> None:
        """Resets all envs and draws exploration anew, as it is done at every checkpoint."""
        model, env = self.model, self.training_env
        seed = self._seed if self._seed is not None else model.seed or 0
        env.seed(int(np.random.SeedSequence([seed, self._last]).generate_state(1)[0] >> 1))
        model._last_obs = env.reset()  # type: ignore[assignment]  # as SB3 itself does
        model._last_episode_starts = np.ones(env.num_envs, np.bool_)
        normaliser = model.get_vec_normalize_env()
        if normaliser is not None:
            model._last_original_obs = normaliser.get_original_obs()
        if model.use_sde:  # as SB3 does when a rollout begins, which was before this
            explorer: Any = getattr(model, "actor", model.policy)
            explorer.reset_noise(env.num_envs)
        for part in self._parts.values():
            part.cut_episodes()

    @property
    def _buffer(self) -> ReplayBuffer | None:
        return self.model.replay_buffer if isinstance(self.model, OffPolicyAlgorithm) else None


def _kind(model: BaseAlgorithm) -> str:
    return f"{type(model).__module__}.{type(model).__qualname__}"


def _cut(buffer: ReplayBuffer) -> None:
    """Ends the trajectories of the newest row, so that returns of several steps do not reach across the reset."""
    if hasattr(buffer, "cut"):
        buffer.cut()
    elif buffer.size():
        newest = (buffer.pos - 1) % buffer.buffer_size
        buffer.timeouts[newest] = np.maximum(buffer.timeouts[newest], 1.0 - buffer.dones[newest])
