"""Events to record, and what the ledger must have of them afterwards."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from datetime import date, datetime, timedelta

from budgets.core import money
from budgets.management.bench.seed import SEED_AT, TODAY
from budgets.services import ingestion
from budgets.services.ingestion import SpendEvent

RECORDED_AT = SEED_AT + timedelta(minutes=5)


def events(
    count: int, campaigns: Sequence[int], *, label: str, day: date = TODAY
) -> list[SpendEvent]:
    """Return small amounts of `campaigns` in no order, each with an id of its own."""
    dice = random.Random(label)  # noqa: S311  # the same events in every run
    return [
        SpendEvent(
            campaign_id=dice.choice(campaigns),
            amount=f"0.{dice.randrange(1, 100):02}",
            date=day,
            external_id=f"{label}-{number:08}",
        )
        for number in range(count)
    ]


def in_batches(found: Sequence[SpendEvent], size: int) -> Iterator[Sequence[SpendEvent]]:
    """Cut events into batches."""
    for start in range(0, len(found), size):
        yield found[start : start + size]


def micros(found: Sequence[SpendEvent]) -> int:
    """Return the sum of events in micro-units."""
    return sum(money.parse_micros(event.amount) for event in found)


def record(found: Sequence[SpendEvent], size: int, source: str, now: datetime = RECORDED_AT) -> int:
    """Record events the product's way, batch by batch; return how many there were."""
    for batch in in_batches(found, size):
        ingestion.record(batch, source=source, now=now)
    return len(found)
