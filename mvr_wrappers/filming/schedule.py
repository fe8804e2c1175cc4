"""FilmSchedule: which episodes of an env are filmed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any


class FilmSchedule:
    """Chooses one episode of every `film_every`, beginning with the first, or with a later one.

    Episodes are counted for each prompt apart: of prompts that take turns, a common count could choose the same one
    again and again.

    Args:
        film_every: episodes of a prompt from one that is filmed to the next.
        first: the episode of a prompt that is filmed first, from 0; counted round beyond `film_every`.
    """

    __slots__ = ("_episodes", "_film_every", "_first", "_missed", "_next")

    def __init__(self, film_every: int, first: int = 0) -> None:
        self._film_every, self._first = film_every, first % film_every
        self._episodes: Counter[str | None] = Counter()
        self._missed: set[str | None] = set()
        self._next = False

    def chooses(self, prompt: str | None) -> bool:
        """Counts a new episode; returns whether it is to be filmed."""
        turn = self._episodes[prompt] % self._film_every == self._first
        self._episodes[prompt] += 1
        return turn or self._next or prompt in self._missed

    def begun(self, prompt: str | None) -> None:
        """Takes note that an episode is being filmed, which makes up for one that was missed."""
        self._next = False
        self._missed.discard(prompt)

    def missed(self, prompt: str | None) -> None:
        """Takes note that nothing came of filming an episode: the next one of its prompt is chosen."""
        self._missed.add(prompt)

    def choose_next(self) -> None:
        """Chooses the next episode, whatever the count and the prompt."""
        self._next = True

    def state_dict(self) -> dict[str, Any]:
        """Returns the counts, JSON-safe."""
        return {
            "episodes": [[prompt, count] for prompt, count in self._episodes.items()],
            "missed": sorted(self._missed, key=str),
            "next": self._next,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Takes over the counts of another schedule of the same `film_every`."""
        self._episodes = Counter(dict(state["episodes"]))
        self._missed, self._next = set(state["missed"]), state["next"]
