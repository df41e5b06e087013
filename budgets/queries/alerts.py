"""What was raised and who was told, a page at a time, in a fixed number of statements."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.db.models import Prefetch

from budgets.models import Alert, AlertKind, AlertMessage, AlertRecipient, WebhookDelivery
from budgets.services.access import Sight

BRANDS_SEARCHED = 1000
TOLD = 21
"""Mails, and again deliveries, of one alert that are read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What a list is narrowed to: a kind, one brand, part of a brand's name, what came before."""

    kind: AlertKind | None = None
    brand_id: int | None = None
    name: str = ""
    before: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Raised:
    """An alert, with its brand and campaign, and the first of its mails and deliveries."""

    alert: Alert
    mails: list[AlertMessage]
    deliveries: list[WebhookDelivery]


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """Alerts, newest first, and whether more follow."""

    rows: list[Raised]
    has_more: bool


def page(sight: Sight, asked: Asked, limit: int) -> Page:
    """Return up to `limit` alerts of the brands that exist for somebody; others do not exist."""
    rows = Alert.objects.seen_with(sight.brand_ids)
    if asked.kind is not None:
        rows = rows.filter(kind=asked.kind)
    if asked.before is not None:
        rows = rows.filter(pk__lt=asked.before)
    if asked.brand_id is not None:
        rows = rows.filter(brand_id=asked.brand_id)
    elif asked.name:
        named = sight.brands().filter(name__icontains=asked.name).order_by("pk")
        ids = named.values_list("pk", flat=True)[:BRANDS_SEARCHED]
        rows = rows.filter(brand_id__among=list(ids))
    deliveries = WebhookDelivery.objects.select_related("endpoint").order_by("pk")
    # To attributes of their own: Django cannot narrow what was sliced for the usual ones.
    rows = rows.select_related("brand", "campaign").prefetch_related(
        Prefetch("messages", AlertMessage.objects.order_by("pk")[:TOLD], to_attr="first_mails"),
        Prefetch("deliveries", deliveries[:TOLD], to_attr="first_deliveries"),
    )
    found: list[Any] = list(rows.order_by("-pk")[: limit + 1])
    return Page(
        rows=[
            Raised(alert=row, mails=row.first_mails, deliveries=row.first_deliveries)
            for row in found[:limit]
        ],
        has_more=len(found) > limit,
    )


def has_recipients() -> bool:
    """Tell whether there is anybody to write to."""
    return AlertRecipient.objects.enabled().exists()
