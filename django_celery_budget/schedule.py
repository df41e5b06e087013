"""What beat is told to do with our tasks: its rows, as health and dashboard read them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

PREFIX = "budgets.tasks."
DEFAULT_INTERVAL = timedelta(seconds=60)
"""For a task without an entry, and for an entry that is no interval."""

PATIENCE = 3
"""Intervals without a run after which something is wrong: one is usual, two happen in a restart."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One row of beat's schedule."""

    name: str
    is_enabled: bool
    interval: timedelta
    last_run_at: datetime | None
    changed_at: datetime

    @property
    def patience(self) -> timedelta:
        """How long the task may stay away."""
        return PATIENCE * self.interval

    def silence(self, now: datetime) -> timedelta:
        """Return for how long the task was not sent; at first, since somebody edited the entry."""
        return now - (self.last_run_at or self.changed_at)


def entries() -> dict[str, Entry]:
    """Return the entries of our tasks, by short name; of several for one the most frequent."""
    from django_celery_beat.models import PeriodicTask

    found: dict[str, Entry] = {}
    rows = PeriodicTask.objects.filter(task__startswith=PREFIX).select_related("interval")
    for row in sorted(rows, key=lambda row: (row.enabled, -_interval(row.interval), row.pk)):
        found[row.task.removeprefix(PREFIX)] = Entry(
            name=row.name,
            is_enabled=row.enabled,
            interval=_interval(row.interval),
            last_run_at=row.last_run_at,
            changed_at=row.date_changed,
        )
    return found


def patience(known: dict[str, Entry], task: str) -> timedelta:
    """Return how long the task with this short name may stay away."""
    return known[task].patience if task in known else PATIENCE * DEFAULT_INTERVAL


def _interval(row: Any) -> timedelta:
    run_every: timedelta = row.schedule.run_every if row is not None else DEFAULT_INTERVAL
    return run_every
