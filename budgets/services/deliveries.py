"""Sending what the outbox holds: at least once, with growing waits, nobody delayed by another's receiver.

The database is the queue. A sender takes deliveries by moving `due_at` to the end of a lease, commits,
and sends without a lock or a transaction; whatever a killed sender held comes due again by itself.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import Count, Exists, F, OuterRef

from budgets.models import (
    DeliveryState,
    WebhookAttempt,
    WebhookDelivery,
    WebhookEndpoint,
    WebhookEvent,
)
from budgets.services import outbound, signatures, webhooks
from budgets.services.outbound import Reply
from budgets.services.runs import Run
from budgets.services.signatures import SecretLost

logger = logging.getLogger(__name__)

WAITS = (
    timedelta(seconds=5),
    timedelta(minutes=5),
    timedelta(minutes=30),
    timedelta(hours=2),
    timedelta(hours=5),
    timedelta(hours=10),
    timedelta(hours=14),
    timedelta(hours=20),
    timedelta(hours=24),
)
"""After each failed attempt, as the Standard Webhooks specification has it: ten within 76 hours."""

ATTEMPTS = len(WAITS) + 1
LONGEST_WAIT = WAITS[-1]

LEASE = timedelta(minutes=2)
"""How long a sender holds a delivery: an exchange takes 10 s at most, looking a name up some 30 s."""

THREADS = 64
IN_FLIGHT = 8
"""Deliveries of one endpoint at once, of all senders together; one whose last attempt failed gets 1."""

CLAIMING = timedelta(seconds=4)
"""How long a run goes on taking deliveries: less than beat's interval."""

GONE = 410

Send = Callable[[str, Sequence[tuple[str, str]], bytes], Reply]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Parcel:
    """A delivery in our hands, and where it goes. `attempt` counts from 1."""

    delivery_id: int
    endpoint_id: int
    event: str
    attempt: int
    at: datetime
    url: str
    headers: Sequence[tuple[str, str]]
    body: bytes
    error: str = ""


def deliver(
    now: datetime, *, send: Send = outbound.post, claiming: timedelta = CLAIMING
) -> dict[str, int]:
    """Send what is due, for as long as `claiming`, and wait for the answers; return counts.

    May run several times at once. `now` is when it begins; later instants are measured from it.
    """
    run = Run(now, claiming)
    counts = {"sent": 0, "delivered": 0}
    running: dict[Future[Reply], _Parcel] = {}
    with ThreadPoolExecutor(THREADS, thread_name_prefix="webhook") as pool:
        while True:
            if run.takes_more:
                for parcel in _claim(run.instant, THREADS - len(running)):
                    running[pool.submit(_sent, parcel, send)] = parcel
            if not running:
                return counts
            # A second, so that what comes due meanwhile does not wait for a slow receiver.
            done, _ = wait(running, timeout=1, return_when=FIRST_COMPLETED)
            replies = [(running.pop(future), _reply_of(future)) for future in done]
            counts["sent"] += len(replies)
            counts["delivered"] += sum(reply.is_success for _, reply in replies)
            _finish(replies, run.instant)


def _claim(now: datetime, room: int) -> list[_Parcel]:
    """Take due deliveries, a few of each endpoint, and commit that they are ours for a while."""
    if room <= 0 or not WebhookDelivery.objects.due(now).exists():
        return []
    due = WebhookDelivery.objects.due(now).filter(endpoint=OuterRef("pk"))
    with transaction.atomic():
        # The endpoint's row is the mutex of its deliveries. Those that answer come first.
        endpoints = list(
            WebhookEndpoint.objects.enabled()
            .filter(Exists(due))
            .order_by("failures", "pk")
            .select_for_update(no_key=True, skip_locked=True)
        )
        taken: list[tuple[WebhookEndpoint, WebhookDelivery]] = []
        for endpoint, free in zip(endpoints, _free(endpoints, now), strict=True):
            rows = WebhookDelivery.objects.due(now).filter(endpoint=endpoint)
            most = max(min(free, room - len(taken)), 0)
            taken += [(endpoint, row) for row in rows.order_by("due_at", "pk")[:most]]
        WebhookDelivery.objects.filter(pk__among=[row.pk for _, row in taken]).update(
            is_sending=True, due_at=now + LEASE, attempts=F("attempts") + 1
        )
    if not endpoints:
        webhooks.cancel_strays()
    return [_parcel(endpoint, row, now) for endpoint, row in taken]


def _free(endpoints: Sequence[WebhookEndpoint], now: datetime) -> list[int]:
    """Return how many deliveries of each endpoint may be taken."""
    flying = WebhookDelivery.objects.in_flight(now, LEASE).filter(
        endpoint__among=[endpoint.pk for endpoint in endpoints]
    )
    counted = flying.values_list("endpoint").annotate(count=Count("pk")).order_by()
    in_flight = dict(counted.values_list("endpoint", "count"))
    return [
        (1 if endpoint.failures else IN_FLIGHT) - in_flight.get(endpoint.pk, 0)
        for endpoint in endpoints
    ]


def _parcel(endpoint: WebhookEndpoint, row: WebhookDelivery, now: datetime) -> _Parcel:
    body, error = row.body.encode(), ""
    headers: list[tuple[str, str]] = []
    try:
        sealed = webhooks.sealed_secrets(endpoint, now)
        headers = signatures.headers(row.message_id, now, body, sealed)
    except SecretLost as lost:
        error = str(lost)
    return _Parcel(
        delivery_id=row.pk,
        endpoint_id=endpoint.pk,
        event=row.event,
        attempt=row.attempts + 1,
        at=now,
        url=endpoint.url,
        headers=headers,
        body=body,
        error=error,
    )


def _sent(parcel: _Parcel, send: Send) -> Reply:
    """Send it; in a thread, which must not touch the database."""
    if parcel.error:
        return Reply(None, parcel.error)
    return send(parcel.url, parcel.headers, parcel.body)


def _reply_of(future: Future[Reply]) -> Reply:
    error = future.exception()
    if error is None:
        return future.result()
    logger.error("a webhook could not be sent", exc_info=error)
    return Reply(None, f"our mistake: {type(error).__name__}; see the log of the worker")


def _finish(replies: Sequence[tuple[_Parcel, Reply]], now: datetime) -> None:
    """Write down attempts, and what follows from them."""
    with transaction.atomic():
        # In one order, as every sender does: else two would wait for each other.
        for parcel, reply in sorted(replies, key=lambda it: (it[0].endpoint_id, it[0].delivery_id)):
            _note(parcel, reply, now)


def _note(parcel: _Parcel, reply: Reply, now: datetime) -> None:
    # The endpoint before its deliveries, as everywhere.
    endpoint = WebhookEndpoint.objects.select_for_update(no_key=True).get(pk=parcel.endpoint_id)
    failures = 0 if reply.is_success else endpoint.failures + 1
    if failures != endpoint.failures:
        WebhookEndpoint.objects.filter(pk=endpoint.pk).update(failures=failures)
    WebhookAttempt.objects.create(
        delivery_id=parcel.delivery_id,
        at=parcel.at,
        status=reply.status,
        error=reply.error,
        duration_ms=round(reply.seconds * 1000),
    )
    rows = WebhookDelivery.objects.filter(pk=parcel.delivery_id)
    if reply.is_success:
        rows.update(state=DeliveryState.DELIVERED, is_sending=False)
        return
    # Unless the lease ran out and somebody else holds it by now.
    ours = rows.pending().filter(attempts=parcel.attempt)
    if not _is_last(parcel, reply):
        ours.update(due_at=_again_at(parcel, reply, now), is_sending=False)
        return
    is_given_up = ours.update(state=DeliveryState.FAILED, is_sending=False) == 1
    reason = _why_disable(parcel, reply, now) if is_given_up and endpoint.is_enabled else ""
    if reason:
        webhooks.disable(endpoint, reason=reason)


def _is_last(parcel: _Parcel, reply: Reply) -> bool:
    """Tell whether a failed delivery is given up. A test is for somebody who looks at it now."""
    is_test = parcel.event == WebhookEvent.TEST
    return is_test or parcel.attempt >= ATTEMPTS or reply.status == GONE


def _again_at(parcel: _Parcel, reply: Reply, now: datetime) -> datetime:
    """Return when to try again; the receiver may ask for more patience."""
    # Spread by up to a tenth, so that what failed together does not come back together.
    spread = 1 + parcel.delivery_id % 97 / 970
    asked = min(timedelta(seconds=reply.retry_after), LONGEST_WAIT)
    return now + max(WAITS[parcel.attempt - 1] * spread, asked)


def _why_disable(parcel: _Parcel, reply: Reply, now: datetime) -> str:
    """Return why a receiver is not sent to any more after a delivery was given up; empty: it is.

    One that took others in the same three days lives: a single change that it cannot digest must not
    keep all others from it.
    """
    if reply.status == GONE:
        return f"It answered 410 (gone) at {parcel.at:%Y-%m-%d %H:%M} UTC."
    taken = WebhookAttempt.objects.filter(
        delivery__endpoint=parcel.endpoint_id,
        at__gt=now - sum(WAITS, timedelta()),
        status__range=(200, 299),
    )
    if parcel.event == WebhookEvent.TEST or taken.exists():
        return ""
    what = reply.error or f"it answered {reply.status}"
    words = f"Nothing was delivered in {ATTEMPTS} attempts over three days; at the last one: {what}"
    return words[:300]
