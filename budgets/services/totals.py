"""Totals: the sums of the ledger's counted rows, kept on campaign and brand, stamped with a day.

Only this module and the roll to a new day (`services.rollover`) write `total_daily_spend` and
`total_monthly_spend`. The caller holds the lock of the brands.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, NamedTuple

from django.db import DataError, connection
from django.db.models import DateField, ExpressionWrapper, OuterRef, QuerySet, Subquery, Sum, Value
from django.db.models.functions import Coalesce, TruncMonth

from budgets.core import money
from budgets.models import Brand, Campaign, MoneyField, Spend, sets

OUT_OF_RANGE = "22003"
"""PostgreSQL's code for a number that its type cannot hold."""


@dataclass(slots=True)
class Addend:
    """What comes to the totals of a campaign or brand: of its `spend_day`, and of that day's month.

    In whole micro-units.
    """

    today: int = 0
    this_month: int = 0


class Account(NamedTuple):
    """The totals and budgets of a campaign, in whole micro-units."""

    pk: int
    brand_id: int
    spent_today: int
    spent_this_month: int
    daily_budget: int | None
    monthly_budget: int | None


class TotalTooLarge(ValueError):
    """A total would no longer fit the database's integer."""

    def __init__(self) -> None:
        largest = money.from_micros(money.MAX_TOTAL)
        super().__init__(f"a total would be larger than {largest:f}, the largest that is kept")


def add(campaigns: Mapping[int, Addend], brands: Mapping[int, Addend]) -> list[Account]:
    """Add to the totals, by primary key; return those campaigns, as they are then, that have a budget.

    Raises `TotalTooLarge` where the database does. SQLite does not, and returns all of which a total
    changed: look at them.
    """
    if not campaigns:
        return []
    to_brands, of_brands = _addition(Brand, brands)
    to_campaigns, of_campaigns = _addition(Campaign, campaigns)
    to_campaigns += f" RETURNING {_ACCOUNT}"
    with _refusing_too_large(), connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            # Four campaigns in five have no budget of their own: to read them took a tenth of a batch.
            both = (
                f"WITH brands AS ({to_brands}), added AS ({to_campaigns}) SELECT * FROM added"  # noqa: S608  # ours
                " WHERE daily_budget IS NOT NULL OR monthly_budget IS NOT NULL"
                f" OR LEAST(total_daily_spend, total_monthly_spend) < -{money.MAX_TOTAL}"
            )
            cursor.execute(both, [*of_brands, *of_campaigns])
        else:  # a WITH of SQLite only reads
            cursor.execute(to_brands, of_brands)
            cursor.execute(to_campaigns, of_campaigns)
        return [Account._make(row) for row in cursor.fetchall()]


_ACCOUNT = "id, brand_id, total_daily_spend, total_monthly_spend, daily_budget, monthly_budget"


def accounts(campaign_ids: Collection[int]) -> dict[int, Account]:
    """Read the totals and budgets of campaigns, by primary key."""
    is_wanted, keys = sets.among("id", campaign_ids)
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT {_ACCOUNT} FROM {sets.name_of(Campaign)} WHERE {is_wanted}",  # noqa: S608  # names of ours
            [keys],
        )
        return {row[0]: Account._make(row) for row in cursor.fetchall()}


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


def _addition(
    model: type[Campaign | Brand], addends: Mapping[int, Addend]
) -> tuple[str, list[str]]:
    # Written as SQL: the ORM has no UPDATE … FROM, and its bulk_update is 3-4 times slower.
    ids = sorted(pk for pk, addend in addends.items() if addend.today or addend.this_month)
    added, params = sets.table(
        "added",
        key=("bigint", ids),
        today=("bigint", [addends[pk].today for pk in ids]),
        this_month=("bigint", [addends[pk].this_month for pk in ids]),
    )
    statement = (
        f"UPDATE {sets.name_of(model)} SET total_daily_spend = total_daily_spend + today,"  # noqa: S608  # names of ours
        f" total_monthly_spend = total_monthly_spend + this_month FROM {added} WHERE id = key"
    )
    return statement, params


@contextmanager
def _refusing_too_large() -> Iterator[None]:
    try:
        yield
    except DataError as error:
        if getattr(error.__cause__, "sqlstate", "") == OUT_OF_RANGE:
            raise TotalTooLarge from error
        raise
