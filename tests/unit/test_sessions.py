"""From a moment to the phase and day-roll commands that come before it."""

import datetime as dt
from itertools import pairwise

import numpy as np
import pytest

from engine.codes import CommandKind, Phase
from engine.rules.schema import find_rulebook
from engine.rules.sessions import DAY_NS, Timetable

OPENING_NS = 1_626_399_000_000_000_000
"""2021-07-16 09:30 +08:00, a Friday."""
HOUR_NS = 3600 * 10**9
MIDNIGHT_NS = OPENING_NS - 9 * HOUR_NS - HOUR_NS // 2


def cea() -> Timetable:
    return Timetable(find_rulebook("cn-cea"))


def words(commands: list[np.ndarray]) -> list[str]:
    """Commands as "09:30 morning" and "00:00 day 20210716", local times."""
    said = []
    for (row,) in commands:
        minutes = (int(row["time_ns"]) - MIDNIGHT_NS) % DAY_NS // (60 * 10**9)
        what = f"day {row['date']}" if row["kind"] == CommandKind.DAY_ROLL else Phase(row["phase"]).name.lower()
        said.append(f"{minutes // 60:02}:{minutes % 60:02} {what}")
    return said


def test_the_opening_of_the_first_day_is_half_past_nine_in_shanghai() -> None:
    assert cea().local_date(OPENING_NS) == dt.date(2021, 7, 16)
    assert cea().midnight_ns(dt.date(2021, 7, 16)) == MIDNIGHT_NS
    assert words(cea().phases(dt.date(2021, 7, 16)))[0] == "09:30 morning"
    assert cea().phases(dt.date(2021, 7, 16))[0]["time_ns"][0] == OPENING_NS


def test_a_whole_weekday_gives_its_day_roll_and_its_phases_in_order() -> None:
    commands = list(cea().advance(MIDNIGHT_NS + DAY_NS - 1))
    assert words(commands) == [
        "00:00 day 20210716",
        "09:30 morning",
        "11:30 break",
        "13:00 afternoon",
        "15:00 closed",
    ]
    assert all(before["time_ns"] < after["time_ns"] for before, after in pairwise(commands))


def test_only_what_is_due_comes_and_nothing_comes_twice() -> None:
    timetable = cea()
    assert words(list(timetable.advance(OPENING_NS - 1))) == ["00:00 day 20210716"]
    assert words(list(timetable.advance(OPENING_NS))) == ["09:30 morning"]
    assert words(list(timetable.advance(OPENING_NS))) == []
    assert words(list(timetable.advance(OPENING_NS + 2 * HOUR_NS - 1))) == []
    assert words(list(timetable.advance(OPENING_NS + 4 * HOUR_NS))) == ["11:30 break", "13:00 afternoon"]
    assert words(list(timetable.advance(OPENING_NS + 14 * HOUR_NS))) == ["15:00 closed"]


def test_any_steps_give_the_same_commands_as_one_leap_within_a_day() -> None:
    leap = words(list(cea().advance(MIDNIGHT_NS + DAY_NS - 1)))
    timetable, steps = cea(), []
    for minute in range(0, 24 * 60, 7):
        steps += list(timetable.advance(MIDNIGHT_NS + minute * 60 * 10**9))
    assert words(steps) == leap


def test_the_day_rolls_once_a_day() -> None:
    timetable, rolls = cea(), []
    for hour in range(0, 24 * 10, 5):
        commands = timetable.advance(MIDNIGHT_NS + hour * HOUR_NS)
        rolls += [int(row["date"][0]) for row in commands if row["kind"][0] == CommandKind.DAY_ROLL]
    assert rolls == list(range(20210716, 20210726))


def test_the_venue_s_day_begins_at_midnight_in_shanghai_not_in_london() -> None:
    timetable = cea()
    assert timetable.local_date(MIDNIGHT_NS - 1) == dt.date(2021, 7, 15)
    assert timetable.local_date(MIDNIGHT_NS) == dt.date(2021, 7, 16)
    assert words(list(timetable.advance(MIDNIGHT_NS - 1)))[0] == "00:00 day 20210715"
    assert words(list(timetable.advance(MIDNIGHT_NS))) == ["00:00 day 20210716"]


@pytest.mark.parametrize("day", [17, 18])
def test_a_weekend_has_no_phases(day: int) -> None:
    date = dt.date(2021, 7, day)
    assert cea().phases(date) == []
    noon = cea().midnight_ns(date) + 12 * HOUR_NS
    assert words(list(cea().advance(noon))) == [f"00:00 day 202107{day}"]


@pytest.mark.parametrize("day", [16, 19, 20, 21, 22, 23])
def test_every_weekday_has_four_phases(day: int) -> None:
    assert [said.split()[1] for said in words(cea().phases(dt.date(2021, 7, day)))] == [
        "morning",
        "break",
        "afternoon",
        "closed",
    ]


def test_the_new_year_is_a_new_day() -> None:
    timetable = cea()
    list(timetable.advance(timetable.midnight_ns(dt.date(2021, 12, 31)) + 12 * HOUR_NS))
    assert words(list(timetable.advance(timetable.midnight_ns(dt.date(2022, 1, 1))))) == ["00:00 day 20220101"]


def test_a_venue_that_never_closes_has_no_commands() -> None:
    timetable = Timetable(find_rulebook("generic"))
    assert list(timetable.advance(OPENING_NS)) == []
    assert timetable.phases(dt.date(2021, 7, 16)) == []


def test_a_day_roll_may_be_dated_at_another_moment() -> None:
    (row,) = cea().day_roll(dt.date(2021, 7, 16), time_ns=5)
    assert (row["kind"], row["date"], row["time_ns"]) == (CommandKind.DAY_ROLL, 20210716, 5)
