"""`POST /spend` and `/spend/to-date`: money that was spent, as events or as platforms' sums."""

# No `from __future__ import annotations`: django-ninja reads the types of decorated functions.
import re
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import date, datetime
from typing import Any, TypeVar

from django.http import HttpRequest, JsonResponse
from django.utils import timezone
from ninja import Router

from budgets.api import description
from budgets.api.auth import principal_of, requires
from budgets.api.idempotency import idempotent
from budgets.api.problems import FieldError, invalid
from budgets.api.references import References
from budgets.api.schemas import DAY, Event, EventBatch, Report, ReportRow, SpendAnswer
from budgets.services import ingestion, meters, to_date
from budgets.services.ingestion import Answer, Receipt, Result, SpendEvent, rejected, unfit_text
from budgets.services.keys import Principal
from budgets.services.to_date import ReportedSpend

router = Router(tags=["spend"])

EntryT = TypeVar("EntryT", SpendEvent, ReportedSpend, Event)

NDJSON = "application/x-ndjson"
_STREAM = {
    "type": "string",
    "description": "An `Event` a line.",
    "examples": ['{"id": "7", "campaign": 1, "amount": "0.25", "date": "2026-01-31"}\n'],
}
_STREAM_ANSWER = {
    "type": "string",
    "description": "A `SpendResult` for each line that is not empty, in their order, and a last line "
    "with `totals`, `paused` and `resumed`.",
}
_STREAM_SOURCE = {
    "in": "query",
    "name": "source",
    "required": False,
    "description": "Who reports: with a stream, whose lines do not say it.",
    "schema": {"type": "string", "minLength": 1, "maxLength": ingestion.MAX_SOURCE},
}
_INSTANT = re.compile(r"\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}(:\d{2}(\.\d{1,6})?)?(Z|[+-]\d{2}:\d{2})?")


@router.post(
    "/spend",
    response=SpendAnswer,
    summary="Record events",
    openapi_extra={
        "requestBody": {"content": {NDJSON: {"schema": _STREAM}}},
        "responses": {
            200: {"content": {NDJSON: {"schema": _STREAM_ANSWER}}},
            411: description.problem(411),
        },
        "parameters": [_STREAM_SOURCE],
    },
)
@requires("spend:write")
@idempotent
def post_spend(request: HttpRequest, batch: EventBatch) -> JsonResponse:
    """Record each event exactly once, with the pauses that it causes, in one transaction.

    Answers each event in order. Whoever reads `recorded` can already read the pause. A value that
    cannot be meant rejects its event alone; a body of another shape is refused whole with 422.

    A stream of any length may be sent as `application/x-ndjson` with `?source=`: an event a line. It
    is recorded part by part. One that breaks off has recorded what came before: send it again, the
    ids make that safe, and its Idempotency-Key is not needed.
    """
    source = source_of(batch.source)
    receipt = record(batch.events, source, principal_of(request), timezone.now())
    return JsonResponse(written(receipt, [event.id for event in batch.events]))


@router.post(
    "/spend/to-date",
    response=SpendAnswer,
    summary="Record what was spent so far",
)
@requires("spend:write")
@idempotent
def post_to_date(request: HttpRequest, report: Report) -> JsonResponse:
    """Record the difference to what the source reported before for the same campaign and day.

    The same report again changes nothing; a credit becomes a negative row by itself.
    """
    source, now = source_of(report.source), timezone.now()
    references = References(principal_of(request), [row.campaign for row in report.rows])
    receipt = merged(
        [_reported(row, references) for row in report.rows],
        lambda rows: timed(lambda: to_date.record_to_date(rows, source=source, now=now)),
    )
    return JsonResponse(written(receipt, [None] * len(report.rows)))


def record(events: Sequence[Event], source: str, principal: Principal, now: datetime) -> Receipt:
    """Record what a request, or a part of a stream, sent; answer every event in its order."""
    references = References(principal, [event.campaign for event in events])
    receipt = merged(
        [_event(event, references) for event in events],
        lambda sound: timed(lambda: ingestion.record(sound, source=source, now=now)),
    )
    return receipt if principal.brand_ids is None else _discreet(receipt)


def merged(
    found: Sequence[EntryT | Result], recorder: Callable[[Sequence[EntryT]], Receipt]
) -> Receipt:
    """Record what is sound and put the answers between those that are known already."""
    sound = [entry for entry in found if not isinstance(entry, Result)]
    receipt = recorder(sound) if sound else Receipt(results=())
    answers = iter(receipt.results)
    return Receipt(
        results=tuple(entry if isinstance(entry, Result) else next(answers) for entry in found),
        paused=receipt.paused,
        resumed=receipt.resumed,
    )


def timed(work: Callable[[], Receipt]) -> Receipt:
    """Record, and note how long it took until pauses that it caused were committed."""
    began = time.monotonic()
    receipt = work()
    if receipt.paused:
        meters.PAUSE_SECONDS.observe(time.monotonic() - began)
    return receipt


def source_of(text: str) -> str:
    """Return the name of a source; raise a problem when it cannot be one."""
    if problem := unfit_text(text, ingestion.MAX_SOURCE):
        raise invalid([FieldError("source", "invalid_source", problem)])
    return text


def written(receipt: Receipt, ids: Sequence[str | None]) -> dict[str, Any]:
    """Return a receipt as `SpendAnswer` says it, and count what it answers."""
    results = [
        {
            "id": key,
            "status": result.answer.value,
            "code": result.code,
            "field": _FIELDS.get(result.field, result.field),
            "message": result.words,
        }
        for key, result in zip(ids, receipt.results, strict=True)
    ]
    totals = {answer.value: receipt.count(answer) for answer in Answer}
    meters.count(totals)
    return {
        "results": results,
        "totals": totals,
        "paused": receipt.paused,
        "resumed": receipt.resumed,
    }


def _discreet(receipt: Receipt) -> Receipt:
    """Return a receipt that does not tell what was recorded, maybe of a brand the key does not see."""
    words = (
        "something else was recorded under this id; use another, or a negative amount to correct it"
    )
    results = (
        replace(result, words=words) if result.answer is Answer.CONFLICT else result
        for result in receipt.results
    )
    return replace(receipt, results=tuple(results))


_FIELDS = {"external_id": "id"}
"""What the api calls a field that the services call otherwise."""


def _event(event: Event, references: References) -> SpendEvent | Result:
    campaign = references.find(event.campaign)
    if isinstance(campaign, Result):
        return campaign
    day = None if event.date is None else _day(event.date)
    if isinstance(day, Result):
        return day
    instant = None if event.occurred_at is None else _instant(event.occurred_at)
    if isinstance(instant, Result):
        return instant
    return SpendEvent(
        campaign_id=campaign,
        amount=event.amount,
        date=day,
        occurred_at=instant,
        external_id=event.id,
        currency=event.currency,
    )


def _reported(row: ReportRow, references: References) -> ReportedSpend | Result:
    campaign = references.find(row.campaign)
    if isinstance(campaign, Result):
        return campaign
    day = _day(row.date)
    if isinstance(day, Result):
        return day
    return ReportedSpend(
        campaign_id=campaign,
        date=day,
        spend_to_date=row.spend_to_date,
        currency=row.currency,
    )


def _day(text: str) -> date | Result:
    try:
        if DAY.fullmatch(text):
            return date.fromisoformat(text)
    except ValueError:
        pass
    words = f"{text[:40]!r} is no date; write 2026-01-31"
    return rejected("invalid_date", "date", words)


def _instant(text: str) -> datetime | Result:
    try:
        if _INSTANT.fullmatch(text):
            return datetime.fromisoformat(text)
    except ValueError:
        pass
    words = f"{text[:40]!r} is no instant; write 2026-01-31T09:00:00Z"
    return rejected("invalid_instant", "occurred_at", words)
