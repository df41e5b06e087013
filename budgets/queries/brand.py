"""What the page of one brand asks: its campaigns page by page, how many each reason holds, its log."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from enum import StrEnum
from typing import Any

from django.db.models import Case, Count, F, OuterRef, Q, QuerySet, Subquery, Value, When

from budgets.core import money
from budgets.core.periods import month_start
from budgets.core.primary_keys import LARGEST_KEY
from budgets.models import Campaign, MoneyField, StatusChange
from budgets.models.campaign import CampaignQuerySet

LONGEST_SEARCH = 200

_SPENT_CURSOR = re.compile(r"(-?[0-9]{1,19})\.([0-9]{1,19})", re.ASCII)


class Order(StrEnum):
    """In which order campaigns are shown."""

    MONTH = "month"
    """Who spent most this month first."""
    TODAY = "today"
    NAME = "name"


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Which campaigns of a brand are wanted: `hold` ``None`` for all, empty for those that run.

    `search` is a part of the name or of the platform's id; `after` the cursor of the page before.
    """

    hold: str | None = None
    search: str = ""
    order: Order = Order.MONTH
    after: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class CampaignPage:
    """Some campaigns, and the cursor of those that follow; empty: none do."""

    rows: list[Campaign]
    after: str


def campaigns(brand_id: int, today: date, wanted: Wanted, limit: int) -> CampaignPage:
    """Return a page of a brand's campaigns; `today` is the brand's local date.

    Totals of another day or month count as zero. By spend the order moves while one pages: who
    overtakes meanwhile stands on the first page.
    """
    found = Campaign.objects.filter(brand_id=brand_id).annotate(
        today=_spent("daily", spend_day=today),
        month=_spent("monthly", spend_day__gte=month_start(today)),
    )
    if wanted.hold is not None:
        found = found.filter(hold=wanted.hold)
    if wanted.search:
        found = _searched(found, wanted.search)
    rows = list(_in_order(found, wanted)[: limit + 1])
    shown = rows[:limit]
    return CampaignPage(
        rows=shown, after=_cursor(shown[-1], wanted.order) if len(rows) > limit else ""
    )


def campaigns_by_hold(brand_id: int) -> dict[str, int]:
    """Count a brand's campaigns by hold; the empty one: active."""
    rows = Campaign.objects.filter(brand_id=brand_id).order_by().values_list("hold")
    return dict(rows.annotate(count=Count("pk")))


def last_changes(brand_id: int, limit: int) -> QuerySet[StatusChange]:
    """Return the last status changes of a brand's campaigns, newest first.

    They are all of the `limit` campaigns that changed last, each found by one look at the index:
    neither the whole log is read, nor all changes of the brand.
    """
    newest = StatusChange.objects.filter(campaign_id=OuterRef("pk")).order_by("-pk")
    movers = (
        Campaign.objects.filter(brand_id=brand_id)
        .annotate(newest=Subquery(newest.values("pk")[:1]))
        .filter(newest__isnull=False)
        .order_by("-newest")
        .values("pk")[:limit]
    )
    changes = StatusChange.objects.filter(campaign_id__in=movers)
    return changes.select_related("campaign").order_by("-pk")[:limit]


def names(campaign_ids: Collection[int], limit: int) -> list[str]:
    """Return the names of some of these campaigns, the first in the order of the alphabet."""
    rows = Campaign.objects.filter(pk__among=campaign_ids).order_by("name")
    return list(rows.values_list("name", flat=True)[:limit])


def _spent(period: str, **spoken_of: date) -> Case:
    return Case(
        When(**spoken_of, then=F(f"total_{period}_spend")),
        default=Value(0),
        output_field=MoneyField(),
    )


def _searched(found: CampaignQuerySet, text: str) -> CampaignQuerySet:
    if "\x00" in text:  # PostgreSQL refuses it, and no name has it
        return found.none()
    text = text[:LONGEST_SEARCH]
    return found.filter(Q(name__icontains=text) | Q(external_id__icontains=text))


def _in_order(found: CampaignQuerySet, wanted: Wanted) -> CampaignQuerySet:
    if wanted.order is Order.NAME:
        if wanted.after and "\x00" not in wanted.after:
            found = found.filter(name__gt=wanted.after)
        return found.order_by("name")
    spent = wanted.order.value
    if last := _read_cursor(wanted.after):
        amount, pk = last
        found = found.filter(Q(**{f"{spent}__lt": amount}) | Q(**{spent: amount, "pk__gt": pk}))
    return found.order_by(f"-{spent}", "pk")


def _cursor(last: Any, order: Order) -> str:
    if order is Order.NAME:
        return str(last.name)
    amount: Decimal = getattr(last, order.value)
    return f"{money.to_micros(amount)}.{last.pk}"


def _read_cursor(text: str) -> tuple[Decimal, int] | None:
    """Return the amount and the key of the last row before; ``None``: begin at the first."""
    found = _SPENT_CURSOR.fullmatch(text)
    if found is None:
        return None
    micros, pk = int(found[1]), int(found[2])
    if abs(micros) >= money.LIMIT * money.MICROS or pk > LARGEST_KEY:
        return None
    return money.from_micros(micros), pk
