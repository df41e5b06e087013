"""Totals: the sums of the ledger's counted rows, kept on campaign and brand, stamped with a day.

Only this module and the roll to a new day (`services.rollover`) write `total_daily_spend` and
`total_monthly_spend`. The caller holds the lock of the brands.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from django.db import connection
from django.db.models import DateField, ExpressionWrapper, OuterRef, QuerySet, Subquery, Sum, Value
from django.db.models.functions import Coalesce, TruncMonth

from budgets.core import money
from budgets.models import Brand, Campaign, MoneyField, Spend
from budgets.services.transactions import chunks

ZERO = Decimal(0)


@dataclass(frozen=True, slots=True)
class Addend:
    """What comes to the totals of a campaign or brand: of its `spend_day`, and of that day's month."""

    today: Decimal = ZERO
    this_month: Decimal = ZERO

    def __add__(self, other: Addend) -> Addend:
        return Addend(self.today + other.today, self.this_month + other.this_month)

    def __bool__(self) -> bool:
        return bool(self.today or self.this_month)


def add(campaigns: Mapping[int, Addend], brands: Mapping[int, Addend]) -> None:
    """Add to the totals, by primary key: one statement for up to a thousand rows."""
    _add(Campaign._meta.db_table, campaigns)
    _add(Brand._meta.db_table, brands)


def recount(brand_ids: Collection[int]) -> None:
    """Sum the totals of brands and of their campaigns anew from the ledger, for the brands' day."""
    brands = Brand.objects.filter(pk__in=brand_ids)
    campaigns = Campaign.objects.filter(brand_id__in=brand_ids)
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


def _add(table: str, addends: Mapping[int, Addend]) -> None:
    # Written as SQL: the ORM has no UPDATE … FROM, and its bulk_update is 3-4 times slower. Both
    # databases name the columns of VALUES column1, column2, …
    rows = [(pk, addend) for pk, addend in sorted(addends.items()) if addend]
    for chunk in chunks(rows):
        statement = (
            f"UPDATE {connection.ops.quote_name(table)}"  # noqa: S608  # our own table's name
            " SET total_daily_spend = total_daily_spend + added.column2,"
            " total_monthly_spend = total_monthly_spend + added.column3"
            f" FROM (VALUES {', '.join(['(%s, %s, %s)'] * len(chunk))}) AS added"
            " WHERE id = added.column1"
        )
        params = [
            number
            for pk, addend in chunk
            for number in (pk, money.to_micros(addend.today), money.to_micros(addend.this_month))
        ]
        with connection.cursor() as cursor:
            cursor.execute(statement, params)
