"""Task files are read strictly: what is wrong in one is told with the file, the key or line, and the mend."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

from mvr_wrappers.errors import ConfigError, UnknownNameError
from mvr_wrappers.tasks.files import read_task_file, read_value, read_yaml
from mvr_wrappers.tasks.registry import load_registry

TASK = "tasks:\n  reach-red: {family: tiny, prompt: a ball rolling to the red pillar}\n"
FAMILY = "families:\n  tiny: {make: {id: Tiny-v0}}\n"


@pytest.fixture
def write(tmp_path: Path) -> Any:
    def write(text: str, name: str = "tasks.yaml") -> Path:
        path = tmp_path / name
        path.write_text(text, encoding="utf-8")
        return path

    return write


def _message(path: Path) -> str:
    with pytest.raises((ConfigError, UnknownNameError)) as caught:
        load_registry(path)
    message = str(caught.value)
    assert str(path) in message
    return message


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", ["holds no mapping", "tasks:"]),
        ("- a\n- b\n", ["holds no mapping"]),
        ("tasks: {}\n", ["tasks is missing or empty"]),
        ("tasks: 3\n", ["tasks must be a mapping", "got 3"]),
        ("suites: 3\n", ["suites must be a mapping", "got 3"]),
        ("suites: {x: 3}\n", ["suites.x must be a mapping", "got 3"]),
        ("tasks:\n  reach: push\n", ["tasks.reach must be a mapping", "'push'"]),
        (TASK + "task: {}\n", ["task is not a section", "Nearest: tasks", "defaults, presets, families, tasks"]),
        ("tasks:\n  a b: {prompt: x}\n", ["tasks.a b: a name is made of letters"]),
        (FAMILY + "tasks:\n  a: {family: tiny}\n", ["tasks.a.prompt is missing; add it"]),
        ("tasks:\n  a: {prompt: x}\n", ["tasks.a.make is missing; add it"]),
        ("tasks:\n  a: {prompt: x, make: {kwargs: {}}}\n", ["tasks.a.make.id is missing; add it"]),
        (FAMILY + "tasks:\n  a: {family: tiny, prompt: ' '}\n", ["tasks.a.prompt is ' '; write one sentence"]),
        (
            FAMILY + "tasks:\n  a: {family: tiny, prompt: 3}\n",
            ["tasks.a.prompt: Input should be a valid string, got 3"],
        ),
        (FAMILY + "tasks:\n  a: {family: tni, prompt: x}\n", ["tasks.a", "no family 'tni'", "Nearest names: tiny"]),
        (TASK + "families:\n  tiny: {make: {idd: Tiny-v0}}\n", ["families.tiny.make.idd is not", "keys: id."]),
        (TASK + FAMILY + "defaults: {clip: {lengths: 3}}\n", ["defaults.clip.lengths is not", "keys: length."]),
        (TASK + FAMILY + "defaults: {wait: 3}\n", ["defaults.wait is not a setting", "keys: weight"]),
        (TASK + FAMILY + "defaults: {weight: -0.1}\n", ["defaults.weight is -0.1; give a finite number, at least 0"]),
        (TASK + FAMILY + "defaults: {method: mrv}\n", ["defaults.method: Input should be 'mvr', got 'mrv'"]),
        (TASK + FAMILY + "defaults: {clip: {frames: 65}}\n", ["defaults.clip.frames is 65, more than clip.length 64"]),
        (TASK + FAMILY + "defaults: {clip: {length: 0}}\n", ["defaults.clip.length is 0; it must be greater than 0"]),
        (TASK + FAMILY + "defaults: {agent: {gama: 0.9}}\n", ["defaults.agent.gama is not a setting", "keys: gamma."]),
        (TASK + FAMILY + "defaults: {agent: {tau: .nan}}\n", ["defaults.agent.tau: Input should be a finite number"]),
        (TASK + FAMILY + "presets: {x: {schedule: {every: 1}}}\n", ["presets.x.schedule.every is not a setting"]),
        (TASK + FAMILY + "presets: {x: {families: {tiny: {clp: 1}}}}\n", ["presets.x.families.tiny.clp is not"]),
        (TASK + FAMILY + "presets: {x: 1}\n", ["presets.x must be a mapping", "got 1"]),
        (TASK + FAMILY + "presets: {x: {families: 1}}\n", ["presets.x.families must be a mapping", "got 1"]),
        (TASK + FAMILY + "presets: {x: {families: {tiny: 1}}}\n", ["presets.x.families.tiny must be a mapping"]),
        (
            TASK + FAMILY + "presets: {x: {families: {tny: {}}}}\n",
            ["presets.x", "no family 'tny'", "Nearest names: tiny"],
        ),
        (TASK + FAMILY + "  b: {extends: [tiny]}\n", ["families.b.extends must be the name of a family"]),
        ("tasks:\n  a: {family: 3}\n", ["tasks.a.family must be the name of a family, got 3"]),
        (TASK + FAMILY + "defaults: {name: x}\n", ["defaults.name cannot be set here"]),
        (FAMILY + "tasks:\n  a: {name: x, family: tiny, prompt: x}\n", ["tasks.a.name cannot be set here"]),
        (TASK + FAMILY + "  b: {extends: b}\n", ["families.b", "no family 'b'"]),
        (TASK + FAMILY + "names: [h1]\n", ["names must be a mapping", "got ['h1']"]),
        (TASK + FAMILY + "names: {robot: h1}\n", ["names.robot must be a list of texts, got 'h1'"]),
        (TASK + FAMILY + "names: {robot: [1]}\n", ["names.robot must be a list of texts, got [1]"]),
        (
            FAMILY + "names: {robot: [h1]}\ntasks:\n  '{robt}-run': {family: tiny, prompt: x}\n",
            ["tasks.{robt}-run: names has no 'robt'; add it there. Nearest: robot"],
        ),
        (
            FAMILY + "names: {a: [x], b: [x]}\ntasks:\n  '{a}-run': {family: tiny}\n  '{b}-run': {family: tiny}\n",
            ["tasks.{b}-run stands for 'x-run', as another key does"],
        ),
        (FAMILY + "tasks:\n  'x-{-y': {family: tiny, prompt: x}\n", ["tasks.x-{-y: a name is made of letters"]),
    ],
)
def test_a_malformed_file_names_the_file_the_key_and_the_mend(write: Any, text: str, expected: list[str]) -> None:
    message = _message(write(text))
    for part in expected:
        assert part in message


@pytest.mark.parametrize(
    ("text", "line", "problem"),
    [
        (TASK + FAMILY + FAMILY, 5, "the key 'families' stands twice; remove one"),
        ("tasks:\n  a: {prompt: x}\n  b: {prompt: x}\n  a: {prompt: y}\n", 4, "the key 'a' stands twice"),
        ("tasks:\n  a:\n    prompt: x\n   make: y\n", 4, "did not find expected"),
        ("tasks: {a: [1, 2}\n", 1, "did not find expected"),
        ("tasks:\n  1: {prompt: x}\n", 2, "the key '1' is read as int; quote it"),
        ("tasks:\n  a: {on: x}\n", 2, "the key 'on' is read as bool; quote it"),
        ("tasks: &a {b: *a}\n", 1, "contains itself"),
        ("tasks: !!python/object:os.system {}\n", 1, "could not determine a constructor"),
    ],
)
def test_what_is_no_good_yaml_names_the_line(write: Any, text: str, line: int, problem: str) -> None:
    message = _message(write(text))
    assert f"line {line}: " in message
    assert problem in message


LAUGHS = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]\n" for i in range(1, 9)
)
MERGES = "a0: &a0 {k: v}\n" + "".join(f"a{i}: &a{i} {{<<: [*a{i - 1}, *a{i - 1}]}}\n" for i in range(1, 30))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (LAUGHS, "more than 100,000 values"),
        (MERGES, "more than 100,000 values"),
        ("[" * 100_000, "nested more than 50 levels deep"),
        ("{a: " * 3_000, "nested more than 50 levels deep"),
        ("x: " + "y" * 1_000_001, "at most 1,000,000 are read"),
        (
            f"names: {{a: &l [{', '.join(f'n{i}' for i in range(100))}], b: *l, c: *l, d: *l}}\n"
            "tasks:\n  '{a}-{b}-{c}-{d}': {prompt: x}\n",
            "tasks.{a}-{b}-{c}-{d} stands for 100,000,000 tasks; at most 10,000 are made",
        ),
    ],
    ids=["laughs", "merges", "lists", "mappings", "large", "names"],
)
def test_a_small_file_cannot_take_all_time_and_memory(write: Any, text: str, expected: str) -> None:
    began = time.process_time()
    assert expected in _message(write(text))
    assert time.process_time() - began < 10


def test_aliases_may_be_used_often(write: Any) -> None:
    path = write("a: &a {x: [1, 2]}\nb: [*a, *a, *a]\n")
    assert read_yaml(path)["b"] == [{"x": [1, 2]}] * 3


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    assert "cannot read" in _message(tmp_path / "absent.yaml")
    (tmp_path / "latin.yaml").write_bytes("tasks: {a: {prompt: né}}".encode("latin-1"))
    assert "not UTF-8" in _message(tmp_path / "latin.yaml")
    (tmp_path / "bell.yaml").write_bytes(b"tasks: \x07")
    assert "bell.yaml" in _message(tmp_path / "bell.yaml")


def test_exponents_and_separators_are_numbers_and_anchors_merge(write: Any) -> None:
    path = write("a: [5e-4, -1E3, 1_000, 2.5e-3, e5, 12e3f]\nb: &b {x: 1, y: 2}\nc: {<<: *b, x: 3}\n")
    assert read_yaml(path) == {
        "a": [5e-4, -1e3, 1000, 2.5e-3, "e5", "12e3f"],
        "b": {"x": 1, "y": 2},
        "c": {"x": 3, "y": 2},
    }


def test_a_placeholder_in_a_name_makes_one_task_for_each_of_its_values(write: Any) -> None:
    path = write(
        FAMILY
        + "names: {robot: [h1, g1], size: [s, l]}\n"
        + "tasks:\n"
        + "  '{robot}-lift_{size}': {family: tiny, prompt: a robot lifting}\n"
        + "  '{robot}-{robot}': {family: tiny, prompt: two robots}\n"
        + "  g1-lift_l: {family: tiny, prompt: written out}\n"
    )
    prompts = {name: spec.prompt for name, spec in load_registry(path).items()}
    lifting = dict.fromkeys(("h1-lift_s", "h1-lift_l", "g1-lift_s"), "a robot lifting")
    assert prompts == {**lifting, "g1-lift_l": "written out", "h1-h1": "two robots", "g1-g1": "two robots"}


def test_a_file_may_hold_suites_alone(write: Any) -> None:
    path = write("suites: {mine: {tasks: [push-v3], seeds: [0]}}\n")
    assert load_registry(path) == {}
    assert read_task_file(path).suites == {"mine": {"tasks": ["push-v3"], "seeds": [0]}}


@pytest.mark.parametrize(("text", "value"), [("5e-4", 5e-4), ("[64, 64]", [64, 64]), ("demo", "demo"), ("null", None)])
def test_a_value_is_read_as_in_a_file(text: str, value: object) -> None:
    assert read_value(text) == value


def test_a_value_that_is_not_yaml_is_refused() -> None:
    with pytest.raises(ConfigError, match="is not YAML; quote"):
        read_value("[1")
