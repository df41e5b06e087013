"""Forgetting what has served: old deliveries with their attempts, and answers nobody can ask for.

The ledger and the log of changes are kept for ever: nothing here touches them.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import QuerySet

from budgets.models import IdempotentAnswer, WebhookDelivery

BATCH = 1000
"""Rows a transaction."""

BATCHES = 50
"""Batches a run: a backlog must not hold up the next pass for long; the next run goes on."""


def prune(now: datetime) -> int:
    """Delete settled deliveries older than `WEBHOOK_KEEP_DAYS` and expired answers; return how many.

    A delivery is as old as its last attempt. What is pending stays, however old. With nothing to
    forget it costs a look at an index of each.
    """
    until = now - timedelta(days=settings.WEBHOOK_KEEP_DAYS)
    return sum(
        _delete(rows)
        for rows in (
            WebhookDelivery.objects.settled(until).order_by("due_at"),
            IdempotentAnswer.objects.filter(expires_at__lte=now).order_by("expires_at"),
        )
    )


def _delete(rows: QuerySet[Any]) -> int:
    deleted = 0
    for _ in range(BATCHES):
        with transaction.atomic():
            # Whoever deletes what others may be asking for must not wait for them.
            locked = rows.select_for_update(skip_locked=True)
            ids = list(locked.values_list("pk", flat=True)[:BATCH])
            if not ids:
                break
            # What refers to them goes too; keys alone are read, a body may be long.
            rows.model._default_manager.filter(pk__among=ids).only("pk").delete()
        deleted += len(ids)
        if len(ids) < BATCH:
            break
    return deleted
