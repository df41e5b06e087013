"""How brands spend against their plans: the ledger by hour and day, and what `core.pacing` says of it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from functools import lru_cache
from typing import NamedTuple

from babel.numbers import get_currency_precision
from django.db import connection

from budgets.core import money, pacing
from budgets.core.decision import CampaignFacts
from budgets.core.pacing import Need, OpenDay, Pace, Spending
from budgets.core.periods import GRID, month_end, month_start
from budgets.models import Campaign, Spend, sets
from budgets.services.rollover import Moment

ZERO = Decimal(0)
_QUARTER = GRID // timedelta(seconds=1)
_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class BrandPace:
    """A brand at a moment: what it spends today by the hour and in this month by the day, and its pace.

    `campaigns` are the distinct schedules of those that are switched on; `needs` says why a person
    should look at it, the most pressing reason first.
    """

    moment: Moment
    campaigns: frozenset[CampaignFacts]
    spending: Spending
    pace: Pace
    needs: tuple[Need, ...]

    @property
    def month(self) -> tuple[OpenDay, ...]:
        """All days of the month, in order."""
        spending = self.spending
        return (*spending.behind, spending.today, *spending.ahead)


def of_brands(moments: Collection[Moment], *, whole_month: bool = False) -> dict[int, BrandPace]:
    """Return the pace of brands, by primary key, in two statements, however many they are.

    `whole_month`: with the spend of all days of the month, not of those alone that a forecast needs
    (`by_day` of the spending then has them since the month began, and the seven last).
    """
    opened = schedules(moment.brand.pk for moment in moments)
    ledger = _ledger(moments, whole_month=whole_month)
    return {moment.brand.pk: _pace(moment, opened, ledger) for moment in moments}


def schedules(brand_ids: Iterable[int]) -> dict[int, frozenset[CampaignFacts]]:
    """Return when the campaigns of brands may run, those that are switched on, each schedule once.

    As far as the calendar is concerned: what is spent is left out.
    """
    rows = Campaign.objects.filter(brand_id__among=brand_ids, is_enabled=True).order_by()
    columns = ("starts_on", "ends_on", "allowed_start_hour", "allowed_end_hour", "weekly_hours")
    found = defaultdict[int, set[CampaignFacts]](set)
    for brand_id, *schedule in rows.values_list("brand_id", *columns).distinct():
        found[brand_id].add(_schedule(*schedule))
    return {brand_id: frozenset(campaigns) for brand_id, campaigns in found.items()}


@lru_cache(maxsize=16_384)
def _schedule(
    starts_on: date | None, ends_on: date | None, opens: int, closes: int, weekly_hours: str | None
) -> CampaignFacts:
    campaign = Campaign(
        allowed_start_hour=opens, allowed_end_hour=closes, weekly_hours=weekly_hours
    )
    return CampaignFacts(
        is_enabled=True, starts_on=starts_on, ends_on=ends_on, hours=campaign.hours
    )


class _Ledger(NamedTuple):
    """Counted spend by brand: of dates, and of today by the quarter of an hour (UTC)."""

    by_day: Mapping[int, Mapping[date, Decimal]]
    by_quarter: Mapping[int, Mapping[datetime, Decimal]]


def _pace(
    moment: Moment, opened: Mapping[int, frozenset[CampaignFacts]], ledger: _Ledger
) -> BrandPace:
    brand, now, today = moment.brand, moment.now, moment.day.date
    campaigns = opened.get(brand.pk, frozenset()) if brand.is_active else frozenset()
    first, last = month_start(today), month_end(today)
    since = _since(today)
    days = pacing.open_days(moment.zone, since, last, moment.day, campaigns)
    here = (today - since).days
    open_today = pacing.open_day(moment.day, campaigns)
    spending = Spending(
        now=now,
        today=open_today,
        behind=days[(first - since).days : here],
        ahead=days[here + 1 :],
        recent=days[here - pacing.USUAL_DAYS : here],
        by_slot=_by_slot(open_today, ledger.by_quarter.get(brand.pk, {}), now),
        by_day=ledger.by_day.get(brand.pk, {}),
        purse=moment.purse,
    )
    decimals = get_currency_precision(brand.currency)
    pace = pacing.pace(spending, decimals=decimals)
    return BrandPace(
        moment=moment,
        campaigns=campaigns,
        spending=spending,
        pace=pace,
        needs=pacing.needs(spending, pace),
    )


def _by_slot(
    day: OpenDay, by_quarter: Mapping[datetime, Decimal], now: datetime
) -> Sequence[Decimal]:
    """Sum quarters of an hour by slot. What was noted before the day or after `now` counts in it.

    A row is of the day that its date says; its instant only tells the hour.
    """
    spent = [ZERO] * len(day.slots)
    for begins, amount in by_quarter.items():
        spent[day.slot_at(min(begins, now))] += amount
    return spent


def _ledger(moments: Collection[Moment], *, whole_month: bool) -> _Ledger:
    """Read the ledger by the index of campaign and date: one statement for all brands.

    A row without `occurred_at` counts in the hour in which it was recorded. PostgreSQL does not look
    for a span of days that comes from another table in that index, unless each campaign is asked on its
    own (`LATERAL`, kept apart by `OFFSET`): it read all days that a campaign ever had.
    """
    days = [moment.day.date for moment in moments]
    since = [_since(day) if whole_month else day - pacing.USUAL_DAYS * _DAY for day in days]
    brands, params = sets.table(
        "brand",
        id=("bigint", [moment.brand.pk for moment in moments]),
        since=("date", since),
        today=("date", days),
    )
    instant = "COALESCE(spend.occurred_at, spend.created_at)"
    spent = (
        f"{sets.name_of(Spend)} AS spend WHERE spend.campaign_id = campaign.id AND spend.is_counted"
        " AND spend.date BETWEEN brand.since AND brand.today"
    )
    if connection.vendor == "postgresql":
        seconds = f"FLOOR(EXTRACT(EPOCH FROM {instant}))::bigint"
        spent = f"CROSS JOIN LATERAL (SELECT spend.* FROM {spent} OFFSET 0) AS spend"  # noqa: S608  # names of ours
    else:
        seconds = f"CAST(strftime('%%s', {instant}) AS INTEGER)"
        spent = f"JOIN {spent}"
    statement = (
        "SELECT brand.id, spend.date,"  # noqa: S608  # names of ours
        f" CASE WHEN spend.date = brand.today THEN {seconds} / {_QUARTER} END, SUM(spend.amount)"
        f" FROM {brands} JOIN {sets.name_of(Campaign)} AS campaign ON campaign.brand_id = brand.id"
        f" {spent} GROUP BY 1, 2, 3"
    )
    with connection.cursor() as cursor:
        cursor.execute(statement, params)
        rows = cursor.fetchall()
    by_day = defaultdict[int, defaultdict[date, Decimal]](lambda: defaultdict(Decimal))
    by_quarter = defaultdict[int, dict[datetime, Decimal]](dict)
    for brand_id, day, quarter, micros in rows:
        amount = money.from_micros(int(micros))
        by_day[brand_id][day if isinstance(day, date) else date.fromisoformat(day)] += amount
        if quarter is not None:
            begins = datetime.fromtimestamp(quarter * _QUARTER, UTC)
            by_quarter[brand_id][begins] = amount
    return _Ledger(by_day, by_quarter)


def _since(today: date) -> date:
    """Return the first of the days we look at: the month's, or that of a week ago."""
    return min(month_start(today), today - pacing.USUAL_DAYS * _DAY)
