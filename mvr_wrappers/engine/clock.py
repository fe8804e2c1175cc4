"""Clock: counts env steps and remembers what they have made due."""

from __future__ import annotations

from dataclasses import dataclass

from mvr_wrappers.settings import ScheduleSettings


@dataclass(slots=True)
class Clock:
    """Env steps counted, and the work they have made due that was not begun yet.

    Attributes:
        env_steps: counted over all sub-envs.
        score_due: whether clips are to be scored.
        update_due: whether the relevance model is to be updated.
    """

    env_steps: int = 0
    score_due: bool = False
    update_due: bool = False

    def advance(self, env_steps: int, schedule: ScheduleSettings) -> None:
        """Counts steps; work falls due whenever a multiple of its interval is reached or passed."""
        self.score_due |= self.reaches_scoring(env_steps, schedule)
        before, self.env_steps = self.env_steps, self.env_steps + int(env_steps)
        self.update_due |= before // schedule.update_every < self.env_steps // schedule.update_every

    def reaches_scoring(self, env_steps: int, schedule: ScheduleSettings) -> bool:
        """Whether so many steps more make a scoring due."""
        return self.env_steps // schedule.score_every < (self.env_steps + int(env_steps)) // schedule.score_every

    def take(self) -> tuple[bool, bool]:
        """Returns whether to score and whether to update, and counts both as begun."""
        due = self.score_due, self.update_due
        self.score_due = self.update_due = False
        return due
