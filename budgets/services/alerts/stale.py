"""Brands of which no spend was reported for as long as they allow, held for it or not."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

from django.db.models import (
    DateTimeField,
    DurationField,
    ExpressionWrapper,
    F,
    IntegerField,
    Value,
)
from django.db.models.functions import Cast

from budgets.models import AlertKind, Brand
from budgets.models.brand import StalePolicy
from budgets.services.alerts.raising import News
from budgets.services.transactions import chunks


def found(now: datetime) -> Iterator[list[News]]:
    """Yield what is to be told, so many brands at a time: once for each report that none followed."""
    patience = ExpressionWrapper(
        Cast("stale_after_hours", IntegerField()) * Value(timedelta(hours=1)),
        output_field=DurationField(),
    )
    stale_at = ExpressionWrapper(F("last_report_at") + patience, output_field=DateTimeField())
    rows = Brand.objects.filter(stale_after_hours__isnull=False).annotate(stale_at=stale_at)
    keys = list(rows.filter(stale_at__lte=now).order_by("pk").values_list("pk", flat=True))
    for piece in chunks(keys):
        yield [_news(brand) for brand in Brand.objects.filter(pk__among=piece)]


def _news(brand: Brand) -> News:
    since = brand.last_report_at.isoformat() if brand.last_report_at else ""
    return News(
        kind=AlertKind.REPORTS_STALE,
        brand=brand,
        period=since,
        topic=("reports", brand.pk),
        figures={
            "hours": brand.stale_after_hours,
            "last_report_at": since,
            "is_held": brand.stale_policy == StalePolicy.HOLD,
        },
    )
