"""TorchRL: a collector over a shaped task, with the terms of the reward in the tensordict."""

import sys

import gymnasium as gym
import torch
from torchrl.collectors import Collector
from torchrl.data import Unbounded
from torchrl.envs import GymWrapper, RewardSum, TransformedEnv
from torchrl.envs.gym_like import default_info_dict_reader

import mvr_wrappers  # noqa: F401 - registers the ids

TERMS = ["task_reward", "vlm_reward", "shaping"]


class Terms(default_info_dict_reader):  # type: ignore[misc]  # TorchRL is not typed
    """TorchRL's own reader takes NumPy's scalars alone, and infos hold Python's numbers."""

    def __call__(self, info_dict, tensordict):
        """Adds the terms of a step to its tensordict."""
        for name in TERMS:
            tensordict[name] = torch.tensor([info_dict.get(name, 0.0)])
        return tensordict


if __name__ == "__main__":
    frames = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000
    torch.manual_seed(0)
    env = GymWrapper(
        gym.make(
            "MVR/Hopper-v5",
            clip={"length": 8, "stride": 8, "film_every": 1},
            schedule={"score_every": 200, "update_every": 400},
        )
    )
    env.set_info_dict_reader(Terms(TERMS, {name: Unbounded((1,)) for name in TERMS}))
    env = TransformedEnv(env, RewardSum())
    for batch in Collector(env, None, frames_per_batch=min(1_000, frames), total_frames=frames):
        moved = batch["next"]
        means = {name: round(moved[name].mean().item(), 4) for name in ["reward", *TERMS]}
        print(len(batch), means)
    env.close()
