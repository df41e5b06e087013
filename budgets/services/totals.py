"""Totals: the sums of the ledger's counted rows, kept on campaign and brand, stamped with a day.

Only this module and the roll to a new day (`services.rollover`) write `total_daily_spend` and
`total_monthly_spend`. The caller holds the lock of the brands.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from django.db import connection
from django.db.models import DateField, ExpressionWrapper, OuterRef, QuerySet, Subquery, Sum, Value
from django.db.models.functions import Coalesce, TruncMonth

from budgets.models import Brand, Campaign, MoneyField, Spend, sets


@dataclass(slots=True)
class Addend:
    """What comes to the totals of a campaign or brand: of its `spend_day`, and of that day's month.

    In whole micro-units.
    """

    today: int = 0
    this_month: int = 0


def add(campaigns: Mapping[int, Addend], brands: Mapping[int, Addend]) -> None:
    """Add to the totals, by primary key: one statement each."""
    _add(Campaign, campaigns)
    _add(Brand, brands)


def recount(brand_ids: Collection[int]) -> None:
    """Sum the totals of brands and of their campaigns anew from the ledger, for the brands' day."""
    brands = Brand.objects.filter(pk__among=brand_ids)
    campaigns = Campaign.objects.filter(brand_id__among=brand_ids)
    day_of_brand = Brand.objects.filter(pk=OuterRef("brand_id")).values("spend_day")
    campaigns.write(spend_day=Subquery(day_of_brand))
    campaigns.write(total_daily_spend=ledger_today(), total_monthly_spend=ledger_this_month())
    brands.write(
        total_daily_spend=sum_of_campaigns("total_daily_spend"),
        total_monthly_spend=sum_of_campaigns("total_monthly_spend"),
    )


def ledger_today() -> Coalesce:
    """Return the sum of a campaign's counted rows of its `spend_day`, as an expression."""
    return _sum_of(_counted_rows().filter(date=OuterRef("spend_day")))


def ledger_this_month() -> Coalesce:
    """Return the sum of a campaign's counted rows from the month's first to its `spend_day`."""
    day = ExpressionWrapper(OuterRef("spend_day"), output_field=DateField())
    return _sum_of(_counted_rows().filter(date__gte=TruncMonth(day), date__lte=day))


def sum_of_campaigns(total: str) -> Coalesce:
    """Return the sum of a total over a brand's campaigns that speak of the brand's day."""
    rows = Campaign.objects.filter(brand=OuterRef("pk"), spend_day=OuterRef("spend_day"))
    return _or_zero(rows.order_by().values("brand").annotate(sum=Sum(total)).values("sum"))


def _counted_rows() -> QuerySet[Spend]:
    return Spend.objects.filter(campaign=OuterRef("pk"), is_counted=True)


def _sum_of(rows: QuerySet[Spend]) -> Coalesce:
    return _or_zero(rows.order_by().values("campaign").annotate(sum=Sum("amount")).values("sum"))


def _or_zero(sums: QuerySet[Any, Any]) -> Coalesce:
    money_field = MoneyField()
    return Coalesce(Subquery(sums, output_field=money_field), Value(0, output_field=money_field))


def _add(model: type[Campaign | Brand], addends: Mapping[int, Addend]) -> None:
    # Written as SQL: the ORM has no UPDATE … FROM, and its bulk_update is 3-4 times slower.
    rows = [
        (pk, addend.today, addend.this_month)
        for pk, addend in sorted(addends.items())
        if addend.today or addend.this_month
    ]
    if not rows:
        return
    ids, today, this_month = zip(*rows, strict=True)
    added, params = sets.table(
        "added", id=("bigint", ids), today=("bigint", today), this_month=("bigint", this_month)
    )
    name = sets.name_of(model)
    with connection.cursor() as cursor:
        cursor.execute(
            f"UPDATE {name} SET total_daily_spend = total_daily_spend + added.today,"  # noqa: S608  # names of ours
            " total_monthly_spend = total_monthly_spend + added.this_month"
            f" FROM {added} WHERE {name}.id = added.id",
            params,
        )
