"""Going through brands, a bounded number a transaction: those that are due, or all of them.

The database is the queue. Several workers can drain it at once without a coordinator, and one that
is killed holds nobody up and loses nothing.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from django.db import OperationalError
from django.db.models import QuerySet

from budgets.models import Brand
from budgets.services import enforcement, rollover
from budgets.services.enforcement import Outcome, Trigger
from budgets.services.transactions import FAILURES, is_lock_timeout, settle

logger = logging.getLogger(__name__)

BATCH = 200
"""Brands a transaction: ingestion beside a pass then waits 45 ms at p99; 3,135 ms if it takes all."""


def drain(now: datetime) -> Outcome:
    """Look at every due brand, skipping what other workers hold."""
    outcome = Outcome()
    # The probe takes no lock: an idle pass costs one read of the index, however many brands exist.
    # In the queue's order, or PostgreSQL reads the whole table when its statistics are of yesterday.
    while Brand.objects.due(at=now).queued().values_list("pk").first():
        taken = _drain_once(now)
        outcome += taken
        if not taken.brands + taken.troubled:
            break  # what is left is in another worker's hands
    return outcome


def _drain_once(now: datetime) -> Outcome:
    """Go through the queue from its front to its end."""
    outcome = Outcome()
    last: tuple[datetime, int] | None = None
    while True:
        due = Brand.objects.due(at=now).queued(after=last)[:BATCH]
        batch = _Batch(due.select_for_update(no_key=True, skip_locked=True))
        outcome += _isolating(batch, Trigger.CLOCK, now=now)
        if len(batch.ids) < BATCH:
            return outcome
        last = batch.last


@dataclass(slots=True)
class _Batch:
    """Brands to look at together: a query that locks them, and those that it gave."""

    query: QuerySet[Brand]
    ids: list[int] = field(default_factory=list)
    last: tuple[datetime, int] | None = None

    def lock(self) -> list[int]:
        """Lock them. Keys first: a row that cannot be read must not hide which ones were taken."""
        rows = list(self.query.values_list("due_at", "pk"))
        self.ids = [pk for _, pk in rows]
        if rows:
            self.last = rows[-1]
        return self.ids


def sweep(now: datetime) -> Outcome:
    """Look at every brand, due or not: what raw SQL changed is found here. Counts what it corrected."""
    outcome = Outcome()
    for ids in batches(BATCH):
        batch = _Batch(Brand.objects.filter(pk__among=ids).locked(), ids)
        outcome += _isolating(batch, Trigger.SWEEP, now=now)
    return outcome


def batches(size: int) -> Iterator[list[int]]:
    """Yield the keys of all brands in order, `size` at a time."""
    last = 0
    while ids := list(_ids_after(last, size)):
        yield ids
        last = ids[-1]


def _ids_after(last: int, size: int) -> QuerySet[Brand, int]:
    brands = Brand.objects.filter(pk__gt=last).order_by("pk")
    return brands.values_list("pk", flat=True)[:size]


def _isolating(batch: _Batch, trigger: Trigger, *, now: datetime) -> Outcome:
    """Look at brands together; when that fails, at each alone, and name the culprit."""

    def together() -> Outcome:
        return _look_at(batch.lock(), trigger, now)

    try:
        return settle(together)
    except OperationalError as error:
        if not is_lock_timeout(error):
            raise  # the database's trouble, not a brand's
        logger.warning("somebody holds a brand; looking at the others: %s", error)
    except FAILURES:
        logger.exception("a batch of brands failed, going through them one by one")
    outcome = Outcome()
    for pk in sorted(batch.ids):
        outcome += _alone(pk, trigger, now)
    return outcome


def _alone(pk: int, trigger: Trigger, now: datetime) -> Outcome:
    """Look at one brand in a transaction of its own; a failure becomes its `trouble`."""
    brand = Brand.objects.filter(pk=pk).locked(waiting=False).values_list("pk", flat=True)
    try:
        return settle(lambda: _look_at(list(brand.all()), trigger, now))
    except OperationalError:
        raise
    except FAILURES as error:
        logger.exception("brand %s failed", pk)
        enforcement.note_troubles({pk: f"{type(error).__name__}: {error}"}, now)
        return Outcome(troubled=1)


def _look_at(ids: Sequence[int], trigger: Trigger, now: datetime) -> Outcome:
    brands = rollover.read(ids, now)
    # What time alone makes due is not written, so that no campaign of it is new.
    thoroughly = trigger is not Trigger.CLOCK
    return enforcement.look_at(brands, trigger=trigger, now=now, thoroughly=thoroughly)
