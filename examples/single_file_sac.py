"""SAC in one file, in the manner of CleanRL: nothing here knows of mvr_wrappers but the import and the id.

python examples/single_file_sac.py --env-id MVR/window-close-v3 --total-steps 20000
"""

from __future__ import annotations

import time
from dataclasses import dataclass

import gymnasium as gym
import numpy as np
import torch
import torch.nn.functional as F
import tyro
from torch import Tensor, nn

import mvr_wrappers  # noqa: F401 - registers the ids


@dataclass
class Args:
    """Soft actor-critic (arXiv 1812.05905) with two critics and a learned temperature.

    Attributes:
        env_id: any id of Gymnasium with vectors as observations and bounded actions.
        num_envs: sub-environments; of our ids one engine serves them all.
        total_steps: environment steps, counted over all sub-environments.
        learning_starts: steps of random actions at first.
        buffer_size: transitions remembered.
        batch_size: transitions of an update.
        learning_rate: of actor, critics and temperature.
        gamma: discount.
        tau: share of the critics that the target critics take over in each update.
        seed: of everything random.
        device: "cpu", "cuda", "cuda:N".
    """

    env_id: str = "MVR/window-close-v3"
    num_envs: int = 4
    total_steps: int = 100_000
    learning_starts: int = 1_000
    buffer_size: int = 100_000
    batch_size: int = 256
    learning_rate: float = 3e-4
    gamma: float = 0.99
    tau: float = 0.005
    seed: int = 0
    device: str = "cpu"


def mlp(n_in: int, n_out: int) -> nn.Sequential:
    """Returns a network with two hidden layers."""
    return nn.Sequential(nn.Linear(n_in, 256), nn.ReLU(), nn.Linear(256, 256), nn.ReLU(), nn.Linear(256, n_out))


class Actor(nn.Module):
    """A Gaussian squashed by tanh into the bounds of the actions."""

    scale: Tensor
    centre: Tensor

    def __init__(self, n_obs: int, space: gym.spaces.Box) -> None:
        super().__init__()
        self.body = mlp(n_obs, 2 * space.shape[0])
        self.register_buffer("scale", torch.tensor((space.high - space.low) / 2, dtype=torch.float32))
        self.register_buffer("centre", torch.tensor((space.high + space.low) / 2, dtype=torch.float32))

    def forward(self, obs: Tensor) -> tuple[Tensor, Tensor]:
        """Samples actions (N, A) and returns them with their log-probabilities (N,)."""
        mean, log_std = self.body(obs).chunk(2, dim=-1)
        normal = torch.distributions.Normal(mean, log_std.clamp(-5, 2).exp())
        raw = normal.rsample()
        log_jacobian = 2 * (np.log(2) - raw - F.softplus(-2 * raw)) + self.scale.log()  # of tanh, then of the bounds
        return raw.tanh() * self.scale + self.centre, (normal.log_prob(raw) - log_jacobian).sum(-1)


class Critics(nn.Module):
    """Two action values, (N,) each."""

    def __init__(self, n_obs: int, n_act: int) -> None:
        super().__init__()
        self.nets = nn.ModuleList(mlp(n_obs + n_act, 1) for _ in range(2))

    def forward(self, obs: Tensor, actions: Tensor) -> Tensor:
        """Returns both values: (2, N)."""
        pairs = torch.cat([obs, actions], dim=-1)
        return torch.stack([net(pairs).squeeze(-1) for net in self.nets])


class Buffer:
    """The last transitions, of all sub-environments."""

    def __init__(self, size: int, n_obs: int, n_act: int) -> None:
        self.arrays = [np.zeros((size, n), np.float32) for n in (n_obs, n_act, n_obs, 1, 1)]
        self.size, self.added = size, 0

    def add(self, *columns: np.ndarray) -> None:
        """Adds N transitions: observations, actions, next observations, rewards, terminations."""
        rows = (self.added + np.arange(len(columns[0]))) % self.size
        for array, column in zip(self.arrays, columns, strict=True):
            array[rows] = column.reshape(len(rows), -1)
        self.added += len(rows)

    def sample(self, rng: np.random.Generator, n: int, device: str) -> list[Tensor]:
        """Draws n transitions."""
        rows = rng.integers(min(self.added, self.size), size=n)
        return [torch.as_tensor(array[rows], device=device) for array in self.arrays]


class SAC:
    """The networks and one update of them."""

    def __init__(self, args: Args, n_obs: int, space: gym.spaces.Box) -> None:
        n_act = space.shape[0]
        self.args, self.target_entropy = args, -float(n_act)
        self.actor = Actor(n_obs, space).to(args.device)
        self.critics, self.targets = (Critics(n_obs, n_act).to(args.device) for _ in range(2))
        self.targets.load_state_dict(self.critics.state_dict())
        self.log_alpha = torch.zeros((), requires_grad=True, device=args.device)
        parts = (self.actor.parameters(), self.critics.parameters(), [self.log_alpha])
        self.optimizers = [torch.optim.Adam(part, lr=args.learning_rate) for part in parts]

    def update(self, obs: Tensor, actions: Tensor, next_obs: Tensor, rewards: Tensor, ends: Tensor) -> None:
        """Steps critics, actor, temperature and targets once."""
        alpha = self.log_alpha.exp().detach()
        with torch.no_grad():
            next_actions, next_log_probs = self.actor(next_obs)
            values = self.targets(next_obs, next_actions).amin(0) - alpha * next_log_probs
            wanted = rewards.squeeze(-1) + self.args.gamma * (1 - ends.squeeze(-1)) * values
        critic_loss = (self.critics(obs, actions) - wanted).square().mean(1).sum()
        self._step(1, critic_loss)
        new_actions, log_probs = self.actor(obs)
        self._step(0, (alpha * log_probs - self.critics(obs, new_actions).amin(0)).mean())
        self._step(2, -(self.log_alpha * (log_probs.detach() + self.target_entropy)).mean())
        with torch.no_grad():
            for target, source in zip(self.targets.parameters(), self.critics.parameters(), strict=True):
                target.lerp_(source, self.args.tau)

    def _step(self, which: int, loss: Tensor) -> None:
        self.optimizers[which].zero_grad()
        loss.backward()
        self.optimizers[which].step()


def train(args: Args) -> None:
    """Trains, and prints each episode's return: what the agent was paid, and of our ids what the task paid."""
    torch.manual_seed(args.seed)
    rng = np.random.default_rng(args.seed)
    envs = gym.make_vec(args.env_id, num_envs=args.num_envs, autoreset_mode="SameStep")
    envs = gym.wrappers.vector.RecordEpisodeStatistics(envs)
    envs.action_space.seed(args.seed)
    space = envs.single_action_space
    assert isinstance(space, gym.spaces.Box)
    n_obs = gym.spaces.flatdim(envs.single_observation_space)
    agent = SAC(args, n_obs, space)
    buffer = Buffer(args.buffer_size, n_obs, space.shape[0])
    began = time.perf_counter()

    obs, _ = envs.reset(seed=args.seed)
    for step in range(args.num_envs, args.total_steps + 1, args.num_envs):
        if step <= args.learning_starts:
            actions = envs.action_space.sample()
        else:
            with torch.no_grad():
                actions = agent.actor(torch.as_tensor(obs, dtype=torch.float32, device=args.device))[0].cpu().numpy()
        next_obs, rewards, terminations, truncations, infos = envs.step(actions)
        over = terminations | truncations
        last_obs = next_obs.copy()
        for i in np.flatnonzero(over):
            last_obs[i] = infos["final_obs"][i]
            paid = f"step={step} return={infos['episode']['r'][i]:.2f} length={infos['episode']['l'][i]}"
            task = f" task_return={infos['mvr_episode']['task_return'][i]:.2f}" if "mvr_episode" in infos else ""
            print(f"{paid}{task} steps/s={step / (time.perf_counter() - began):.0f}", flush=True)
        buffer.add(obs, actions, last_obs, rewards, terminations)  # a truncated episode goes on after its last state
        obs = next_obs
        if step > args.learning_starts:
            for _ in range(args.num_envs):
                agent.update(*buffer.sample(rng, args.batch_size, args.device))
    envs.close()


if __name__ == "__main__":
    train(tyro.cli(Args, description=__doc__))
