from __future__ import annotations

import pickle
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mvr_wrappers import Clip, EngineGroup, RewardEngine
from mvr_wrappers.errors import ConfigError, EngineError
from mvr_wrappers.wrappers.routing import EnginePerEnv, engine_group, own_prompts
from tests.support.fake_scorer import FakeScorer
from tests.support.tiny_task import NEVER, waiting


def engine(prompt: str, **options: Any) -> RewardEngine:
    return RewardEngine(prompt, FakeScorer(), **{"schedule": NEVER, **options})


def clip(prompt: str | None) -> Clip:
    return Clip(np.zeros((8, 4), np.float32), np.zeros((1, 4, 8, 8, 3), np.uint8), np.zeros(1, np.int64), prompt)


class TestGroup:
    def test_it_maps_prompts_to_engines_and_makes_what_is_asked_for(self) -> None:
        first = engine("red", weight=0.7, seed=3, reward={"rule": "potential"}, relevance={"hidden": 16})
        group = EngineGroup([first])
        blue = group.obtain("blue")
        assert list(group) == ["red", "blue"] and len(group) == 2 and group["blue"] is blue
        assert group.obtain("blue") is blue and group.obtain("red") is first is group.first
        assert blue.scorer is first.scorer
        assert blue.options == first.options | {"prompt": "blue"}
        assert "green" not in group and len(group) == 2  # asking a mapping makes nothing
        with pytest.raises(KeyError):
            group["green"]

    @pytest.mark.parametrize("bad", ["", "  ", 7, None, ["red"]])
    def test_what_is_no_prompt_gets_no_engine(self, bad: Any) -> None:
        group = EngineGroup([engine("red")])
        with pytest.raises(ConfigError, match="write one sentence"):
            group.obtain(bad)
        assert len(group) == 1

    def test_engines_of_one_prompt_or_none(self) -> None:
        with pytest.raises(ConfigError, match=r"different prompts, got \['red', 'red'\]"):
            EngineGroup([engine("red"), engine("red")])
        with pytest.raises(ConfigError, match=r"got \[\]"):
            EngineGroup([])

    def test_close_leaves_what_was_lent(self) -> None:
        lent = engine("red")
        group = EngineGroup([lent], lent=True)
        made = group.obtain("blue")
        group.close()
        assert made.closed and not lent.closed
        group = EngineGroup([lent])
        group.close()
        assert lent.closed

    def test_save_and_load(self, tmp_path: Path) -> None:
        group = EngineGroup([engine("red", weight=0.3), engine("blue", weight=0.4)])
        group["blue"].submit([clip(None), clip("blue")])
        group["red"].advance(5)
        group.save(tmp_path / "engines")
        group.save(tmp_path / "engines")  # again, over it
        again = EngineGroup.load(tmp_path / "engines", scorer=FakeScorer())
        assert list(again) == ["red", "blue"] and again.first.prompt == "red"
        assert [each.weight for each in again.values()] == [0.3, 0.4]
        assert again["red"].scorer is again["blue"].scorer
        assert again["red"].metrics()["env_steps"] == 5 and again["blue"].metrics()["clips_waiting"] == 2
        with pytest.raises(EngineError, match=r"holds no engines\.json"):
            EngineGroup.load(tmp_path)

    @pytest.mark.parametrize(
        ("index", "said"),
        [
            ("[", "is no JSON"),
            ("\xff", "is no JSON"),
            ("[]", "no list of the engine files"),
            ('{"engine-0.npz": 1}', "no list of the engine files"),
            ("null", "no list of the engine files"),
            ("[3]", "no list of the engine files"),
            ('["../engine-0.npz"]', "no list of the engine files"),
            ('[""]', "no list of the engine files"),
            ('["engine-7.npz"]', "there is no file"),
        ],
    )
    def test_a_damaged_index(self, tmp_path: Path, index: str, said: str) -> None:
        EngineGroup([engine("red")]).save(tmp_path)
        (tmp_path / "engines.json").write_bytes(index.encode("latin-1"))
        with pytest.raises(EngineError, match=said):
            EngineGroup.load(tmp_path, scorer=FakeScorer())

    def test_all_are_closed_though_one_has_failed(self, monkeypatch: pytest.MonkeyPatch) -> None:
        group = EngineGroup([engine("red"), engine("blue"), engine("green")])
        for prompt in ("red", "green"):
            monkeypatch.setattr(group[prompt]._runner, "close", partial(fail, prompt))
        with pytest.raises(EngineError, match="red failed"):
            group.close()
        assert all(each.closed for each in group.values())

    def test_it_is_not_pickled(self) -> None:
        with pytest.raises(EngineError, match="make_vec_env"):
            pickle.dumps(EngineGroup([engine("red")]))

    def test_metrics_are_means_without_nan(self) -> None:
        group = EngineGroup([engine("red"), engine("blue")])
        group["red"].advance(4)
        assert group.metrics()["env_steps"] == 2
        assert np.isnan(group.metrics()["mean_score"])

    def test_the_arguments_of_a_wrapper(self) -> None:
        given = engine("red")
        made = engine_group(None, "blue", {"scorer": FakeScorer()})
        assert made.first.prompt == "blue" and made.closes_with_env
        around = engine_group(given, "red", {})
        assert around.first is given and around.closes_with_env
        around.close()
        assert not given.closed
        group = EngineGroup([given])
        assert engine_group(group, "green", {}) is group and not group.closes_with_env
        with pytest.raises(ConfigError, match="give prompt="):
            engine_group(None, None, {})
        with pytest.raises(ConfigError, match="brings its own prompt, 'red'"):
            engine_group(given, "blue", {})
        assert own_prompts("a", 2) == ["a", "a"] and own_prompts(None, 1) == [None]
        assert own_prompts(("a", "b"), 2) == ["a", "b"]
        with pytest.raises(ConfigError, match="2 sentences for 3 envs"):
            own_prompts(["a", "b"], 3)


def fail(prompt: str) -> None:
    raise EngineError(f"{prompt} failed")


class TestPerEnv:
    def test_each_engine_counts_the_steps_of_its_own_envs(self) -> None:
        group = EngineGroup([engine("red"), engine("blue")])
        envs = EnginePerEnv(group, ["red", "blue", "red"])
        envs.advance(np.array([True, True, False]))
        envs.advance(np.array([True, False, True]))
        assert [each.metrics()["env_steps"] for each in group.values()] == [3, 1]
        envs.assign(["blue", None, None])
        assert envs.prompts == ["blue", "blue", "red"]
        envs.advance(np.array([True, True, True]))
        assert [each.metrics()["env_steps"] for each in group.values()] == [4, 3]
        envs.assign([None] * 3)
        assert envs.prompts == ["red", "blue", "red"]

    def test_clips_go_to_the_engine_of_their_episode(self) -> None:
        group = EngineGroup([engine("red"), engine("blue")])
        envs = EnginePerEnv(group, ["red", "blue"])
        envs.assign(["blue", "green"])  # of the episodes that run: no matter
        envs.submit([[clip(None), clip("blue"), clip("blue")], [clip("green"), clip(None)]])
        assert waiting(group) == {
            "red": 1,
            "blue": 3,
            "green": 1,
        }

    def test_one_engine_or_several(self) -> None:
        group = EngineGroup([engine("red")])
        assert EnginePerEnv(group, [None, None]).engine is group.first
        with pytest.raises(EngineError, match="several prompts: see engines"):
            EnginePerEnv(group, ["red", "blue"]).engine  # noqa: B018 - asked for its error
