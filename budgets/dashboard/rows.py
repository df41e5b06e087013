"""The row that an address names: one that exists for who reads, or 404."""

from __future__ import annotations

from typing import TypeVar

from django.db.models import Model, QuerySet
from django.http import Http404

from budgets.core.primary_keys import LARGEST_KEY
from budgets.dashboard.reader import Reader
from budgets.models import Brand, Campaign

RowT = TypeVar("RowT", bound=Model)


def row_of(rows: QuerySet[RowT], key: int) -> RowT:
    """Return the row with this key; no database is asked for one that its integers cannot hold."""
    row = rows.filter(pk=key).first() if key <= LARGEST_KEY else None
    if row is None:
        raise Http404
    return row


def brand_of(reader: Reader, key: int) -> Brand:
    """Return a brand."""
    return row_of(reader.person.brands(), key)


def campaign_of(reader: Reader, key: int) -> Campaign:
    """Return a campaign, with its brand."""
    return row_of(reader.person.campaigns().select_related("brand"), key)
