"""Which hours are open, every day or by weekday, how that is written, and when it changes next."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from budgets.core import dayparting
from budgets.core.dayparting import (
    HOURS,
    LONGEST_NOTATION,
    WEEK_DIGITS,
    WEEKDAYS,
    Hours,
    InvalidHours,
    every_day,
    next_change,
    notation,
    open_hours,
    open_spans,
    parse,
    week_of,
)
from budgets.core.periods import local_day, zone_named
from budgets.tests.builders import at

#                0     6     12    18   23
CLOCK_FACES = {
    (0, 24): "########################",
    (23, 0): ".......................#",
    (22, 6): "######................##",
    (6, 22): "......################..",
    (9, 17): ".........########.......",
    (0, 1): "#.......................",
    (12, 12): "########################",
    (23, 24): ".......................#",
}

SLOTS = [(weekday, hour) for weekday in range(len(WEEKDAYS)) for hour in range(HOURS)]
ZONES = (
    "UTC",
    "America/New_York",
    "Europe/Berlin",
    "Asia/Kolkata",
    "Australia/Lord_Howe",
    "Antarctica/Troll",
    "America/Havana",
    "Africa/Cairo",
    "America/St_Johns",
    "Pacific/Apia",
)

starts = st.integers(0, 23)
ends = st.integers(0, 24)
open_slots = st.sets(st.sampled_from(SLOTS), min_size=1)
ragged = st.builds(week_of, open_slots)
# What people write: a few windows, each on some of the days.
entries = st.tuples(st.sets(st.sampled_from(WEEKDAYS), min_size=1), starts, ends)
written = st.lists(entries, min_size=1, max_size=4).map(
    lambda chosen: parse("; ".join(f"{','.join(days)} {a}-{b}" for days, a, b in chosen))
)
weeks = st.one_of(ragged, written)


@pytest.mark.parametrize("hour", range(24))
@pytest.mark.parametrize("window", CLOCK_FACES, ids=lambda window: "-".join(map(str, window)))
def test_a_window_is_open_in_these_hours_of_every_day(window: tuple[int, int], hour: int) -> None:
    is_open = CLOCK_FACES[window][hour] == "#"

    assert {Hours(*window).is_open(weekday, hour) for weekday in range(7)} == {is_open}


@given(starts, ends)
def test_a_weekly_calendar_of_equal_days_is_the_hours_of_every_day(start: int, end: int) -> None:
    week = every_day(start, end)

    assert week == parse(f"Mon-Sun {start}-{end}")
    # Whatever the two hours beside it say.
    hours = Hours(end % 24, start, week)
    assert [hours.is_open(*slot) for slot in SLOTS] == [
        Hours(start, end).is_open(*slot) for slot in SLOTS
    ]


@given(open_slots)
def test_a_week_has_just_the_hours_it_is_made_of(opened: set[tuple[int, int]]) -> None:
    week = week_of(opened)

    assert len(week) == WEEK_DIGITS
    assert list(open_hours(week)) == sorted(opened)
    assert {slot for slot in SLOTS if Hours(week=week).is_open(*slot)} == opened


@given(weeks)
def test_what_is_written_is_read_as_the_same_week_and_written_again_the_same(week: str) -> None:
    text = notation(week)

    assert parse(text) == week
    assert notation(parse(text)) == text
    assert len(text) < LONGEST_NOTATION / 4


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("Mon-Fri 9-18; Sat 22-6", "Mon-Fri 9-18; Sat 22-6"),
        ("  sat 22 - 6;MON–FRI 9–18 ; ", "Mon-Fri 9-18; Sat 22-6"),  # noqa: RUF001  # en dashes
        ("Mon 9-18; Tue 9-18; Thu 9-18", "Mon-Tue,Thu 9-18"),
        ("Mon-Wed 9-12, 14-18", "Mon-Wed 9-12, 14-18"),
        ("Mon 14-18, 9-12, 11-15", "Mon 9-18"),
        ("Sat-Mon 8-9", "Mon,Sat-Sun 8-9"),
        ("Mon-Sun 0-24", "Mon-Sun 0-24"),
        ("Mon 5-5", "Mon 0-24"),
        ("Mon-Sun 22-6", "Mon-Sun 22-6"),
        ("Sun 22-6", "Sun 22-6"),
        ("Fri 22-24; Sat 0-6", "Fri 22-6"),
        ("Fri 22-0", "Fri 22-24"),
        ("Fri 9-24; Sat 0-12", "Fri 9-24; Sat 0-12"),
        ("Fri 9-24; Sat 0-9", "Fri 9-24; Sat 0-9"),
        ("Fri 9-24; Sat 0-24; Sun 0-6", "Fri 9-24; Sat 0-24; Sun 0-6"),
        ("Fri 22-6; Sat 4-10", "Fri 22-10"),
        ("Mon 0-1, 23-1", "Mon 0-1, 23-1"),
    ],
)
def test_a_calendar_is_written_one_way_however_it_was_typed(text: str, canonical: str) -> None:
    assert notation(parse(text)) == canonical


def test_an_overnight_window_goes_on_into_the_next_morning() -> None:
    friday, saturday = 4, 5

    assert list(open_hours(parse("Fri 22-6"))) == [
        *((friday, hour) for hour in (22, 23)),
        *((saturday, hour) for hour in range(6)),
    ]
    assert list(open_hours(parse("Sun 23-1"))) == [(0, 0), (6, 23)]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "opens no hour of the week"),
        (" ; ", "opens no hour of the week"),
        ("9-18", "write Mon-Fri 9-18; Sat 22-6"),
        ("Mon", "write Mon-Fri 9-18; Sat 22-6"),
        ("Mon 9:00-18:00", "write Mon-Fri 9-18; Sat 22-6"),
        ("Mon 9-18 Tue 9-18", "write Mon-Fri 9-18; Sat 22-6"),
        ("Mo 9-18", "'mo' is not a day"),
        ("Mon-Foo 9-18", "'mon-foo' is not a day"),
        ("Mon,,Tue 9-18", "'' is not a day"),
        ("Mon 9", "'9' is not a span of whole hours"),
        ("Mon 9-18,", "'' is not a span of whole hours"),
        ("Mon 9-18-20", "'9-18-20' is not a span of whole hours"),
        ("Mon 24-6", "24-6: hours start at 0 to 23"),
        ("Mon 9-25", "9-25: hours start at 0 to 23"),
        ("Mon 9-" + "9" * 500, "is not a span of whole hours"),
        ("Mon ٩-١٨", "write Mon-Fri 9-18; Sat 22-6"),
        ("Mon 9-18\x00", "write Mon-Fri 9-18; Sat 22-6"),
        ("Mon 9-18;" * 300, "more than 2000 characters"),
    ],
)
def test_what_cannot_be_meant_is_refused_in_words(text: str, words: str) -> None:
    with pytest.raises(InvalidHours, match=re.escape(words)) as refused:
        parse(text)

    assert len(str(refused.value)) < 200


def test_a_refusal_quotes_the_beginning_of_what_was_typed() -> None:
    with pytest.raises(InvalidHours, match=f"'{'x' * 40}' is not days and their hours"):
        parse("x" * 1000)


@given(st.text(max_size=60))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        week = parse(text)
    except InvalidHours:
        return
    assert parse(notation(week)) == week


@pytest.mark.parametrize(
    ("hours", "now", "expected"),
    [
        (Hours(9, 17), "2026-11-24T08:59:59Z", "2026-11-24T09:00Z"),
        (Hours(9, 17), "2026-11-24T09:00Z", "2026-11-24T17:00Z"),
        (Hours(9, 17), "2026-11-24T17:00Z", "2026-11-25T00:00Z"),
        (Hours(22, 6), "2026-11-24T00:00Z", "2026-11-24T06:00Z"),
        (Hours(22, 6), "2026-11-24T06:00Z", "2026-11-24T22:00Z"),
        (Hours(22, 6), "2026-11-24T23:30Z", "2026-11-25T00:00Z"),
        (Hours(0, 24), "2026-11-24T12:00Z", "2026-11-25T00:00Z"),
        (Hours(5, 5), "2026-11-24T12:00Z", "2026-11-25T00:00Z"),
        # 24 November 2026 is a Tuesday.
        (Hours(week=parse("Tue 9-12, 14-18")), "2026-11-24T12:00Z", "2026-11-24T14:00Z"),
        (Hours(week=parse("Mon 22-6")), "2026-11-24T02:00Z", "2026-11-24T06:00Z"),
        (Hours(week=parse("Tue 22-6")), "2026-11-24T02:00Z", "2026-11-24T22:00Z"),
        (Hours(week=parse("Tue 22-6")), "2026-11-24T22:00Z", "2026-11-25T00:00Z"),
        (Hours(week=parse("Wed 9-18")), "2026-11-24T02:00Z", "2026-11-25T00:00Z"),
    ],
)
def test_the_next_change_is_an_opening_a_closing_or_the_days_end(
    hours: Hours, now: str, expected: str
) -> None:
    day = local_day(zone_named("UTC"), at(now))

    assert next_change(day, hours, at(now)) == at(expected)


# 8 March and 1 November 2026, when New York changes its clocks, are Sundays.
@pytest.mark.parametrize("hours", [Hours(2, 3), Hours(week=parse("Sun 2-3"))])
def test_the_hour_that_spring_skips_never_opens(hours: Hours) -> None:
    day = local_day(zone_named("America/New_York"), at("2026-03-08T06:00Z"))

    assert next_change(day, hours, at("2026-03-08T06:00Z")) == at("2026-03-09T04:00Z")


@pytest.mark.parametrize("hours", [Hours(1, 2), Hours(week=parse("Sun 1-2"))])
def test_the_hour_that_autumn_repeats_is_open_twice_over(hours: Hours) -> None:
    day = local_day(zone_named("America/New_York"), at("2026-11-01T04:30Z"))

    assert next_change(day, hours, at("2026-11-01T04:30Z")) == at("2026-11-01T05:00Z")
    assert next_change(day, hours, at("2026-11-01T05:00Z")) == at("2026-11-01T07:00Z")


def test_a_night_from_saturday_is_an_hour_shorter_in_spring_and_longer_in_autumn() -> None:
    hours, zone = Hours(week=parse("Sat 22-6")), zone_named("America/New_York")

    def closes(morning: str) -> datetime:
        return next_change(local_day(zone, at(morning)), hours, at(morning))

    assert closes("2026-03-08T05:00Z") == at("2026-03-08T10:00Z")  # 00:00 EST to 06:00 EDT: 5 h
    assert closes("2026-11-01T04:00Z") == at("2026-11-01T11:00Z")  # 00:00 EDT to 06:00 EST: 7 h


def test_a_half_hour_that_is_repeated_across_a_closing_opens_again() -> None:
    # Lord Howe falls back from 02:00 to 01:30: hour 1 lasts an hour and a half.
    zone, now = zone_named("Australia/Lord_Howe"), at("2026-04-04T14:15Z")
    day = local_day(zone, now)

    assert now.astimezone(zone).isoformat() == "2026-04-05T01:15:00+11:00"
    assert next_change(day, Hours(1, 2), now) == at("2026-04-04T15:30Z")


def shows_open(opened: set[tuple[int, int]], zone: ZoneInfo, instant: datetime) -> bool:
    """Read the wall clock and the wall calendar, and look the hour up in the calendar as written."""
    local = instant.astimezone(zone)
    return (local.weekday(), local.hour) in opened


@given(
    weeks,
    st.sampled_from(ZONES),
    # Both changes of most zones; Samoa left out a Friday in 2011.
    st.datetimes(datetime(2011, 1, 1), datetime(2012, 1, 10))  # UTC is put on it
    | st.datetimes(datetime(2026, 1, 1), datetime(2027, 1, 1)),
)
@example(parse("Fri 22-6"), "Pacific/Apia", datetime(2011, 12, 30, 9, 0))
@example(parse("Sun 2-3"), "America/New_York", datetime(2026, 3, 8, 6, 0))
def test_the_next_change_is_the_first_quarter_at_which_the_wall_clock_shows_another_answer(
    week: str, name: str, naive: datetime
) -> None:
    zone, now = zone_named(name), naive.replace(tzinfo=UTC)
    day, opened = local_day(zone, now), set(open_hours(week))

    changes_at = next_change(day, Hours(week=week), now)

    is_open = shows_open(opened, zone, now)
    assert Hours(week=week).is_open(day.date.weekday(), day.hour_at(now)) == is_open
    instant = now.replace(minute=now.minute // 15 * 15, second=0, microsecond=0)
    while (instant := instant + timedelta(minutes=15)) < changes_at:
        assert shows_open(opened, zone, instant) == is_open
    assert instant == changes_at
    assert changes_at == day.ends_at or shows_open(opened, zone, changes_at) != is_open


def test_the_modules_example_is_one() -> None:
    assert notation(parse(dayparting.EXAMPLE)) == dayparting.EXAMPLE


def test_the_open_spans_of_a_real_day_follow_its_clock() -> None:
    # New York springs forward at 02:00: the hour 2 is absent, and 1 and 3 are neighbours.
    day = local_day(zone_named("America/New_York"), at("2026-03-08T12:00-04:00"))

    assert open_spans(day, Hours(1, 4)) == ((at("2026-03-08T06:00Z"), at("2026-03-08T08:00Z")),)
    assert open_spans(day, Hours(22, 1)) == (
        (at("2026-03-08T05:00Z"), at("2026-03-08T06:00Z")),
        (at("2026-03-09T02:00Z"), at("2026-03-09T04:00Z")),
    )
    assert open_spans(day, Hours(2, 3)) == ()


@pytest.mark.parametrize(
    ("week", "spans"),
    [
        # 8 March is a Sunday: what other days do is not its matter, but their night is.
        ("Sun 1-4; Mon 6-7", [("06:00", "08:00")]),
        ("Sat 22-1; Sun 20-22", [("05:00", "06:00"), ("00:00", "02:00")]),
        ("Mon-Sat 2-24", []),
    ],
)
def test_the_open_spans_of_a_weekly_calendar_are_those_of_the_weekday(
    week: str, spans: list[tuple[str, str]]
) -> None:
    day = local_day(zone_named("America/New_York"), at("2026-03-08T12:00-04:00"))

    found = open_spans(day, Hours(week=parse(week)))

    assert [tuple(f"{end:%H:%M}" for end in span) for span in found] == spans
