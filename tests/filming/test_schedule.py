from __future__ import annotations

from mvr_wrappers.filming.schedule import FilmSchedule


def play(schedule: FilmSchedule, prompts: list[str | None]) -> list[bool]:
    chosen = []
    for prompt in prompts:
        chosen.append(schedule.chooses(prompt))
        if chosen[-1]:
            schedule.begun(prompt)
    return chosen


def test_one_episode_of_every_so_many_beginning_with_the_first() -> None:
    assert play(FilmSchedule(3), [None] * 7) == [True, False, False, True, False, False, True]
    assert play(FilmSchedule(1), [None] * 3) == [True] * 3


def test_prompts_that_take_turns_are_each_chosen() -> None:
    chosen = play(FilmSchedule(3), ["a", "b", "c"] * 4)
    assert chosen == [True] * 3 + [False] * 6 + [True] * 3


def test_a_missed_episode_is_made_up_for_by_the_next_of_its_prompt() -> None:
    schedule = FilmSchedule(9)
    assert play(schedule, ["a", "b"]) == [True, True]
    schedule.missed("a")
    assert play(schedule, ["b", "a", "a", "b"]) == [False, True, False, False]


def test_the_next_episode_is_chosen_on_demand_once() -> None:
    schedule = FilmSchedule(9)
    assert play(schedule, ["a", "a"]) == [True, False]
    schedule.choose_next()
    assert play(schedule, ["a", "a"]) == [True, False]


def test_the_first_may_be_a_later_one() -> None:
    assert play(FilmSchedule(3, first=1), [None] * 5) == [False, True, False, False, True]
    assert play(FilmSchedule(3, first=5), [None] * 6) == [False, False, True, False, False, True]
    assert play(FilmSchedule(1, first=5), [None] * 2) == [True, True]
