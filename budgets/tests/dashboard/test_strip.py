"""A day is drawn as long as it is, also where clocks change."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from budgets.core import dayparting, periods
from budgets.core.dayparting import Hours
from budgets.core.periods import LocalDay
from budgets.dashboard.pages import strip as page
from budgets.dashboard.pages.strip import Strip, lasted
from budgets.tests.builders import at

BERLIN = ZoneInfo("Europe/Berlin")
SPRING, AUTUMN, PLAIN = date(2026, 3, 29), date(2026, 10, 25), date(2026, 11, 24)
LATER = at("2027-01-01T00:00Z")


def day_of(day: date, zone: ZoneInfo = BERLIN) -> LocalDay:
    return periods.day_of(zone, day, LATER)


def draw(day: date, now: datetime = LATER, hours: Hours = Hours(), **fields: object) -> Strip:  # noqa: B008  # a tuple
    local = day_of(day)
    drawn = page.strip(
        local,
        BERLIN,
        now,
        **{"allowed": dayparting.open_spans(local, hours), "ran": [], **fields},  # type: ignore[arg-type]  # by name
    )
    assert drawn
    return drawn


@pytest.mark.parametrize(
    ("day", "length", "ticks"), [(SPRING, "23 h", 24), (PLAIN, "", 25), (AUTUMN, "25 h", 26)]
)
def test_the_strip_has_the_hours_of_the_day(day: date, length: str, ticks: int) -> None:
    drawn = draw(day)

    assert len(drawn.ticks) == ticks
    assert drawn.odd == (
        f"This day has {length}: the clocks of Europe/Berlin change." if length else ""
    )
    assert (drawn.ticks[0].x, drawn.ticks[-1].x) == ("0.0000%", "100%")


def test_an_hour_that_comes_twice_is_twice_as_wide_and_one_that_is_skipped_is_absent() -> None:
    night = Hours(2, 3)

    assert [band.width for band in draw(PLAIN, hours=night).allowed] == ["4.1667%"]
    assert [band.width for band in draw(AUTUMN, hours=night).allowed] == ["8.0000%"]
    assert draw(SPRING, hours=night).allowed == []
    assert draw(SPRING, hours=night).allowed_words == "at no hour"
    assert draw(AUTUMN, hours=night).allowed_words == "02:00 CEST–03:00 CET"  # noqa: RUF001  # a range's dash


def test_hours_over_midnight_are_two_spans_and_all_of_them_is_all_day() -> None:
    drawn = draw(PLAIN, hours=Hours(22, 6))

    assert [(band.x, band.width) for band in drawn.allowed] == [
        ("0.0000%", "25.0000%"),
        ("91.6667%", "8.3333%"),
    ]
    assert drawn.allowed_words == "00:00–06:00, 22:00–24:00"  # noqa: RUF001  # a range's dash
    assert draw(PLAIN).allowed_words == "all day"


def test_a_weekly_calendar_shows_by_itself() -> None:
    week = dayparting.parse("Tue 9-12, 14-18; Sat 22-6")

    assert draw(PLAIN, hours=Hours(week=week)).allowed_words == "09:00–12:00, 14:00–18:00"  # noqa: RUF001
    assert draw(PLAIN + timedelta(days=1), hours=Hours(week=week)).allowed_words == "at no hour"


def test_now_is_marked_on_its_own_day_alone() -> None:
    noon = at("2026-11-24T12:00+01:00")

    today = draw(PLAIN, noon, ran=[(at("2026-11-24T09:30+01:00"), noon)])

    assert (today.now, today.now_label, today.now_anchor) == ("50.0000%", "now 12:00", "middle")
    assert today.ran_words == "09:30–now (2 h 30 min)"  # noqa: RUF001  # a range's dash
    assert draw(PLAIN).now == ""
    assert draw(PLAIN).ran_words == "not at all"
    assert draw(PLAIN + timedelta(days=1), noon).ran_words == "the day has not begun"


@pytest.mark.parametrize(("hour", "anchor"), [(0, "start"), (12, "middle"), (23, "end")])
def test_no_label_leaves_the_strip(hour: int, anchor: str) -> None:
    now = datetime(2026, 11, 24, hour, 30, tzinfo=BERLIN)

    assert draw(PLAIN, now).now_anchor == anchor


def test_a_day_that_a_zone_skipped_is_not_drawn() -> None:
    apia = ZoneInfo("Pacific/Apia")
    skipped = day_of(date(2011, 12, 30), apia)

    assert page.strip(skipped, apia, LATER, allowed=[], ran=[]) is None


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "0 s"),
        (40, "40 s"),
        (60, "1 min"),
        (3600, "1 h"),
        (5 * 3600 + 32 * 60 + 9, "5 h 32 min"),
    ],
)
def test_durations_are_written_to_the_minute(seconds: int, words: str) -> None:
    assert lasted(timedelta(seconds=seconds)) == words
