"""Rows of the ledger for screens: page by page, newest first, and summed for charts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Self

from django.db.models import QuerySet, Sum
from django.db.models.functions import Coalesce, TruncMinute

from budgets.core.primary_keys import LARGEST_KEY
from budgets.models import Campaign, Import, Spend
from budgets.services.access import Sight

PAGE = 50


class NoSuchPlace(ValueError):
    """A text that is no place in a list of ours."""

    def __init__(self) -> None:
        super().__init__("before: this is no place in the ledger; follow the page's own links")


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """A place in a campaign's ledger, which is read by day and then by key, both falling."""

    date: date
    id: int

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read what `str` wrote; anything else raises `NoSuchPlace`."""
        day, _, key = text.partition(".")
        try:
            place = cls(date.fromisoformat(day), int(key) if len(key) < 20 else -1)
        except ValueError:
            raise NoSuchPlace from None
        if not 0 <= place.id <= LARGEST_KEY or str(place) != text:
            raise NoSuchPlace
        return place

    def __str__(self) -> str:
        return f"{self.date.isoformat()}.{self.id}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """Rows with the imports that brought them, newest first; `next` is where the older ones begin."""

    rows: Sequence[Spend]
    next: str | None


def of_campaign(campaign_id: int, before: Place | None) -> Page:
    """Return the campaign's rows older than `before`, from the latest day on, in one statement."""
    rows = Spend.objects.filter(campaign_id=campaign_id).order_by("-date", "-pk")
    if before is not None:
        rows = rows.filter(date__lte=before.date).exclude(date=before.date, pk__gte=before.id)
    found = list(rows.select_related("brought_by")[: PAGE + 1])
    last = found[PAGE - 1] if len(found) > PAGE else None
    return Page(rows=found[:PAGE], next=str(Place(last.date, last.pk)) if last else None)


def of_import(brought_by: Import, sight: Sight, before: int | None) -> Page:
    """Return the rows that an import brought, last ones first, of the brands in `sight`."""
    rows = visible(brought_by, sight).order_by("-pk")
    if before is not None:
        rows = rows.filter(pk__lt=before)
    found = list(rows.select_related("campaign__brand")[: PAGE + 1])
    last = found[PAGE - 1] if len(found) > PAGE else None
    return Page(rows=found[:PAGE], next=str(last.pk) if last else None)


def visible(brought_by: Import, sight: Sight) -> QuerySet[Spend]:
    """Return the rows of an import whose brands exist for somebody."""
    return sight.of(Spend.objects.filter(brought_by=brought_by), "campaign__brand")


def by_day(campaign: Campaign, since: date, until: date) -> dict[date, Decimal]:
    """Return what was spent on each day from `since` to `until`, both included; counted rows."""
    rows = Spend.objects.filter(
        campaign_id=campaign.pk, date__range=(since, until), is_counted=True
    )
    return dict(rows.values_list("date").annotate(spent=Sum("amount")))


def by_minute(campaign: Campaign, day: date) -> Mapping[datetime, Decimal]:
    """Return what was spent on `day` by the minute (UTC) in which it happened; counted rows.

    A row that does not say when it happened counts in the minute in which it was recorded.
    """
    instant = TruncMinute(Coalesce("occurred_at", "created_at"), tzinfo=UTC)
    rows = Spend.objects.filter(campaign_id=campaign.pk, date=day, is_counted=True)
    return dict(rows.annotate(minute=instant).values_list("minute").annotate(spent=Sum("amount")))
