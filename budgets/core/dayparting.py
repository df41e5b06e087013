"""Dayparting: the local wall-clock hours in which a campaign may run, and when that changes."""

from datetime import datetime

from budgets.core.periods import LocalDay


def is_open(start_hour: int, end_hour: int, hour: int) -> bool:
    """Tell whether local `hour` (0-23) lies in the window from `start_hour` to `end_hour` (exclusive).

    Start < end: open in between. Start > end: open overnight. Start = end: open all day.
    """
    if start_hour < end_hour:
        return start_hour <= hour < end_hour
    if start_hour > end_hour:
        return hour >= start_hour or hour < end_hour
    return True


def next_change(day: LocalDay, start_hour: int, end_hour: int, now: datetime) -> datetime:
    """Return the first instant after `now` at which the window opens or closes, at most the day's end."""
    is_open_now = is_open(start_hour, end_hour, day.hour_at(now))
    for begins, hour in day.hours:
        if begins > now and is_open(start_hour, end_hour, hour) != is_open_now:
            return begins
    return day.ends_at
