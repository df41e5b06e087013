"""What the database knows of our health. `budgets.health` asks, and says it in words."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cache

from django.db import DatabaseError, connection
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.recorder import MigrationRecorder
from django.db.models import Count, Exists, F, Min, OuterRef, Q

from budgets.core import periods
from budgets.models import (
    AlertMessage,
    AlertRecipient,
    Brand,
    PassRecord,
    Spend,
    WebhookDelivery,
    WebhookEndpoint,
)
from budgets.services.access import Sight

COUNTED_UP_TO = 10_000
"""Uncounted rows beyond this are "or more": the answer must not cost more as it gets worse."""

SHOWN_ROWS = 1000
SHOWN_BRANDS = SHOWN_RECEIVERS = 5
"""Brands that are named as waiting, found among so many of their rows; and receivers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PassAge:
    """When a periodic job last came to its end, and how long it may stay away."""

    name: str
    at: datetime | None
    age: timedelta | None
    patience: timedelta
    counts: Mapping[str, int] = field(default_factory=dict)
    """What that run did."""

    @property
    def is_late(self) -> bool:
        """Whether it stayed away too long, or never came."""
        return self.age is None or self.age > self.patience


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """Rows of the ledger that no total contains though their day has come."""

    count: int
    oldest: datetime | None
    brands: tuple[str, ...] = ()
    """Names of the brands, of those that who asks sees, whose rows wait longest."""

    @property
    def is_capped(self) -> bool:
        """Whether there may be more than `count`."""
        return self.count >= COUNTED_UP_TO


@dataclass(frozen=True, slots=True, kw_only=True)
class Overdue:
    """Deliveries whose time has come and that nobody sent; `oldest` is when the first was due.

    `pending` are all that are still to be sent, those that wait for their next attempt included.
    """

    count: int
    oldest: datetime | None
    pending: int = 0
    failing: tuple[str, ...] = ()
    """Receivers of some of them that took nothing lately: they are asked one delivery at a time."""


def answer() -> None:
    """Have the database answer at all."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
        cursor.fetchone()


def pass_records() -> dict[str, PassRecord]:
    """Return the last completed run of every periodic job, by name."""
    return {record.name: record for record in PassRecord.objects.all()}


def pass_ages(
    records: Mapping[str, PassRecord], patience: Mapping[str, timedelta], now: datetime
) -> list[PassAge]:
    """Return the age of each job that `patience` names."""
    ages = []
    for name, allowed in patience.items():
        at = records[name].at if name in records else None
        age = None if at is None else now - at
        counts = records[name].counts if name in records else {}
        ages.append(PassAge(name=name, at=at, age=age, patience=allowed, counts=counts))
    return ages


def waiting(now: datetime, sight: Sight) -> Waiting:
    """Count the uncounted rows that a pass should have counted, up to `COUNTED_UP_TO`.

    A row dated ahead of its brand's day waits rightly: in Los Angeles it may still be yesterday.
    """
    until = periods.latest_date(now)
    rows = (
        Spend.objects.countable(until=until)
        .annotate(brand_day=F("campaign__brand__spend_day"))
        .order_by("date", "pk")
    )
    late = Q(date__lte=F("brand_day"))
    found = rows[:COUNTED_UP_TO].aggregate(
        count=Count("pk", filter=late), oldest=Min("created_at", filter=late)
    )
    if not found["count"]:
        return Waiting(count=0, oldest=None)
    longest = sight.brands().filter(
        campaigns__spends__in=rows.filter(late).values("pk")[:SHOWN_ROWS]
    )
    names = longest.order_by("pk").values_list("name", flat=True).distinct()[:SHOWN_BRANDS]
    return Waiting(count=found["count"], oldest=found["oldest"], brands=tuple(names))


def is_any_troubled() -> bool:
    """Tell whether there is a brand that the last pass could not process."""
    return Brand.objects.troubled().exists()


def troubled_brands(limit: int, sight: Sight) -> list[tuple[str, str]]:
    """Return name and trouble of the first brands in `sight` that the last pass could not process."""
    brands = sight.brands().troubled().order_by("pk")
    return list(brands.values_list("name", "trouble")[:limit])


def overdue_deliveries(at: datetime) -> Overdue:
    """Count the deliveries that were due at `at` and are not sent, up to `COUNTED_UP_TO`."""
    # In the order in which they are due: those that are overdue come first.
    waiting = WebhookDelivery.objects.pending().filter(endpoint__is_enabled=True).order_by("due_at")
    found = waiting[:COUNTED_UP_TO].aggregate(
        pending=Count("pk"), count=Count("pk", filter=Q(due_at__lte=at)), oldest=Min("due_at")
    )
    if not found["count"]:
        return Overdue(count=0, oldest=None, pending=found["pending"])
    theirs = WebhookDelivery.objects.due(at).filter(endpoint=OuterRef("pk"))
    failing = WebhookEndpoint.objects.enabled().filter(Exists(theirs), failures__gt=0)
    return Overdue(
        count=found["count"],
        oldest=found["oldest"],
        pending=found["pending"],
        failing=tuple(map(str, failing.order_by("pk")[:SHOWN_RECEIVERS])),
    )


def overdue_mails(at: datetime) -> tuple[int, datetime | None, str]:
    """Return how many mails were written before `at` and are not sent, since when, and why the first."""
    waiting = AlertMessage.objects.pending().filter(created_at__lte=at).order_by("created_at", "pk")
    found = waiting[:COUNTED_UP_TO].aggregate(count=Count("pk"), oldest=Min("created_at"))
    if not found["count"]:
        return 0, None, ""
    first = waiting.exclude(error="").values_list("error", flat=True).first()
    return found["count"], found["oldest"], first or ""


def somebody_is_told_by_mail() -> bool:
    """Tell whether there is anybody to write to."""
    return AlertRecipient.objects.enabled().exists()


def pending_migrations() -> list[str]:
    """Return the migrations of this code that the database has not seen, as 'app.name'."""
    recorder = MigrationRecorder(connection)
    try:
        # Its own method looks first whether the table is there, in another question.
        applied = set(recorder.migration_qs.values_list("app", "name"))
    except DatabaseError:
        if recorder.has_table():
            raise
        applied = set()
    return sorted(f"{app}.{name}" for app, name in _migrations() if (app, name) not in applied)


@cache
def _migrations() -> Iterable[tuple[str, str]]:
    # Files of the running code do not change: reading all of them takes a tenth of a second.
    return tuple(MigrationLoader(None).graph.nodes)
