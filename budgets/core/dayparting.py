"""Dayparting: the local wall-clock hours in which a campaign may run, and when that changes.

Hours are the same every day, or a weekly calendar decides instead. Programs and people write a
calendar as `Mon-Fri 9-18; Sat 22-6`; stored and decided on is the *week* that this means: which
local hours of which local weekday are open, six hexadecimal digits a weekday from Monday on, the
highest bit for hour 0.
"""

import re
from collections.abc import Iterable, Iterator
from datetime import datetime
from functools import lru_cache
from typing import NamedTuple

from budgets.core.periods import LocalDay

WEEKDAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
"""In the order of `date.weekday()`."""

HOURS = 24
DIGITS = HOURS // 4
WEEK_DIGITS = DIGITS * len(WEEKDAYS)
"""The length of a week as it is stored."""

LONGEST_NOTATION = 2000
"""More than it takes to name every hour of the week by itself."""

EXAMPLE = "Mon-Fri 9-18; Sat 22-6"

Window = tuple[int, int]
"""A start (0-23) and an end (0-24, exclusive), whole local hours; see `Hours`."""


class InvalidHours(ValueError):
    """A weekly calendar that cannot be meant; the message says what would be right."""


class Hours(NamedTuple):
    """The local hours in which a campaign may run.

    Opens < closes: open in between. Opens > closes: open overnight. Opens = closes: open all day.
    That every day; but where there is a `week`, it decides instead.
    """

    opens: int = 0
    closes: int = HOURS
    week: str | None = None

    def is_open(self, weekday: int, hour: int) -> bool:
        """Tell whether the local `hour` (0-23) of the local `weekday` (0: Monday) is open."""
        if self.week is not None:
            day = self.week[weekday * DIGITS : (weekday + 1) * DIGITS]
            return bool(int(day, 16) & _bit(hour))
        if self.opens < self.closes:
            return self.opens <= hour < self.closes
        if self.opens > self.closes:
            return hour >= self.opens or hour < self.closes
        return True


def next_change(day: LocalDay, hours: Hours, now: datetime) -> datetime:
    """Return the first instant after `now` at which hours open or close, at most the day's end."""
    weekday = day.date.weekday()
    is_open_now = hours.is_open(weekday, day.hour_at(now))
    for begins, hour in day.hours:
        if begins > now and hours.is_open(weekday, hour) != is_open_now:
            return begins
    return day.ends_at


def open_spans(day: LocalDay, hours: Hours) -> tuple[tuple[datetime, datetime], ...]:
    """Return the spans of a real day (UTC, the end exclusive) in which hours are open."""
    weekday = day.date.weekday()
    ends = [*(begins for begins, _ in day.hours[1:]), day.ends_at]
    spans: list[tuple[datetime, datetime]] = []
    for (begins, hour), until in zip(day.hours, ends, strict=True):
        if not hours.is_open(weekday, hour):
            continue
        if spans and spans[-1][1] == begins:
            spans[-1] = (spans[-1][0], until)
        else:
            spans.append((begins, until))
    return tuple(spans)


def week_of(opened: Iterable[tuple[int, int]]) -> str:
    """Return the week in which just these pairs of weekday (0: Monday) and hour (0-23) are open."""
    days = [0] * len(WEEKDAYS)
    for weekday, hour in opened:
        days[weekday] |= _bit(hour)
    return "".join(f"{day:0{DIGITS}x}" for day in days)


def open_hours(week: str) -> Iterator[tuple[int, int]]:
    """Yield the pairs of weekday (0: Monday) and hour that are open, in the order of the week."""
    hours = Hours(week=week)
    for weekday in range(len(WEEKDAYS)):
        for hour in range(HOURS):
            if hours.is_open(weekday, hour):
                yield weekday, hour


def every_day(opens: int, closes: int) -> str:
    """Return the week in which each day has these hours."""
    hours, days = Hours(opens, closes), range(len(WEEKDAYS))
    return week_of((day, hour) for day in days for hour in range(HOURS) if hours.is_open(day, hour))


@lru_cache(maxsize=4096)
def parse(notation: str) -> str:
    """Return the week that a notation such as `Mon-Fri 9-12, 14-18; Sat 22-6` means.

    Days and hours are lists and ranges; letters may be of any case, a dash an en dash. A window
    that ends before it starts belongs to the day on which it starts, and ends in the morning
    after: `Fri 22-6` is open until Saturday, 6:00. One that ends where it starts is the whole day.
    What is named twice is open once. Raises `InvalidHours` with words for people; so it does when
    no hour is open, because what may never run is paused by the operator's switch, which says so.
    """
    if len(notation) > LONGEST_NOTATION:
        raise InvalidHours(f"has more than {LONGEST_NOTATION} characters; that cannot be meant")
    entries = [entry for part in notation.split(";") if (entry := part.strip())]
    opened = [hour for entry in entries for hour in _opened_by(entry)]
    if not opened:
        raise InvalidHours(NEVER_OPEN)
    return week_of(opened)


NEVER_OPEN = (
    "opens no hour of the week; open one, or pause the campaign with its switch if it is not to run"
)


@lru_cache(maxsize=4096)
def notation(week: str) -> str:
    """Write a week the one canonical way, which `parse` reads as the same week.

    Days with the same windows stand together, in the order of the first of them.
    """
    days_of: dict[tuple[Window, ...], list[int]] = {}
    for day, windows in enumerate(_windows(week)):
        if windows:
            days_of.setdefault(windows, []).append(day)
    return "; ".join(
        f"{_days_in_words(days)} {', '.join(f'{start}-{end}' for start, end in windows)}"
        for windows, days in days_of.items()
    )


_ENTRY = re.compile(r"([a-z][a-z\s,-]*?)\s*(\d[\d\s,-]*)", re.ASCII)
_RANGE = re.compile(r"([a-z]+)(?:\s*-\s*([a-z]+))?", re.ASCII)
_WINDOW = re.compile(r"(\d{1,2})\s*-\s*(\d{1,2})", re.ASCII)
_DAY_NUMBERS = {name.lower(): number for number, name in enumerate(WEEKDAYS)}


def _bit(hour: int) -> int:
    return 1 << HOURS - 1 - hour


def _opened_by(entry: str) -> Iterator[tuple[int, int]]:
    """Yield the hours that one entry opens: its windows, on each of its days."""
    found = _ENTRY.fullmatch(entry.lower().replace("–", "-"))  # noqa: RUF001  # a range's dash
    if not found:
        raise InvalidHours(f"{_shown(entry)} is not days and their hours; write {EXAMPLE}")
    days, windows = found.groups()
    # Read once: a list of windows for a list of days.
    read = [_window(part.strip()) for part in windows.split(",")]
    for part in days.split(","):
        for day in _days(part.strip()):
            for start, end in read:
                yield from _hours_from(day, start, end)


def _days(text: str) -> list[int]:
    found = _RANGE.fullmatch(text)
    names = [name for name in found.groups() if name] if found else []
    if not names or any(name not in _DAY_NUMBERS for name in names):
        raise InvalidHours(
            f"{_shown(text)} is not a day or a range of days; write Mon, Tue, Wed, Thu, Fri, Sat, "
            "Sun or Mon-Fri"
        )
    first, last = _DAY_NUMBERS[names[0]], _DAY_NUMBERS[names[-1]]
    # Sat-Mon goes on over the end of the week.
    return [(first + at) % len(WEEKDAYS) for at in range((last - first) % len(WEEKDAYS) + 1)]


def _window(text: str) -> Window:
    found = _WINDOW.fullmatch(text)
    if not found:
        raise InvalidHours(f"{_shown(text)} is not a span of whole hours; write 9-18")
    start, end = map(int, found.groups())
    if start >= HOURS or end > HOURS:
        raise InvalidHours(f"{text}: hours start at 0 to 23 and end at 0 to 24")
    return start, end


def _hours_from(day: int, start: int, end: int) -> Iterator[tuple[int, int]]:
    if start == end:
        start, end = 0, HOURS
    length = (end - start) % HOURS or HOURS
    for hour in range(start, start + length):
        yield (day + hour // HOURS) % len(WEEKDAYS), hour % HOURS


def _windows(week: str) -> list[tuple[Window, ...]]:
    """Return the windows that start on each weekday, those that go on after midnight in one piece."""
    days = [_windows_within(week, weekday) for weekday in range(len(WEEKDAYS))]
    for weekday, evening in enumerate(days):
        morning = days[(weekday + 1) % len(WEEKDAYS)]
        # An end at or after the start would be read as another window.
        if _meet_at_midnight(evening, morning) and morning[0][1] < evening[-1][0]:
            evening[-1] = (evening[-1][0], morning.pop(0)[1])
    return [tuple(windows) for windows in days]


def _meet_at_midnight(evening: list[Window], morning: list[Window]) -> bool:
    return bool(evening and morning) and (evening[-1][1], morning[0][0]) == (HOURS, 0)


def _windows_within(week: str, weekday: int) -> list[Window]:
    """Return the windows of a weekday between its midnights."""
    hours, windows = Hours(week=week), list[Window]()
    for hour in range(HOURS):
        if not hours.is_open(weekday, hour):
            continue
        if windows and windows[-1][1] == hour:
            windows[-1] = (windows[-1][0], hour + 1)
        else:
            windows.append((hour, hour + 1))
    return windows


def _days_in_words(days: list[int]) -> str:
    """Write weekdays in order, neighbours as a range."""
    runs: list[list[int]] = []
    for day in days:
        if runs and runs[-1][-1] == day - 1:
            runs[-1].append(day)
        else:
            runs.append([day])
    names = [[WEEKDAYS[day] for day in run] for run in runs]
    return ",".join(run[0] if len(run) == 1 else f"{run[0]}-{run[-1]}" for run in names)


def _shown(text: str) -> str:
    return repr(text[:40])
