"""A local day drawn as a strip: the hours that are allowed, the time that a campaign ran, and now."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from budgets.core import pacing
from budgets.core.periods import LocalDay

LABEL_EVERY = 3
"""Hours between two labels: nine of them fit a phone."""

Span = tuple[datetime, datetime]


@dataclass(frozen=True, slots=True, kw_only=True)
class Band:
    """A drawn span; `x` and `width` are percent of the strip's width."""

    x: str
    width: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Tick:
    """The beginning of a wall-clock hour; every third one has a label, and so has the day's end."""

    x: str
    label: str
    anchor: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Strip:
    """A strip, and in words what it shows. `now` and `now_label` are empty on other days.

    `odd` is a sentence about a day that has not 24 hours.
    """

    allowed: Sequence[Band]
    ran: Sequence[Band]
    ticks: Sequence[Tick]
    now: str
    now_anchor: str
    now_label: str
    allowed_words: str
    ran_words: str
    odd: str


def strip(
    day: LocalDay, zone: ZoneInfo, now: datetime, *, allowed: Sequence[Span], ran: Sequence[Span]
) -> Strip | None:
    """Draw the real day, of 23 or 25 hours where clocks change; ``None``: the zone skipped it."""
    length = day.ends_at - day.starts_at
    if not length:
        return None
    is_today = day.starts_at <= now < day.ends_at
    clock = Clock(day, zone)
    at = _percent(now - day.starts_at, length)
    return Strip(
        allowed=[_band(span, day) for span in allowed],
        ran=[_band(span, day) for span in ran],
        ticks=_ticks(day),
        now=at if is_today else "",
        now_anchor=_anchor(now - day.starts_at, length),
        now_label=f"now {now.astimezone(zone):%H:%M}" if is_today else "",
        allowed_words="all day"
        if list(allowed) == [(day.starts_at, day.ends_at)]
        else _spans_in_words(allowed, clock, None) or "at no hour",
        ran_words=_ran_words(ran, clock, day, now),
        odd=_odd(length, zone),
    )


class Clock:
    """Writes instants of a day as its clock shows them, with the offset where an hour comes twice."""

    def __init__(self, day: LocalDay, zone: ZoneInfo) -> None:
        self._zone = zone
        self._day = day
        offsets = {each.astimezone(zone).utcoffset() for each in (day.starts_at, day.ends_at)}
        self._changes = len(offsets) > 1

    def time(self, instant: datetime, *, seconds: bool = False) -> str:
        """Return '14:32'; the end of the day is 24:00."""
        if instant == self._day.ends_at:
            return "24:00"
        local = instant.astimezone(self._zone)
        shown = f"{local:%H:%M:%S}" if seconds else f"{local:%H:%M}"
        return f"{shown} {local:%Z}" if self._changes else shown


def lasted(span: timedelta) -> str:
    """Write how long something took: '5 h 32 min', '40 s'."""
    minutes, seconds = divmod(span // timedelta(seconds=1), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes} min" if minutes else f"{hours} h"
    return f"{minutes} min" if minutes else f"{seconds} s"


def _ran_words(ran: Sequence[Span], clock: Clock, day: LocalDay, now: datetime) -> str:
    if now < day.starts_at:
        return "the day has not begun"
    if not ran:
        return "not at all"
    is_running = ran[-1][1] == now < day.ends_at
    together = sum((end - start for start, end in ran), timedelta(0))
    return f"{_spans_in_words(ran, clock, now if is_running else None)} ({lasted(together)})"


def _spans_in_words(spans: Sequence[Span], clock: Clock, now: datetime | None) -> str:
    return ", ".join(
        f"{clock.time(start)}–{'now' if end == now else clock.time(end)}"  # noqa: RUF001  # a range's dash
        for start, end in spans
    )


def _odd(length: timedelta, zone: ZoneInfo) -> str:
    if length == timedelta(days=1):
        return ""
    return f"This day has {lasted(length)}: the clocks of {zone.key} change."


def _band(span: Span, day: LocalDay) -> Band:
    length = day.ends_at - day.starts_at
    return Band(
        x=_percent(span[0] - day.starts_at, length), width=_percent(span[1] - span[0], length)
    )


def _ticks(day: LocalDay) -> list[Tick]:
    length = day.ends_at - day.starts_at
    ticks = [
        Tick(
            x=_percent(slot.begins - day.starts_at, length),
            label=f"{slot.hour:02}" if slot.hour % LABEL_EVERY == 0 else "",
            anchor=_anchor(slot.begins - day.starts_at, length),
        )
        for slot in pacing.open_day(day, ()).slots
    ]
    return [*ticks, Tick(x="100%", label="24", anchor="end")]


def _anchor(offset: timedelta, length: timedelta) -> str:
    """Return which end of a label stands at its place, so that none leaves the strip."""
    if offset < length / 12:
        return "start"
    return "end" if offset > length * 11 / 12 else "middle"


def _percent(part: timedelta, whole: timedelta) -> str:
    return f"{100 * (part / whole):.4f}%"
