"""What happened, who may run, and why not: `/changes`, `/serving`, `/campaigns/{id}/explain`."""

# No `from __future__ import annotations`: django-ninja reads the types of decorated functions.
import json
from datetime import datetime
from typing import Literal

from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.utils.cache import get_conditional_response
from ninja import Router

from budgets.api import rows
from budgets.api.auth import principal_of, requires
from budgets.api.objects import campaign_of
from budgets.api.pages import Limit
from budgets.api.problems import FieldError, Problem, invalid
from budgets.api.schemas import ChangePage, ExplanationOut, PastStateOut, Serving
from budgets.core import periods
from budgets.queries import feed, serving
from budgets.queries.explain import explain, explain_at
from budgets.queries.feed import Cursor, CursorAhead

router = Router()


@router.get("/changes", response=ChangePage, tags=["log"], summary="What changed since")
@requires("read")
def list_changes(request: HttpRequest, after: str | None = None, limit: Limit = 100) -> ChangePage:
    """Return the changes of state behind `after`, in an order in which nobody is missed.

    Leave `after` out to begin with the oldest change, or say `now` to begin with the next one; from
    then on always send the newest `next_cursor` you have. A page may be empty and have more.
    """
    place: Cursor | Literal["now"] | None = None
    try:
        if after:
            place = "now" if after == "now" else Cursor.parse(after)
        page = feed.changes(place, limit, principal_of(request).brand_ids)
    except CursorAhead as error:
        raise Problem(410, "cursor_ahead", str(error)) from None
    except ValueError as error:
        raise invalid([FieldError("after", "invalid_cursor", str(error))]) from None
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
    if (unchanged := get_conditional_response(request, etag=etag)) is not None:
        return unchanged
    body = json.dumps({"campaigns": serving.serving(brand_ids)}, separators=(",", ":"))
    response = HttpResponse(body, content_type="application/json")
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
    request: HttpRequest, campaign_id: int, at: datetime | None = None
) -> ExplanationOut | PastStateOut:
    """Explain a campaign now: every hold that applies, with its figures, and when time lifts them.

    With `at`, a past instant with its offset, say what the log knows of that moment.
    """
    campaign, now = campaign_of(principal_of(request), campaign_id), timezone.now()
    if at is None:
        return rows.explanation_out(explain(campaign, now))
    if at.tzinfo is None:
        raise invalid(
            [FieldError("at", "no_offset", "has no UTC offset; write 2026-01-31T09:00:00Z")]
        )
    if at > now + periods.CLOCK_SKEW:
        raise invalid(
            [FieldError("at", "in_the_future", "lies ahead; leave it out to ask for now")]
        )
    past = explain_at(campaign, at)
    if past is None:
        raise Problem(404, "unknown_past", "the log of this campaign begins later")
    return rows.past_out(past)
