"""Stable-Baselines3: a VecEnv with one engine, `make_vec_env`, a relabelling replay buffer, and a logger."""

from mvr_wrappers.errors import MissingExtraError

try:
    import stable_baselines3 as _stable_baselines3  # noqa: F401 - what follows needs it
except ModuleNotFoundError as error:
    raise MissingExtraError("stable-baselines3", "sb3", "mvr_wrappers.sb3") from error

from mvr_wrappers.sb3.logger import RewardLogger
from mvr_wrappers.sb3.make import make_vec_env
from mvr_wrappers.sb3.replay import RelabelReplayBuffer
from mvr_wrappers.sb3.vec_env import MultiViewVLMRewardVecEnv

__all__ = ["MultiViewVLMRewardVecEnv", "RelabelReplayBuffer", "RewardLogger", "make_vec_env"]
