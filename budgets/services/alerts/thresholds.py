"""Which thresholds of which budgets are passed and were not told: of brands, and of campaigns."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from itertools import groupby
from typing import Any

from django.db import connection

from budgets.core import alerts, money
from budgets.core.decision import Hold
from budgets.core.periods import month_start
from budgets.models import Alert, AlertKind, Brand, Campaign, sets
from budgets.services import rollover
from budgets.services.alerts.raising import News
from budgets.services.transactions import chunks

WESTERNMOST, EASTERNMOST = timedelta(hours=-12), timedelta(hours=14)
"""Where it is how late: no local date anywhere is earlier or later."""


@dataclass(frozen=True, slots=True)
class _Budget:
    """One of the four budgets that there are."""

    hold: Hold
    model: type[Brand | Campaign]
    period: str

    @property
    def is_daily(self) -> bool:
        return self.period == "daily"


BUDGETS = (
    _Budget(Hold.BRAND_DAILY_BUDGET, Brand, "daily"),
    _Budget(Hold.BRAND_MONTHLY_BUDGET, Brand, "monthly"),
    _Budget(Hold.CAMPAIGN_DAILY_BUDGET, Campaign, "daily"),
    _Budget(Hold.CAMPAIGN_MONTHLY_BUDGET, Campaign, "monthly"),
)

_SAID = {Brand: "row.alert_thresholds", Campaign: "brand.alert_thresholds"}
_JOIN = {Brand: "", Campaign: "JOIN {brand} AS brand ON brand.id = row.brand_id"}


def found(now: datetime) -> Iterator[list[News]]:
    """Yield what is to be told, some brands or campaigns at a time."""
    steps = _steps()
    if not steps:
        return
    for budget in BUDGETS:
        candidates = _candidates(budget, steps, now)
        ids = [pk for pk, _ in groupby(candidates, key=lambda row: row[0])]
        percents: dict[int, list[int]] = {}
        for pk, percent in candidates:
            percents.setdefault(pk, []).append(percent)
        for piece in chunks(ids):
            yield _news(budget, {pk: percents[pk] for pk in piece}, now)


def _steps() -> list[tuple[str, int]]:
    """Return the thresholds that brands have, each with the list of which it is one.

    Parsed here and not in the database: one rule, and a text that raw SQL wrote stops nobody else.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT DISTINCT alert_thresholds FROM {sets.name_of(Brand)} WHERE alert_thresholds <> ''"  # noqa: S608  # names of ours
        )
        texts = [row[0] for row in cursor.fetchall()]
    steps = []
    for text in texts:
        try:
            steps += [(text, percent) for percent in alerts.parse_thresholds(text)]
        except alerts.InvalidThresholds:
            continue
    return steps


def _candidates(
    budget: _Budget, steps: Sequence[tuple[str, int]], now: datetime
) -> list[tuple[int, int]]:
    """Return keys and percents, in order of the keys, of all that seems passed and was not told.

    The database proposes, it decides nothing: it rounds the budget down, so that no product
    overflows, and it takes every date for today that is today somewhere.
    """
    step, step_params = sets.table(
        "step",
        said=("text", [said for said, _ in steps]),
        percent=("bigint", [percent for _, percent in steps]),
    )
    periods = _periods(budget, now)
    period, period_params = sets.table(
        "period",
        named=("text", list(periods)),
        begins=("date", [begins for begins, _ in periods.values()]),
        ends=("date", [ends for _, ends in periods.values()]),
    )
    total, limit = f"row.total_{budget.period}_spend", f"row.{budget.period}_budget"
    join = _JOIN[budget.model].format(brand=sets.name_of(Brand))
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT row.id, step.percent FROM {sets.name_of(budget.model)} AS row {join}"  # noqa: S608  # names of ours
            f" JOIN {period} ON row.spend_day BETWEEN period.begins AND period.ends"
            f" JOIN {step} ON step.said = {_SAID[budget.model]}"
            f" WHERE {limit} IS NOT NULL AND {total} > 0 AND {total} >= {limit} / 100 * step.percent"
            # A lower one than was told is no news: somebody added it after the higher one.
            f" AND NOT EXISTS (SELECT 1 FROM {sets.name_of(Alert)} AS told WHERE told.kind = %s"
            " AND told.budget = %s AND told.subject = row.id AND told.period = period.named"
            " AND told.threshold >= step.percent)"
            " ORDER BY row.id, step.percent",
            [*period_params, *step_params, AlertKind.THRESHOLD.value, budget.hold.value],
        )
        return list(cursor.fetchall())


def _periods(budget: _Budget, now: datetime) -> dict[str, tuple[date, date]]:
    """Return the periods that last at `now` somewhere, with their first and last date until now."""
    first, last = (now + WESTERNMOST).date(), (now + EASTERNMOST).date()
    days = [first + timedelta(days=at) for at in range((last - first).days + 1)]
    periods: dict[str, tuple[date, date]] = {}
    for day in days:
        begins = day if budget.is_daily else month_start(day)
        periods[_name(budget, day)] = begins, day
    return periods


def _name(budget: _Budget, day: date) -> str:
    return f"{day:%Y-%m-%d}" if budget.is_daily else f"{day:%Y-%m}"


def _news(budget: _Budget, percents: Mapping[int, Sequence[int]], now: datetime) -> list[News]:
    """Look at the rows themselves, and at the local day of their brand: this is exact."""
    rows: Iterable[Any] = (
        Brand.objects.filter(pk__among=percents)
        if budget.model is Brand
        else Campaign.objects.filter(pk__among=percents).select_related("brand")
    )
    brands = {brand.pk: brand for brand in (_brand_of(row) for row in rows)}
    moments = rollover.preview(brands.values(), now)
    news: list[News] = []
    for row in rows:
        brand = _brand_of(row)
        if brand.pk not in moments:
            continue  # its zone is corrupt; health names it
        today = moments[brand.pk].day.date
        purse = rollover.purse(row, today)
        spent = purse.spent_today if budget.is_daily else purse.spent_this_month
        limit = purse.daily_budget if budget.is_daily else purse.monthly_budget
        news += [
            News(
                kind=AlertKind.THRESHOLD,
                brand=brand,
                campaign=row if budget.model is Campaign else None,
                budget=budget.hold.value,
                period=_name(budget, today),
                threshold=percent,
                topic=(budget.hold, row.pk),
                weight=percent,
                figures={
                    "spent": money.plain(spent),
                    "budget": money.plain(limit) if limit is not None else "",
                    "currency": brand.currency,
                },
            )
            for percent in alerts.passed(spent, limit, percents[row.pk])
        ]
    return news


def _brand_of(row: Any) -> Brand:
    brand: Brand = row if isinstance(row, Brand) else row.brand
    return brand
