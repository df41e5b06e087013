"""Local days of every zone: each instant lies in exactly one, and days follow without a gap."""

from __future__ import annotations

import zoneinfo
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from budgets.core.periods import (
    GRID,
    UTC_ZONE,
    LocalDay,
    UnknownZone,
    day_of,
    earliest_date,
    latest_date,
    local_day,
    month_end,
    month_start,
    next_month,
    zone_named,
    zone_or_utc,
)
from budgets.tests.builders import at

SECOND = timedelta(seconds=1)
HOUR = timedelta(hours=1)


def transitions(zone: ZoneInfo) -> Iterator[datetime]:
    """Yield the instants of 2026 to 2028 at which the zone's offset changes, to the second."""
    before = datetime(2026, 1, 1, tzinfo=UTC)
    while before.year < 2029:
        after = before + timedelta(days=7)
        if offset(zone, before) != offset(zone, after):
            low, high = before, after
            while high - low > SECOND:
                middle = low + (high - low) // 2
                if offset(zone, middle) == offset(zone, before):
                    low = middle
                else:
                    high = middle
            yield high.replace(microsecond=0)
        before = after


def offset(zone: ZoneInfo, instant: datetime) -> timedelta | None:
    return instant.astimezone(zone).utcoffset()


def assert_belongs(day: LocalDay, zone: ZoneInfo, now: datetime) -> None:
    local = now.astimezone(zone)
    assert day.starts_at <= now < day.ends_at, (zone, now)
    assert (day.date, day.hour_at(now)) == (local.date(), local.hour), (zone, now)


def test_around_every_clock_change_each_instant_has_one_day_and_one_hour() -> None:
    changes = 0
    for name in sorted(zoneinfo.available_timezones()):
        zone = zone_named(name)
        for change in transitions(zone):
            changes += 1
            for now in (change - SECOND, change, change + SECOND):
                day = local_day(zone, now)
                assert_belongs(day, zone, now)
                assert local_day(zone, day.ends_at).starts_at == day.ends_at, (zone, now)
                assert local_day(zone, day.starts_at - SECOND).ends_at == day.starts_at, (zone, now)

    assert changes > 1000


@pytest.mark.parametrize(
    ("zone", "day", "starts_at", "hours"),
    [
        # No 00:00 on these days.
        ("Africa/Cairo", "2026-04-24", "2026-04-23T22:00Z", 23),
        ("America/Havana", "2026-03-08", "2026-03-08T05:00Z", 23),
        ("America/Santiago", "2026-09-06", "2026-09-06T04:00Z", 23),
        ("Asia/Beirut", "2026-03-29", "2026-03-28T22:00Z", 23),
        ("Atlantic/Azores", "2026-03-29", "2026-03-29T01:00Z", 23),
        # Midnight or the hour before it comes twice.
        ("Africa/Cairo", "2026-10-29", "2026-10-28T21:00Z", 25),
        ("America/Havana", "2026-11-01", "2026-11-01T04:00Z", 25),
        ("America/Nuuk", "2026-10-24", "2026-10-24T01:00Z", 25),
        ("America/Santiago", "2026-04-04", "2026-04-04T03:00Z", 25),
        ("Asia/Beirut", "2026-10-24", "2026-10-23T21:00Z", 25),
        # Shifts that are not an hour.
        ("Australia/Lord_Howe", "2026-04-05", "2026-04-04T13:00Z", 24.5),
        ("Australia/Lord_Howe", "2026-10-04", "2026-10-03T13:30Z", 23.5),
        ("Antarctica/Troll", "2026-03-29", "2026-03-29T00:00Z", 22),
        ("Antarctica/Troll", "2026-10-25", "2026-10-24T22:00Z", 26),
        # Half and quarter hours.
        ("Asia/Kolkata", "2026-11-24", "2026-11-23T18:30Z", 24),
        ("Asia/Kathmandu", "2026-11-24", "2026-11-23T18:15Z", 24),
        ("Pacific/Chatham", "2026-11-24", "2026-11-23T10:15Z", 24),
        ("Pacific/Chatham", "2026-04-05", "2026-04-04T10:15Z", 25),
        ("Australia/Eucla", "2026-11-24", "2026-11-23T15:15Z", 24),
        ("America/New_York", "2026-03-08", "2026-03-08T05:00Z", 23),
        ("America/New_York", "2026-11-01", "2026-11-01T04:00Z", 25),
        # Samoa left this date out: it has no length.
        ("Pacific/Apia", "2011-12-30", "2011-12-30T10:00Z", 0),
        ("Pacific/Apia", "2011-12-31", "2011-12-30T10:00Z", 24),
        ("UTC", "2028-02-29", "2028-02-29T00:00Z", 24),
    ],
)
def test_a_day_begins_here_and_is_this_long(
    zone: str, day: str, starts_at: str, hours: float
) -> None:
    begins = at(starts_at)

    found = day_of(zone_named(zone), date.fromisoformat(day), begins - SECOND)

    assert found.starts_at == begins
    assert found.ends_at - found.starts_at == timedelta(hours=hours)


def test_each_instant_has_one_day_where_a_date_came_twice() -> None:
    # St. John's fell back from 00:01 to 23:01: a minute of the 29th, then the 28th again.
    zone, start = zone_named("America/St_Johns"), at("2006-10-28T02:00Z")
    for minutes in range(50 * 60):
        now = start + timedelta(minutes=minutes)
        day = local_day(zone, now)
        assert day.starts_at <= now < day.ends_at, now
        assert day.date == now.astimezone(zone).date(), now


def test_a_skipped_date_is_no_instants_day() -> None:
    zone, last = zone_named("Pacific/Apia"), at("2011-12-30T09:59:59Z")

    assert local_day(zone, last).date == date(2011, 12, 29)
    assert local_day(zone, last + SECOND).date == date(2011, 12, 31)


def test_the_skipped_hour_is_absent_and_the_repeated_one_lasts_twice_as_long() -> None:
    zone = zone_named("America/New_York")

    spring = local_day(zone, at("2026-03-08T12:00Z"))
    autumn = local_day(zone, at("2026-11-01T12:00Z"))

    assert [hour for _, hour in spring.hours] == [0, 1, *range(3, 24)]
    assert [hour for _, hour in autumn.hours] == list(range(24))
    assert autumn.hours[2][0] - autumn.hours[1][0] == 2 * HOUR


def test_every_offset_of_the_coming_years_lies_on_the_grid() -> None:
    instants = [datetime(2026, 1, 1, tzinfo=UTC) + timedelta(days=30 * step) for step in range(36)]
    off_grid = {
        name
        for name in zoneinfo.available_timezones()
        for instant in instants
        if (offset(ZoneInfo(name), instant) or timedelta(0)) % GRID
    }

    assert not off_grid


@pytest.mark.parametrize(
    "name",
    [
        "",
        " ",
        "Not/AZone",
        "../etc/passwd",
        "/etc/passwd",
        "Europe",
        "UTC\x00",
        "Europe/Berlin\n",
        "€",
    ],
)
def test_a_name_that_is_no_zone_is_refused_in_words(name: str) -> None:
    with pytest.raises(UnknownZone, match="is not a time zone; write an IANA name"):
        zone_named(name)


def test_where_a_zone_is_not_known_instants_are_told_in_utc() -> None:
    assert zone_or_utc("Asia/Tokyo") == ZoneInfo("Asia/Tokyo")
    assert zone_or_utc("Not/AZone") is UTC_ZONE


def test_no_zone_has_a_date_before_the_earliest_or_after_the_latest() -> None:
    zones = [ZoneInfo(name) for name in zoneinfo.available_timezones()]
    for hour in range(24):
        now = datetime(2026, 11, 24, hour, 30, tzinfo=UTC)
        dates = {now.astimezone(zone).date() for zone in zones}

        assert (earliest_date(now), latest_date(now)) == (min(dates), max(dates))


@pytest.mark.parametrize(
    ("day", "first", "last"),
    [
        ("2026-11-24", "2026-11-01", "2026-11-30"),
        ("2026-12-31", "2026-12-01", "2026-12-31"),
        ("2027-02-01", "2027-02-01", "2027-02-28"),
        ("2028-02-29", "2028-02-01", "2028-02-29"),
    ],
)
def test_a_month_lasts_from_its_first_to_the_day_before_the_next(
    day: str, first: str, last: str
) -> None:
    given = date.fromisoformat(day)

    assert (month_start(given), month_end(given)) == (
        date.fromisoformat(first),
        date.fromisoformat(last),
    )
    assert next_month(given) == month_end(given) + timedelta(days=1)
