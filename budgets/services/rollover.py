"""Turn totals to the local day of their brand. No job resets anything: totals carry their day."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

from django.db.models import Case, F, Value, When

from budgets.core import periods
from budgets.core.decision import Purse
from budgets.core.periods import LocalDay, UnknownZone
from budgets.models import Brand, Campaign, MoneyField, Spend
from budgets.services import totals

ZERO = Decimal(0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """A locked brand whose totals speak of `day`, the local day that `now` belongs to."""

    brand: Brand
    zone: ZoneInfo
    day: LocalDay
    now: datetime
    has_turned: bool = False
    """Whether its totals spoke of another day until now."""
    trouble: str = ""

    @property
    def hour(self) -> int:
        """The local wall-clock hour (0-23)."""
        return self.day.hour_at(self.now)

    @property
    def is_due(self) -> bool:
        """Whether the brand must be decided whatever it spent: time, an edit or the end of a trouble."""
        is_well_again = self.brand.trouble != self.trouble
        return self.has_turned or is_well_again or self.brand.due_at <= self.now


@dataclass(frozen=True, slots=True, kw_only=True)
class Turned:
    """What became of locked brands: those that can be decided, and what is wrong with the others."""

    moments: list[Moment]
    troubles: dict[int, str]
    rolled: int

    def by_brand(self) -> dict[int, Moment]:
        """Return the moments by their brand's primary key."""
        return {moment.brand.pk: moment for moment in self.moments}


def turn(brands: Iterable[Brand], now: datetime) -> Turned:
    """Roll the totals of locked `brands`, and of their campaigns, to the local day of `now`.

    A brand whose zone is corrupt is left as it is and named in the answer.
    """
    moments: list[Moment] = []
    troubles: dict[int, str] = {}
    forward: dict[date, list[int]] = defaultdict(list)
    current: dict[date, list[int]] = defaultdict(list)
    back: dict[date, list[Brand]] = defaultdict(list)
    adopted: dict[str, list[int]] = defaultdict(list)
    rolled = 0
    for brand in brands:
        try:
            moment = _moment(brand, now)
        except UnknownZone as error:
            troubles[brand.pk] = str(error)
            continue
        moments.append(moment)
        today = moment.day.date
        current[today].append(brand.pk)
        if moment.zone.key != brand.zone_in_force:
            adopted[moment.zone.key].append(brand.pk)
            brand.zone_in_force = moment.zone.key
        if brand.spend_day < today:
            forward[today].append(brand.pk)
            spent = purse(brand, today)
            brand.total_daily_spend = spent.spent_today
            brand.total_monthly_spend = spent.spent_this_month
            brand.spend_day = today
            rolled += 1
        elif brand.spend_day > today:
            back[today].append(brand)
            rolled += 1
    for zone_name, ids in adopted.items():
        Brand.objects.filter(pk__in=ids).write(zone_in_force=zone_name)
    for today, ids in forward.items():
        Brand.objects.filter(pk__in=ids).write(**_rolled_to(today))
    for today, ids in current.items():
        Campaign.objects.filter(brand_id__in=ids, spend_day__lt=today).write(**_rolled_to(today))
    for today, ahead in back.items():
        _turn_back(ahead, today)
    return Turned(moments=moments, troubles=troubles, rolled=rolled)


def preview(brands: Iterable[Brand], now: datetime) -> dict[int, Moment]:
    """Return the moments of brands that nobody locked, by primary key; nothing is written.

    Brands whose zone is corrupt are left out.
    """
    moments: dict[int, Moment] = {}
    for brand in brands:
        with suppress(UnknownZone):
            moments[brand.pk] = _moment(brand, now)
    return moments


def purse(row: Brand | Campaign, day: date) -> Purse:
    """Return what `row` may spend and has spent on `day` and in its month.

    Totals of another day count as zero for today, those of another month as zero for this month.
    """
    return Purse(
        spent_today=row.total_daily_spend if row.spend_day == day else ZERO,
        spent_this_month=row.total_monthly_spend if _same_month(row.spend_day, day) else ZERO,
        daily_budget=row.daily_budget,
        monthly_budget=row.monthly_budget,
    )


def _same_month(one: date, other: date) -> bool:
    return periods.month_start(one) == periods.month_start(other)


def _moment(brand: Brand, now: datetime) -> Moment:
    zone, trouble = periods.zone_named(brand.current_timezone), ""
    day = periods.local_day(zone, now)
    is_ahead = brand.spend_day == day.date + timedelta(days=1)
    if is_ahead and day.ends_at - now <= periods.CLOCK_SKEW:
        # Another machine, its clock a little ahead, saw midnight already: time does not go back.
        now = day.ends_at
        day = periods.local_day(zone, now)
    if brand.pending_timezone:
        try:
            pending = periods.zone_named(brand.pending_timezone)
        except UnknownZone as error:
            trouble = f"{error}; {zone.key} stays in force"
        else:
            if brand.spend_day < day.date:
                # The old zone's day is over. Where the new zone lies behind, it is still a day that
                # has its totals already, so nobody gets a second budget for it.
                zone, day = pending, periods.local_day(pending, now)
    has_turned = brand.spend_day != day.date
    return Moment(brand=brand, zone=zone, day=day, now=now, has_turned=has_turned, trouble=trouble)


def _rolled_to(today: date) -> dict[str, object]:
    # Nothing dated after a total's day is counted, so moving forward needs no look at the ledger.
    kept = When(spend_day__gte=periods.month_start(today), then=F("total_monthly_spend"))
    return {
        "total_daily_spend": 0,
        "total_monthly_spend": Case(kept, default=Value(0), output_field=MoneyField()),
        "spend_day": today,
    }


def _turn_back(brands: Sequence[Brand], today: date) -> None:
    """Follow a clock that went back, or a new zone that lies behind: recount from the ledger.

    Rows dated ahead are uncounted again and wait for their day.
    """
    ids = [brand.pk for brand in brands]
    Spend.objects.filter(campaign__brand_id__in=ids, is_counted=True, date__gt=today).mark_counted(
        counted=False
    )
    Brand.objects.filter(pk__in=ids).write(spend_day=today)
    Campaign.objects.filter(brand_id__in=ids).write(spend_day=today)
    totals.recount(ids)
    for brand in brands:
        brand.refresh_from_db(fields=["total_daily_spend", "total_monthly_spend", "spend_day"])
