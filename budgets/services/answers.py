"""Do what a request asks for once, and answer its repetitions with the first answer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from django.db import IntegrityError, transaction

from budgets.models import IdempotentAnswer
from budgets.services.transactions import settle

FORGOTTEN_AT_ONCE = 20
"""Expired answers that a request with a key deletes on its way: more than it adds."""


@dataclass(frozen=True, slots=True)
class Stored:
    """An answer as it was given."""

    status: int
    body: str
    content_type: str


def once(
    api_key_id: int,
    idempotency_key: str,
    fingerprint: str,
    work: Callable[[], Stored],
    *,
    now: datetime,
    until: datetime,
) -> tuple[Stored | None, bool]:
    """Return the answer of `work`, and whether it was done now; ``None``: the key was reused.

    The answer is kept until `until`, in the transaction of `work`. What raises is not kept. A second
    request that comes meanwhile waits at the unique row.
    """

    def attempt() -> tuple[Stored | None, bool]:
        mine = IdempotentAnswer.objects.filter(api_key=api_key_id, idempotency_key=idempotency_key)
        mine.filter(expires_at__lte=now).delete()
        try:
            with transaction.atomic():
                row = IdempotentAnswer.objects.create(
                    api_key_id=api_key_id,
                    idempotency_key=idempotency_key,
                    fingerprint=fingerprint,
                    expires_at=until,
                )
        except IntegrityError:
            before = mine.get()
            if before.fingerprint != fingerprint:
                return None, False
            return Stored(before.status, before.body, before.content_type), False
        answer = work()
        row.status, row.body, row.content_type = answer.status, answer.body, answer.content_type
        row.save(update_fields=["status", "body", "content_type"])
        _forget(now)
        return answer, True

    return settle(attempt)


def _forget(now: datetime) -> None:
    old = IdempotentAnswer.objects.filter(expires_at__lte=now).order_by("expires_at")
    # Whoever deletes others' rows must not wait for them.
    ids = old.select_for_update(skip_locked=True).values_list("pk", flat=True)[:FORGOTTEN_AT_ONCE]
    IdempotentAnswer.objects.filter(pk__in=list(ids)).delete()
