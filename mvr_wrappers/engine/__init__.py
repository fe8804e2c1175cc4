"""The reward engine: when clips are scored and relevance is learned, and what is published."""

from mvr_wrappers.engine.engine import RewardEngine
from mvr_wrappers.engine.group import EngineGroup

__all__ = ["EngineGroup", "RewardEngine"]
