"""Which thresholds of which budgets are passed and were not told: of brands, and of campaigns."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from itertools import zip_longest
from typing import Any

from django.db import connection

from budgets.core import alerts, money
from budgets.core.decision import Hold
from budgets.core.periods import earliest_date, latest_date, month_start
from budgets.models import Alert, AlertKind, Brand, Campaign, sets
from budgets.services import rollover
from budgets.services.alerts.raising import News
from budgets.services.transactions import chunks


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
    """Yield what is to be told, some brands or campaigns at a time: of each the highest threshold."""
    lists = _lists()
    if not lists:
        return
    for budget in BUDGETS:
        for piece in chunks(_candidates(budget, lists, now)):
            yield _news(budget, piece, lists, now)


def _lists() -> dict[str, tuple[int, ...]]:
    """Return the lists of thresholds that brands have, as they are stored and as numbers.

    Read here and not in the database: one rule, and a text that raw SQL wrote stops nobody else.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT DISTINCT alert_thresholds FROM {sets.name_of(Brand)} WHERE alert_thresholds <> ''"  # noqa: S608  # names of ours
        )
        texts = [row[0] for row in cursor.fetchall()]
    lists = {}
    for text in texts:
        with suppress(alerts.InvalidThresholds):
            lists[text] = alerts.parse_thresholds(text)
    return lists


def _candidates(budget: _Budget, lists: Mapping[str, Sequence[int]], now: datetime) -> list[int]:
    """Return the keys of those whose highest threshold, as it seems, is passed and was not told.

    The database proposes, it decides nothing: it rounds the budget down, so that no product
    overflows, and it takes every date for today that is today somewhere. A lower threshold than was
    told is no news, so one look in the index answers for a row.
    """
    steps = [
        (said, percent, above)
        for said, percents in lists.items()
        for percent, above in zip_longest(percents, percents[1:])
    ]
    step, step_params = sets.table(
        "step",
        said=("text", [said for said, _, _ in steps]),
        percent=("bigint", [percent for _, percent, _ in steps]),
        above=("bigint", [above for _, _, above in steps]),
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
    # Read once, in the index: looked up for one row after the other they cost three times as much.
    told = (
        "SELECT period, subject, MAX(threshold) AS percent"  # noqa: S608  # names of ours
        f" FROM {sets.name_of(Alert)} WHERE kind = %s AND budget = %s"
        f" AND period IN ({', '.join(['%s'] * len(periods))}) GROUP BY period, subject"
    )
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT row.id FROM {sets.name_of(budget.model)} AS row {join}"  # noqa: S608  # names of ours
            f" JOIN {period} ON row.spend_day BETWEEN period.begins AND period.ends"
            f" JOIN {step} ON step.said = {_SAID[budget.model]}"
            f" LEFT JOIN ({told}) AS told"
            " ON told.period = period.named AND told.subject = row.id"
            f" WHERE {limit} IS NOT NULL AND {total} > 0 AND {total} >= {limit} / 100 * step.percent"
            f" AND (step.above IS NULL OR {total} < {limit} / 100 * step.above)"
            " AND (told.percent IS NULL OR told.percent < step.percent)"
            " ORDER BY row.id",
            [
                *period_params,
                *step_params,
                AlertKind.THRESHOLD.value,
                budget.hold.value,
                *periods,
            ],
        )
        return [row[0] for row in cursor.fetchall()]


def _periods(budget: _Budget, now: datetime) -> dict[str, tuple[date, date]]:
    """Return the periods that last at `now` somewhere, with their first and last date until now."""
    first, last = earliest_date(now), latest_date(now)
    days = [first + timedelta(days=at) for at in range((last - first).days + 1)]
    periods: dict[str, tuple[date, date]] = {}
    for day in days:
        begins = day if budget.is_daily else month_start(day)
        periods[_name(budget, day)] = begins, day
    return periods


def _name(budget: _Budget, day: date) -> str:
    return f"{day:%Y-%m-%d}" if budget.is_daily else f"{day:%Y-%m}"


def _news(
    budget: _Budget, keys: Sequence[int], lists: Mapping[str, Sequence[int]], now: datetime
) -> list[News]:
    """Look at the rows themselves, and at the local day of their brand: this is exact."""
    rows: Iterable[Any] = (
        Brand.objects.filter(pk__among=keys)
        if budget.model is Brand
        else Campaign.objects.filter(pk__among=keys).select_related("brand")
    )
    brands = {brand.pk: brand for brand in map(_brand_of, rows)}
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
        passed = alerts.passed(spent, limit, lists.get(brand.alert_thresholds, ()))
        if limit is None or not passed:
            continue
        news.append(
            News(
                kind=AlertKind.THRESHOLD,
                brand=brand,
                campaign=row if budget.model is Campaign else None,
                budget=budget.hold.value,
                period=_name(budget, today),
                threshold=passed[-1],
                topic=(budget.hold, row.pk),
                figures={
                    "spent": money.plain(spent),
                    "budget": money.plain(limit),
                    "currency": brand.currency,
                },
            )
        )
    return news


def _brand_of(row: Any) -> Brand:
    brand: Brand = row if isinstance(row, Brand) else row.brand
    return brand
