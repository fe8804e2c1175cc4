"""Scored clips of a made-up task, whose true relevance is known. `relevance_options.py` imports it.

Latent trajectories are smooth; the true relevance of a state is a bump around a goal in latent space. Observed states
are 39 numbers, of scales from 0.01 to 10 and with offsets: 30 smooth functions of the latent, as positions and
velocities are; 6 that rest at 0 nine tenths of the time, as what is only sometimes touched; and 3 that are drawn once
an episode, as the places of goals are. A clip's score is its mean relevance + an offset of the view + noise, part of
which may be common to all clips of an episode.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mvr_wrappers.clips import ScoredClip, clip_starts

LATENT, SMOOTH, TOUCHED, PLACES, EMBEDDING, VIEWS = 6, 30, 6, 3, 256, 4
EPISODE, LENGTH = 500, 64
RARE = 1.28  # deviations of a latent direction beyond which something is touched: a tenth of the time
SCORE_STD = 0.03  # of scores within one view: cosines of ViCLIP spread about so


@dataclass(frozen=True, slots=True)
class Setup:
    """What is filmed and how well it is scored.

    Attributes:
        episodes: how many are filmed.
        stride: states between the starts of clips of 64 states: 16 makes 29 of an episode, 48 makes 11.
        views: filmed views of a clip: one, drawn anew each episode, or all `VIEWS`.
        view_share: share of the variance of the scores that the view explains.
        noise_share: share of the variance within a view that is noise.
        episode_share: share of the noise that is common to all clips of an episode.
    """

    episodes: int = 35
    stride: int = 16
    views: int = 1
    view_share: float = 0.21
    noise_share: float = 1 / 3
    episode_share: float = 0.0


@dataclass(frozen=True, slots=True, eq=False)
class Films:
    """N scored clips.

    Attributes:
        clips: the clips, in the order of time.
        truth: float64 (N,), mean true relevance of each.
        relevances: float64 (N, L), true relevance of its states.
        scores: float64 (N,), mean over its views, without the offsets of the views.
    """

    clips: list[ScoredClip]
    truth: NDArray[np.float64]
    relevances: NDArray[np.float64]
    scores: NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class World:
    """A synthetic task: how latents become states, relevance and videos."""

    setup: Setup
    goal: NDArray[np.float64]
    to_state: NDArray[np.float64]
    scale: NDArray[np.float64]
    offset: NDArray[np.float64]
    to_video: NDArray[np.float64]
    view_video: NDArray[np.float64]
    view_offsets: NDArray[np.float64]

    @classmethod
    def draw(cls, rng: np.random.Generator, setup: Setup) -> World:
        """Draws a task in which the view explains the share of the variance of the scores that `setup` says."""
        offsets = np.linspace(-1, 1, VIEWS)[rng.permutation(VIEWS)]
        offsets *= SCORE_STD * np.sqrt(setup.view_share / (1 - setup.view_share)) / offsets.std()
        size = SMOOTH + TOUCHED + PLACES
        return cls(
            setup=setup,
            goal=rng.normal(size=LATENT),
            to_state=rng.normal(size=(LATENT, SMOOTH + TOUCHED)),
            scale=10 ** rng.uniform(-2, 1, size),
            offset=rng.normal(size=size),
            to_video=rng.normal(size=(LATENT, EMBEDDING)),
            view_video=rng.normal(size=(VIEWS, EMBEDDING)) * 2,
            view_offsets=offsets,
        )

    def relevance(self, latents: NDArray[np.float64]) -> NDArray[np.float64]:
        """The truth the model has to find: (..., LATENT) -> (...), in [0, 1]."""
        bump: NDArray[np.float64] = np.exp(-((latents - self.goal) ** 2).sum(-1) / (2 * LATENT))
        return bump

    def states(self, latents: NDArray[np.float64], places: NDArray[np.float64]) -> NDArray[np.float32]:
        """What the simulator reports: (N, L, LATENT) and, once an episode, (N, PLACES) -> (N, L, D)."""
        directions = latents @ self.to_state
        smooth = np.tanh(directions[..., :SMOOTH] / 2)
        pushed = directions[..., SMOOTH:] / np.linalg.norm(self.to_state[:, SMOOTH:], axis=0)
        touched = np.maximum(pushed - RARE, 0)
        constant = np.broadcast_to(places[:, None], (*latents.shape[:2], PLACES))
        parts = np.concatenate([smooth, touched, constant], axis=-1)
        return ((parts + self.offset) * self.scale).astype(np.float32)

    def film(self, rng: np.random.Generator, episodes: int, stride: int) -> Films:
        """Plays, films and scores episodes."""
        starts = clip_starts(EPISODE, LENGTH, stride)
        per_episode, setup = len(starts), self.setup
        trajectories = play(rng, episodes)
        latents = np.stack([it[start : start + LENGTH] for it in trajectories for start in starts])
        number = np.repeat(np.arange(episodes), per_episode)
        turns = rng.permutation(np.arange(episodes) % VIEWS)[number]
        views = turns[:, None] if setup.views == 1 else np.tile(np.arange(VIEWS), (len(number), 1))
        relevances = self.relevance(latents)
        truth = relevances.mean(axis=1)
        signal = (truth - truth.mean()) / truth.std() * np.sqrt(1 - setup.noise_share)
        # Each view is noisy by itself, in what is common to an episode as well.
        alone = rng.normal(size=views.shape) * np.sqrt(1 - setup.episode_share)
        common = rng.normal(size=(episodes, views.shape[1]))[number] * np.sqrt(setup.episode_share)
        centred = SCORE_STD * (signal[:, None] + np.sqrt(setup.noise_share) * (alone + common))
        scores = 0.2 + self.view_offsets[views] + centred
        videos = (latents.mean(axis=1) @ self.to_video)[:, None] + self.view_video[views]
        videos = videos + rng.normal(size=videos.shape)
        videos /= np.linalg.norm(videos, axis=-1, keepdims=True)
        states = self.states(latents, rng.normal(size=(episodes, PLACES))[number])
        rows = zip(*(states, views, scores.astype(np.float32), videos.astype(np.float32)), number.tolist(), strict=True)
        return Films([ScoredClip(*row) for row in rows], truth, relevances, centred.mean(axis=1))


def play(rng: np.random.Generator, count: int) -> NDArray[np.float64]:
    """Returns smooth latent trajectories of unit variance: (count, EPISODE, LATENT)."""
    keep = 0.98
    latents = np.empty((count, EPISODE, LATENT))
    latents[:, 0] = rng.normal(size=(count, LATENT))
    for t in range(1, EPISODE):
        latents[:, t] = keep * latents[:, t - 1] + np.sqrt(1 - keep**2) * rng.normal(size=(count, LATENT))
    return latents
