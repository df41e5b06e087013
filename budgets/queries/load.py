"""How much there is to do, and how much was done lately: counts that never cost more as they grow."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from django.db import connection

from budgets.models import Brand, StatusChange, sets

COUNTED_UP_TO = 10_000
"""More due brands, and changes further back, are not counted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RecentChanges:
    """How many changes of state the log has of one cause and kind since some instant."""

    cause: str
    was_active: bool
    is_active: bool
    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Log:
    """The log of changes: the number of its newest row, and what was written lately."""

    newest: int
    recent: tuple[RecentChanges, ...]


def due_brands(now: datetime) -> int:
    """Count the brands that a pass would take at `now`, up to `COUNTED_UP_TO`."""
    # In the queue's order, or PostgreSQL may read the whole table for them.
    return Brand.objects.due(at=now).queued()[:COUNTED_UP_TO].count()


def log(since: datetime) -> Log:
    """Count the changes since an instant, among the newest `COUNTED_UP_TO`, by cause and kind."""
    # Written as SQL: the newest rows first, by their index, and only these are grouped.
    statement = (
        "SELECT cause, was_active, is_active,"  # noqa: S608  # names of ours
        " SUM(CASE WHEN at >= %s THEN 1 ELSE 0 END), MAX(id)"
        f" FROM (SELECT id, cause, was_active, is_active, at FROM {sets.name_of(StatusChange)}"
        f" ORDER BY id DESC LIMIT {COUNTED_UP_TO}) AS newest"
        " GROUP BY cause, was_active, is_active ORDER BY cause, was_active, is_active"
    )
    with connection.cursor() as cursor:
        cursor.execute(statement, [connection.ops.adapt_datetimefield_value(since)])
        rows = cursor.fetchall()
    return Log(
        newest=max((newest for *_, newest in rows), default=0),
        recent=tuple(
            RecentChanges(
                cause=cause, was_active=bool(was), is_active=bool(now_active), count=count
            )
            for cause, was, now_active, count, _ in rows
        ),
    )
