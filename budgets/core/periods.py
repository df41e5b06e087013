"""Local days: which date it is for a brand, when that date begins and ends, and its hours.

Every instant is an aware ``datetime`` in UTC; dates and hours are local to an IANA zone. A local day
has 23, 24 or 25 hours (other lengths exist: Lord Howe shifts by 30 minutes, Troll by two hours).
"""

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

GRID = timedelta(minutes=15)
"""Every zone's offset and every change of one is a multiple of this (tzdata, 1990 onwards)."""

CLOCK_SKEW = timedelta(minutes=5)
"""How far the clocks of two machines may differ before we believe that time went back."""

EASTERNMOST = timedelta(hours=14)
"""Kiribati is this far ahead of UTC: no local date anywhere is later …"""

WESTERNMOST = timedelta(hours=12)
"""… and Baker Island this far behind: none is earlier."""

UTC_ZONE = ZoneInfo("UTC")


class UnknownZone(ValueError):
    """The name is not an IANA time zone."""


@dataclass(frozen=True, slots=True)
class LocalDay:
    """One calendar day of a zone, from `starts_at` to `ends_at` (exclusive), both UTC.

    `hours` are the instants at which a local wall-clock hour begins, with that hour (0-23), in
    order of time: an hour that spring skips is absent, one that autumn repeats continues or returns.
    """

    date: date
    starts_at: datetime
    ends_at: datetime
    hours: tuple[tuple[datetime, int], ...]

    def hour_at(self, now: datetime) -> int:
        """Return the local wall-clock hour (0-23) at `now`, an instant of this day."""
        return next(hour for begins, hour in reversed(self.hours) if begins <= now)


def zone_named(name: str) -> ZoneInfo:
    """Return the IANA zone `name`; raise `UnknownZone` with words for people."""
    # An absolute path or "..", an empty name and a directory each raise something else.
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise UnknownZone(
            f"{name!r} is not a time zone; write an IANA name such as Europe/Berlin"
        ) from None


def zone_or_utc(name: str) -> ZoneInfo:
    """Return the IANA zone `name`; UTC where there is none, for pages that must show an instant."""
    try:
        return zone_named(name)
    except UnknownZone:
        return UTC_ZONE


def local_day(zone: ZoneInfo, now: datetime) -> LocalDay:
    """Return the day of `zone` that `now` belongs to."""
    return day_of(zone, now.astimezone(zone).date(), now)


@lru_cache(maxsize=4096)
def local_day_named(name: str, now: datetime) -> tuple[ZoneInfo, LocalDay]:
    """Return the zone `name` and its day that `now` belongs to; brands share both by the thousand.

    Raises `UnknownZone` with words for people.
    """
    zone = zone_named(name)
    return zone, local_day(zone, now)


def day_of(zone: ZoneInfo, day: date, now: datetime) -> LocalDay:
    """Return the calendar day `day` of `zone`; `now` tells two midnights of one day apart."""
    ends_at = _first_instant(zone, day + timedelta(days=1))
    if ends_at <= now:  # St. John's once fell back from 00:01: the date came twice
        ends_at = _first_instant(zone, day + timedelta(days=1), fold=1)
    return _day(zone, day, ends_at)


def earliest_date(now: datetime) -> date:
    """Return the earliest local date that it is anywhere at `now`."""
    return (now - WESTERNMOST).date()


def latest_date(now: datetime) -> date:
    """Return the latest local date that it is anywhere at `now`."""
    return (now + EASTERNMOST).date()


def month_start(day: date) -> date:
    """Return the first date of the calendar month of `day`."""
    return day.replace(day=1)


def next_month(day: date) -> date:
    """Return the first date of the calendar month after that of `day`."""
    return month_start(month_start(day) + timedelta(days=31))


def month_end(day: date) -> date:
    """Return the last date of the calendar month of `day`."""
    return next_month(day) - timedelta(days=1)


@lru_cache(maxsize=4096)
def _day(zone: ZoneInfo, day: date, ends_at: datetime) -> LocalDay:
    starts_at = _first_instant(zone, day)
    hours: list[tuple[datetime, int]] = []
    instant = starts_at
    while instant < ends_at:
        hour = instant.astimezone(zone).hour
        if not hours or hours[-1][1] != hour:
            hours.append((instant, hour))
        instant += GRID
    return LocalDay(day, starts_at, ends_at, tuple(hours))


def _first_instant(zone: ZoneInfo, day: date, fold: int = 0) -> datetime:
    # Back to UTC at once: arithmetic on local datetimes is wrong across a clock change. Where the
    # day has no 00:00 (Cairo, Havana in spring), this is the instant of the change itself.
    return datetime.combine(day, time.min.replace(fold=fold), tzinfo=zone).astimezone(UTC)
