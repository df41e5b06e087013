"""Cursor paging, and what every list of brands or campaigns shares."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from typing import Annotated, Any, TypeVar

from django.db.models import Model, QuerySet
from pydantic import Field

from budgets.api.problems import FieldError, invalid
from budgets.services.ingestion import LARGEST_KEY

RowT = TypeVar("RowT", bound=Model)

LARGEST_PAGE = 500
Limit = Annotated[int, Field(ge=1, le=LARGEST_PAGE)]
_MARK = b"id:"


def page(rows: QuerySet[RowT], cursor: str | None, limit: int) -> tuple[list[RowT], str | None]:
    """Return `limit` rows after `cursor` in the order of their ids, and the cursor of the next page."""
    if cursor is not None:
        rows = rows.filter(pk__gt=_after(cursor))
    found: Sequence[RowT] = list(rows.order_by("pk")[: limit + 1])
    has_more = len(found) > limit
    shown = list(found[:limit])
    return shown, _cursor(shown[-1].pk) if has_more else None


def _cursor(pk: Any) -> str:
    return base64.urlsafe_b64encode(_MARK + str(pk).encode()).decode().rstrip("=")


def _after(cursor: str) -> int:
    try:
        text = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))
        after = int(text.removeprefix(_MARK)) if text.startswith(_MARK) else -1
    except (ValueError, binascii.Error):
        after = -1
    if not 0 <= after <= LARGEST_KEY:
        raise invalid(
            [FieldError("cursor", "invalid_cursor", "is no cursor of ours; leave it out to begin")]
        )
    return after
