"""What happened, who may run, and why not: `/changes`, `/serving`, `/campaigns/{id}/explain`."""

# No `from __future__ import annotations`: django-ninja reads the types of decorated functions.
import json
from datetime import UTC, datetime
from typing import Literal

from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.utils.cache import get_conditional_response
from ninja import Query, Router
from pydantic import BaseModel

from budgets.api import pages, rows
from budgets.api.auth import principal_of, requires
from budgets.api.objects import campaign_of
from budgets.api.pages import Limit
from budgets.api.problems import FieldError, Problem, invalid
from budgets.api.schemas import ChangePage, ExplanationOut, PastStateOut, Serving, Whole
from budgets.core import periods
from budgets.queries import feed, serving
from budgets.queries.explain import explain, explain_at
from budgets.queries.feed import Cursor, CursorAhead

router = Router()


class ChangeFilters(BaseModel):
    """Where to go on."""

    after: str | None = None
    limit: Limit = 100


@router.get("/changes", response=ChangePage, tags=["log"], summary="What changed since")
@requires("read")
def list_changes(request: HttpRequest, filters: Query[ChangeFilters]) -> ChangePage:
    """Return the changes of state behind `after`, in an order in which nobody is missed.

    Leave `after` out to begin with the oldest change, or say `now` to begin with the next one; from
    then on always send the newest `next_cursor` you have. A page may be empty and have more.
    """
    pages.only_known(request, ChangeFilters)
    place: Cursor | Literal["now"] | None = None
    try:
        if filters.after:
            place = "now" if filters.after == "now" else Cursor.parse(filters.after)
        page = feed.changes(place, filters.limit, principal_of(request).brand_ids)
    except CursorAhead as error:
        raise Problem(410, "cursor_ahead", str(error)) from None
    except ValueError as error:
        words = str(error).removeprefix("after: ")
        raise invalid([FieldError("after", "invalid_cursor", words)]) from None
    return ChangePage(
        data=rows.changes_out(page.changes), next_cursor=str(page.cursor), has_more=page.has_more
    )


@router.get("/serving", response={200: Serving, 304: None}, tags=["log"], summary="Who may run now")
@requires("read")
def get_serving(request: HttpRequest) -> HttpResponse:
    """Return the ids of all active campaigns, with an `ETag`.

    Ask every second with `If-None-Match`: unchanged is answered with 304, at the cost of two looks at
    an index.
    """
    brand_ids = principal_of(request).brand_ids
    # The version before the list: see `queries.serving`.
    etag = f'"{serving.version(brand_ids)}"'
    response = get_conditional_response(request, etag=etag)
    if response is None:
        body = json.dumps({"campaigns": serving.serving(brand_ids)}, separators=(",", ":"))
        response = HttpResponse(body, content_type="application/json")
    # A 304 says them too (RFC 9110, 15.4.5): a cache in between goes by them.
    response["ETag"] = etag
    response["Cache-Control"] = "private, no-cache"
    return response


@router.get(
    "/campaigns/{campaign_id}/explain",
    response=ExplanationOut | PastStateOut,
    tags=["campaigns"],
    summary="Why it runs, or not",
)
@requires("read")
def get_explanation(
    request: HttpRequest, campaign_id: Whole, at: datetime | None = None
) -> ExplanationOut | PastStateOut:
    """Explain a campaign now: every hold that applies, with its figures, and when time lifts them.

    With `at`, a past instant with its offset, say what the log knows of that moment.
    """
    campaign, now = campaign_of(principal_of(request), campaign_id), timezone.now()
    if at is None:
        return rows.explanation_out(explain(campaign, now))
    past = explain_at(campaign, _past(at, now))
    if past is None:
        raise Problem(404, "unknown_past", "the log of this campaign begins later")
    return rows.past_out(past)


def _past(at: datetime, now: datetime) -> datetime:
    """Return the instant in UTC; raise a problem for one that is none, or that lies ahead."""
    if at.tzinfo is None:
        raise invalid(
            [FieldError("at", "no_offset", "has no UTC offset; write 2026-01-31T09:00:00Z")]
        )
    try:
        # PostgreSQL knows offsets up to 16 hours, Python up to 24.
        instant = at.astimezone(UTC)
    except OverflowError:
        raise invalid([FieldError("at", "invalid", "lies outside of the calendar")]) from None
    if instant > now + periods.CLOCK_SKEW:
        raise invalid(
            [FieldError("at", "in_the_future", "lies ahead; leave it out to ask for now")]
        )
    return instant
