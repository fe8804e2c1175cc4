"""Options are declared once, and every door takes and describes all that have a meaning there."""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest

import tests.support.tiny_task  # noqa: F401  registers MVR/tiny
from mvr_wrappers import (
    MultiViewVLMRewardVectorWrapper,
    MultiViewVLMRewardWrapper,
    MVRError,
    RewardEngine,
    TaskSpec,
    get_task,
)
from mvr_wrappers.envs.make import make_env, make_vector_env
from mvr_wrappers.errors import ConfigError, UnknownOptionError
from mvr_wrappers.option_docs import documented
from mvr_wrappers.options import (
    EngineOptions,
    EngineSettings,
    EnvOptions,
    EnvSettings,
    LearningOptions,
    TaskSettings,
    WrapperOptions,
    function_named,
    names_of,
    plain,
    split,
)
from mvr_wrappers.settings import RewardSettings
from mvr_wrappers.tasks.registry import load_registry
from tests.support.fake_scorer import FakeScorer
from tests.support.tiny_env import TinyEnv
from tests.support.tiny_task import DictEnv, learned_engine, read_dict

# A value other than the default for each option, as Python or a file may say it.
OTHERS: dict[str, Any] = {
    "scorer": "viclip-b",
    "weights": "somewhere/weights.pth",
    "dtype": "bfloat16",
    "pooling": "frames",
    "vocabulary": "somewhere/vocabulary.gz",
    "compile": True,
    "baseline_prompt": "a ball",
    "alpha": 0.5,
    "method": "mvr",
    "weight": 0.7,
    "relevance": {"hidden": 16},
    "reward": {"rule": "potential"},
    "schedule": {"score_every": 7},
    "relabel": False,
    "seed": 3,
    "device": "cpu",
    "mode": "async",
    "rig": {"kind": "ring", "azimuths": [10.0], "distance": 3.0},
    "clip": {"length": 9},
    "state_fn": "tests.support.tiny_task:read_dict",
    "get_mujoco": "tests.support.tiny_task:read_dict",
    "task_reward": "sparse",
    "env_kwargs": {"max_steps": 9},
}


def test_keywords_and_settings_have_the_same_names() -> None:
    assert set(EngineOptions.__annotations__) == set(names_of(EngineSettings)) - {"prompt"}
    assert set(EnvOptions.__annotations__) == set(names_of(EnvSettings))
    assert set(OTHERS) == set(names_of(TaskSettings)) - {"prompt"}


def _sb3(name: str) -> Any:
    return getattr(pytest.importorskip("mvr_wrappers.sb3"), name)


@pytest.mark.parametrize(
    ("door", "taken"),
    [
        (lambda: RewardEngine, EngineOptions),
        (lambda: MultiViewVLMRewardWrapper, WrapperOptions),
        (lambda: MultiViewVLMRewardVectorWrapper, EngineOptions),
        (lambda: _sb3("MultiViewVLMRewardVecEnv"), EngineOptions),
        (lambda: make_env, EnvOptions),
        (lambda: make_vector_env, EnvOptions),
        (lambda: _sb3("make_vec_env"), EnvOptions),
        (lambda: TaskSpec, TaskSettings),
    ],
)
def test_the_docs_of_each_door_are_made_from_the_declaration(door: Callable[[], Any], taken: type) -> None:
    doc = inspect.getdoc(door()) or ""
    assert "{options}" not in doc
    for name in taken.__annotations__:
        assert doc.count(f"\n    {name}: ") == 1, name
    assert "local file or folder of the scorer's weights" in doc


def test_a_docstring_keeps_what_it_says_itself() -> None:
    @documented(EngineSettings, only=["seed", "alpha", "weight"])
    def door() -> None:
        """Does.

        Args:
            seed: my own.
            {options}
        """

    assert inspect.getdoc(door) == (
        "Does.\n\nArgs:\n    seed: my own.\n    alpha: strength of that, in [0, 1].\n"
        "    weight: w, the weight of the VLM reward."
    )


class TestDoors:
    def test_a_task_file_takes_every_option(self, tmp_path: Path) -> None:
        import yaml

        task = {"make": {"id": "Tiny-v0", "kwargs": {"reward": "dense"}}, "prompt": "a ball", **OTHERS}
        (tmp_path / "mine.yaml").write_text(yaml.safe_dump({"tasks": {"mine": task}}))
        spec = load_registry(tmp_path / "mine.yaml")["mine"]
        self._holds(spec)

    @pytest.mark.parametrize("name", OTHERS)
    def test_keywords_change_a_task(self, name: str) -> None:
        self._holds(get_task("tiny", **{name: OTHERS[name]}), [name])

    def test_the_configuration_of_a_run_takes_every_option(self) -> None:
        config = pytest.importorskip("mvr_agents.runs.config").TrainConfig.for_task("tiny", **OTHERS)
        self._holds(config)
        self._holds(config.task_spec())

    @pytest.mark.parametrize("name", [name for name in OTHERS if name in EngineOptions.__annotations__])
    def test_an_engine_remembers_every_option(self, name: str) -> None:
        viclip = {"scorer": "viclip-b"}
        needs: Any = {"alpha": {"baseline_prompt": "a ball"}, "pooling": {"scorer": "clip-l"}, "compile": viclip}
        further = {**needs, "vocabulary": viclip}.get(name, {})
        with RewardEngine("a red ball", **{name: OTHERS[name]}, **further) as engine:
            again = type(engine)(**engine.options)
            assert again.options == engine.options
            found = engine.options[name]
            assert {**found, **OTHERS[name]} == found if isinstance(found, dict) else found == OTHERS[name]

    @staticmethod
    def _holds(settings: Any, names: Any = tuple(OTHERS)) -> None:
        for name in names:
            value = getattr(settings, name)
            found = dataclasses.asdict(value) if dataclasses.is_dataclass(value) else value  # type: ignore[arg-type]
            assert {**found, **OTHERS[name]} == found if isinstance(found, dict) else found == OTHERS[name], name

    def test_weights_reach_the_scorer(self, tmp_path: Path) -> None:
        for door in (
            lambda **options: RewardEngine("a ball", **options).scorer,
            lambda **options: gym.make("MVR/tiny", **options).get_wrapper_attr("engine").scorer,
            lambda **options: MultiViewVLMRewardWrapper(TinyEnv(), "a ball", **options).engine.scorer,
        ):
            with pytest.raises(MVRError, match="nowhere"):
                door(scorer="viclip-l", weights=tmp_path / "nowhere.pth")

    def test_functions_by_name(self) -> None:
        env = MultiViewVLMRewardWrapper(
            DictEnv(), "a ball", scorer=FakeScorer(), state_fn="tests.support.tiny_task:read_dict"
        )
        observation, _ = env.reset(seed=0)
        assert env.get_wrapper_attr("state_dim") == len(read_dict(observation))
        env.close()


class TestRefused:
    @pytest.mark.parametrize("name", [name for name in LearningOptions.__annotations__ if name != "seed"])
    def test_options_beside_an_engine_that_would_ignore_them(self, name: str) -> None:
        with pytest.raises(ConfigError, match=rf"engine= .* would ignore {name}; leave"):
            gym.make("MVR/tiny", engine=learned_engine(), **{name: OTHERS[name]})
        with pytest.raises(ConfigError, match=rf"engine= .* would ignore {name}; leave"):
            MultiViewVLMRewardWrapper(TinyEnv(), engine=learned_engine(), **{name: OTHERS[name]})

    def test_a_seed_beside_an_engine_is_that_of_filming(self) -> None:
        gym.make("MVR/tiny", engine=learned_engine(), seed=3).close()

    @pytest.mark.parametrize("name", ["weights", "dtype", "pooling", "compile", "vocabulary"])
    def test_options_of_loading_beside_a_scorer_that_is_loaded(self, name: str) -> None:
        with pytest.raises(ConfigError, match=rf"{name} would change nothing: scorer is an object"):
            RewardEngine("a ball", FakeScorer(), **{name: OTHERS[name]})

    def test_options_of_loading_that_the_scorer_does_not_have(self) -> None:
        with pytest.raises(ConfigError, match=r"pooling is not an option of the scorer pocket"):
            gym.make("MVR/tiny", scorer="pocket", pooling="mean")

    def test_names_that_do_not_exist(self) -> None:
        for door in (
            lambda **options: RewardEngine("a ball", **options),
            lambda **options: RewardEngine.from_task("tiny", **options),
            lambda **options: MultiViewVLMRewardWrapper(TinyEnv(), "a ball", **options),
            lambda **options: gym.make("MVR/tiny", **options),
        ):
            with pytest.raises(UnknownOptionError, match=r"wwweights is not an option of .*Nearest: weights"):
                door(wwweights=1)
        with pytest.raises(UnknownOptionError, match=r"'rig': it belongs where the env is made and filmed"):
            RewardEngine("a ball", rig={"azimuths": [0]})  # type: ignore[call-arg]  # the mistake

    @pytest.mark.parametrize(
        "word", ["tests.support.tiny_task:absent", "tests.absent:read", "no_such_package:read", "numpy:linalg.absent"]
    )
    def test_functions_that_cannot_be_imported(self, word: str) -> None:
        with pytest.raises(ConfigError, match=r"state_fn is .* cannot be imported"):
            function_named(word, "state_fn")

    def test_a_function_name_without_a_colon(self) -> None:
        with pytest.raises(ConfigError, match="state_fn"):
            get_task("tiny", state_fn="numpy.ravel")


def test_functions_inside_classes_are_found() -> None:
    assert function_named("numpy:linalg.norm", "state_fn") is np.linalg.norm


def test_plain_values() -> None:
    assert plain(np.float64(0.5)) == 0.5 and type(plain(np.int64(3))) is int
    assert plain(Path("a/b")) == "a/b"
    assert plain(RewardSettings()) == dataclasses.asdict(RewardSettings())
    scorer = FakeScorer()
    assert split({"scorer": scorer, "weight": None, "alpha": 0.5}) == ({"alpha": 0.5}, {"scorer": scorer})
