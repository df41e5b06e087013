"""A disk without room: what is refused, what stays, and what happens when there is room again."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal

import pytest
from django.db import connection

from budgets.models import Campaign, Spend
from budgets.services import reconciliation
from budgets.tests.api.programs import Program
from budgets.tests.builders import TODAY, totals

pytestmark = pytest.mark.django_db(transaction=True, serialized_rollback=True)

EVENTS = 200


@contextmanager
def full_disk(room: int) -> Iterator[None]:
    """Let the database file grow by so many pages and no further."""
    with connection.cursor() as cursor:
        pages = cursor.execute("PRAGMA page_count").fetchone()[0]
        most = cursor.execute("PRAGMA max_page_count").fetchone()[0]
        cursor.execute(f"PRAGMA max_page_count = {pages + room}")
    try:
        yield
    finally:
        with connection.cursor() as cursor:
            cursor.execute(f"PRAGMA max_page_count = {most}")


def report(program: Program, tents: Campaign, batch: int) -> int:
    """Send a batch of events of a cent each; return the status."""
    events = [
        {
            "id": f"{batch}-{number} {'x' * 150}",
            "campaign": tents.pk,
            "amount": "0.01",
            "date": TODAY.isoformat(),
        }
        for number in range(EVENTS)
    ]
    return program.post("/spend", {"source": "s", "events": events}).status


def test_a_full_disk_refuses_and_loses_nothing_and_needs_no_hand_afterwards(
    program: Program, tents: Campaign
) -> None:
    if connection.vendor != "sqlite":
        pytest.skip("only SQLite can be told how large its file may become")
    with full_disk(room=60):
        statuses = [report(program, tents, batch) for batch in range(8)]

    acknowledged = statuses.count(200)
    assert statuses == [200] * acknowledged + [503] * (8 - acknowledged)
    assert 0 < acknowledged < 8
    assert Spend.objects.count() == EVENTS * acknowledged
    assert totals(tents)[0] == Decimal("0.01") * EVENTS * acknowledged

    assert [report(program, tents, batch) for batch in range(8)] == [200] * 8
    assert Spend.objects.count() == EVENTS * 8
    assert reconciliation.check() == []
