"""What every list shares, and how one row is found."""

from __future__ import annotations

import base64
import re
from collections.abc import Sequence
from typing import Annotated, Any, TypeVar

from django.db.models import Model, QuerySet
from django.http import HttpRequest
from pydantic import BaseModel, ConfigDict, Field

from budgets.api.problems import FieldError, invalid, not_found
from budgets.api.schemas import Whole
from budgets.core.primary_keys import LARGEST_KEY

RowT = TypeVar("RowT", bound=Model)

LARGEST_PAGE = 500
Limit = Annotated[Whole, Field(ge=1, le=LARGEST_PAGE)]
_CURSOR = re.compile(rb"id:([0-9]{1,19})")


class Filters(BaseModel):
    """What every list may be asked for."""

    model_config = ConfigDict(extra="forbid")

    cursor: str | None = None
    limit: Limit = 50


def only_known(request: HttpRequest, filters: type[BaseModel]) -> None:
    """Raise a problem for a parameter that is none of `filters`, or that is there twice.

    Narrowing a list by a misspelt name would answer with everything.
    """
    wrong = [
        FieldError(name, "given_twice", "stands there twice; send it once")
        if name in filters.model_fields
        else FieldError(name, "unknown_parameter", "is no parameter of this address; leave it out")
        for name, values in request.GET.lists()
        if name not in filters.model_fields or len(values) > 1
    ]
    if wrong:
        raise invalid(wrong)


def one(rows: QuerySet[RowT], pk: int, what: str) -> RowT:
    """Return the row of this key; 404 for one that `rows` leaves out, as for none.

    No database is asked for a key that its integers cannot hold.
    """
    row = rows.filter(pk=pk).first() if 0 < pk <= LARGEST_KEY else None
    if row is None:
        raise not_found(what)
    return row


def page(rows: QuerySet[RowT], cursor: str | None, limit: int) -> tuple[list[RowT], str | None]:
    """Return `limit` rows after `cursor` in the order of their ids, and the cursor of the next page."""
    if cursor is not None:
        rows = rows.filter(pk__gt=_after(cursor))
    found: Sequence[RowT] = list(rows.order_by("pk")[: limit + 1])
    has_more = len(found) > limit
    shown = list(found[:limit])
    return shown, _cursor(shown[-1].pk) if has_more else None


def _cursor(pk: Any) -> str:
    return base64.urlsafe_b64encode(f"id:{pk}".encode()).decode().rstrip("=")


def _after(cursor: str) -> int:
    try:
        text = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))
    except ValueError:
        text = b""
    found = _CURSOR.fullmatch(text)
    after = int(found[1]) if found else -1
    if not 0 <= after <= LARGEST_KEY:
        raise invalid(
            [FieldError("cursor", "invalid_cursor", "is no cursor of ours; leave it out to begin")]
        )
    return after
