"""Gymnasium's RecordEpisodeStatistics and RecordVideo on either side of our wrappers."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.vector import AutoresetMode
from gymnasium.wrappers import RecordEpisodeStatistics, RecordVideo
from gymnasium.wrappers.vector import RecordEpisodeStatistics as RecordVectorStatistics

from mvr_wrappers import FilmedEnv, MultiViewVLMRewardVectorWrapper, MultiViewVLMRewardWrapper
from tests.support.conformance import FAST, IDS, METAWORLD_ACTIONS, actions_of, check_video, need_packages
from tests.support.known import present

PROMPT = "a one-legged robot hopping forward"
LEARNING = {key: FAST[key] for key in ("relevance", "schedule", "weight")}
LIMIT = FAST["env_kwargs"]
SMALL = LIMIT | {"width": 64, "height": 64}  # of what the env itself renders
N_ENVS = 2


def shaped(env: gym.Env[Any, Any]) -> MultiViewVLMRewardWrapper:
    return MultiViewVLMRewardWrapper(env, PROMPT, clip=FAST["clip"], **LEARNING)


def play(env: gym.Env[Any, Any], steps: int, pictures: list[Any] | None = None) -> list[dict[str, Any]]:
    """Returns the infos of the last steps of episodes; `pictures` gets what the env renders after every step."""
    env.reset(seed=0)
    ends = []
    for action in actions_of(steps, *present(env.action_space.shape)):
        *_, terminated, truncated, info = env.step(action)
        if pictures is not None:
            pictures.append(env.render())
        if terminated or truncated:
            ends.append(info)
            env.reset()
    return ends


class TestRecordEpisodeStatistics:
    def test_inside_it_records_the_task(self) -> None:
        env = shaped(RecordEpisodeStatistics(gym.make("Hopper-v5", **LIMIT)))
        self._check(play(env, 75), "task_return")
        env.close()

    @pytest.mark.parametrize("env_id", IDS)
    @pytest.mark.filterwarnings(METAWORLD_ACTIONS)
    def test_outside_it_records_what_the_agent_is_paid(self, env_id: str) -> None:
        need_packages(env_id)
        env = RecordEpisodeStatistics(gym.make(env_id, **FAST))
        self._check(play(env, 75), "shaped_return")
        env.close()

    def _check(self, ends: list[dict[str, Any]], name: str) -> None:
        assert len(ends) >= 2
        for info in ends:
            assert info["episode"]["r"] == pytest.approx(info["mvr_episode"][name], rel=1e-5)
            assert info["episode"]["l"] == info["mvr_episode"]["length"]
        last = ends[-1]["mvr_episode"]
        assert last["task_return"] != pytest.approx(last["shaped_return"], rel=1e-5)


SAME_STEP = pytest.param(
    AutoresetMode.SAME_STEP,
    marks=pytest.mark.skipif(
        tuple(map(int, gym.__version__.split(".")[:2])) < (1, 4),
        reason="before 1.4, Gymnasium's own recorder loses the first reward of an episode in this mode",
    ),
)


class TestVectorRecordEpisodeStatistics:
    # Not DISABLED: around a SyncVectorEnv, Gymnasium's recorder forgets all sub-envs whenever one is reset.
    @pytest.mark.parametrize("mode", [AutoresetMode.NEXT_STEP, SAME_STEP], ids=lambda mode: mode.name)
    def test_inside_it_records_the_task(self, mode: AutoresetMode) -> None:
        sub_envs = partial(FilmedEnv, clip=FAST["clip"])
        venv = gym.make_vec("Hopper-v5", N_ENVS, "sync", {"autoreset_mode": mode}, wrappers=[sub_envs], **LIMIT)
        self._check(MultiViewVLMRewardVectorWrapper(RecordVectorStatistics(venv), PROMPT, **LEARNING), "task_return")

    @pytest.mark.parametrize(
        "mode", [AutoresetMode.NEXT_STEP, SAME_STEP, AutoresetMode.DISABLED], ids=lambda mode: mode.name
    )
    def test_outside_it_records_what_the_agent_is_paid(self, mode: AutoresetMode) -> None:
        venv = gym.make_vec("MVR/Hopper-v5", N_ENVS, autoreset_mode=mode, **FAST)
        self._check(RecordVectorStatistics(venv), "shaped_return")

    def _check(self, env: Any, name: str) -> None:
        env.reset(seed=0)
        episodes, totals = [], {}
        for actions in actions_of(60, N_ENVS, 3):
            _, _, terminated, truncated, infos = env.step(actions)
            over = terminated | truncated
            for i in np.flatnonzero(over):
                totals = {key: values[i] for key, values in infos["mvr_episode"].items()}
                episodes.append((infos["episode"]["r"][i], totals[name], infos["episode"]["l"][i], totals["length"]))
            if over.any() and env.metadata["autoreset_mode"] is AutoresetMode.DISABLED:
                env.reset(options={"reset_mask": over})
        returns, expected, lengths, expected_lengths = np.array(episodes).T
        np.testing.assert_allclose(returns, expected, rtol=1e-4)
        np.testing.assert_array_equal(lengths, expected_lengths)
        assert len(episodes) >= 4 and totals["task_return"] != pytest.approx(totals["shaped_return"], rel=1e-5)
        env.close()


@pytest.fixture
def moviepy() -> None:
    pytest.importorskip("moviepy", reason="pip install moviepy")


class TestRecordVideo:
    @pytest.mark.usefixtures("moviepy")
    @pytest.mark.parametrize("side", ["inside", "outside"])
    def test_videos_of_filmed_episodes(self, side: str, tmp_path: Path) -> None:
        record = partial(RecordVideo, video_folder=str(tmp_path / "videos"), episode_trigger=lambda episode: True)
        if side == "inside":
            env: Any = shaped(record(gym.make("Hopper-v5", render_mode="rgb_array", **SMALL)))
        else:
            env = record(gym.make("MVR/Hopper-v5", render_mode="rgb_array", **FAST | {"env_kwargs": SMALL}))
        ends = play(env, 50)
        assert env.get_wrapper_attr("engine").gallery.best
        env.close()
        for i, info in enumerate(ends):
            check_video(tmp_path / "videos" / f"rl-video-episode-{i}.mp4", info["mvr_episode"]["length"] + 1)

    def test_filming_between_leaves_the_env_s_own_pictures_as_they_are(self) -> None:
        filmed = gym.make("MVR/Hopper-v5", render_mode="rgb_array", **FAST | {"env_kwargs": SMALL})
        plain = gym.make("Hopper-v5", render_mode="rgb_array", **SMALL)
        ours: list[Any] = []
        theirs: list[Any] = []
        play(filmed, 50, ours)
        play(plain, 50, theirs)
        np.testing.assert_array_equal(ours[::7], theirs[::7])
        filmed.close()
        plain.close()
