"""Random keywords and task files: nothing but errors of this package, or Gymnasium's own."""

from __future__ import annotations

import contextlib
import warnings
from pathlib import Path
from typing import Any

import gymnasium as gym
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import tests.support.tiny_task  # noqa: F401  registers MVR/tiny
from mvr_wrappers.errors import MVRError
from mvr_wrappers.options import names_of
from mvr_wrappers.tasks.files import read_yaml
from mvr_wrappers.tasks.registry import load_registry
from mvr_wrappers.tasks.spec import TaskSpec

NAMES = sorted(
    {*names_of(TaskSpec), "preset", "engine", "shaping", "mode"} - {"name", "make", "family", "source", "agent"}
)
SIMPLE = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 3),
    st.floats(),
    st.text(max_size=4),
    st.sampled_from(["mvr", "fake", "reset", "sync", "all", "cpu", "random:x"]),
)
VALUES = st.recursive(
    SIMPLE,
    lambda inner: st.one_of(
        st.lists(inner, max_size=2),
        st.dictionaries(
            st.sampled_from(["length", "tau", "rule", "kind", "azimuths", "score_every", "x"]), inner, max_size=2
        ),
    ),
    max_leaves=4,
)
FUZZ = settings(
    max_examples=150, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@FUZZ
@given(options=st.dictionaries(st.sampled_from(NAMES), VALUES, min_size=1, max_size=2))
def test_keywords(options: dict[str, Any]) -> None:
    with warnings.catch_warnings(), contextlib.suppress(MVRError):
        warnings.simplefilter("ignore")
        gym.make("MVR/tiny", **options).close()


@FUZZ
@given(
    document=st.dictionaries(
        st.sampled_from(["tasks", "names", "defaults", "presets", "families", "suites", "x"]),
        st.one_of(
            VALUES,
            st.dictionaries(
                st.sampled_from(["a", "b", "{c}"]),
                st.dictionaries(st.sampled_from(NAMES), VALUES, max_size=2),
                max_size=2,
            ),
        ),
        max_size=4,
    )
)
def test_task_files(document: dict[str, Any], tmp_path: Path) -> None:
    path = tmp_path / "tasks.yaml"
    path.write_text(yaml.safe_dump(document), encoding="utf-8")
    with contextlib.suppress(MVRError):
        load_registry(path)


@FUZZ
@given(text=st.text(alphabet="[]{}&*a: ,!|>-\n'\"<?#%@`0x", max_size=60))
def test_text_that_is_hardly_yaml(text: str, tmp_path: Path) -> None:
    path = tmp_path / "any.yaml"
    path.write_text(text, encoding="utf-8")
    with contextlib.suppress(MVRError):
        read_yaml(path)
