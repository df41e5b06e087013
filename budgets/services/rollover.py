"""Turn totals to the local day of their brand. No job resets anything: totals carry their day."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from decimal import Decimal
from functools import lru_cache
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from django.db import connection

from budgets.core import decision, money, periods
from budgets.core.decision import Purse
from budgets.core.periods import LocalDay, UnknownZone
from budgets.models import Brand, Campaign, Spend, sets
from budgets.models.brand import AT_ONCE, StalePolicy, Zoned
from budgets.services import totals

ZERO = Decimal(0)


@dataclass(slots=True)
class BrandRow(Zoned):
    """A brand as the services need it; amounts in whole micro-units.

    A model instance costs 35 µs, this 8: at midnight a hundred thousand are read.
    """

    pk: int
    name: str
    currency: str
    is_active: bool
    timezone: str
    zone_in_force: str
    spend_day: date
    spent_today: int
    spent_this_month: int
    daily_budget: int | None
    monthly_budget: int | None
    trouble: str
    stale_after_hours: int | None
    stale_policy: str
    last_report_at: datetime | None
    is_due: bool
    """Time may have changed something of it."""
    is_written: bool
    """Somebody wrote it, or a campaign of it, by a road that does not decide."""
    decided_at: datetime | None
    """When it was last decided, where that lies ahead of us."""

    @classmethod
    def of(cls, brand: Brand, now: datetime) -> BrandRow:
        """Return the same of a model instance."""
        daily, monthly = brand.daily_budget, brand.monthly_budget
        return cls(
            pk=brand.pk,
            name=brand.name,
            currency=brand.currency,
            is_active=brand.is_active,
            timezone=brand.timezone,
            zone_in_force=brand.zone_in_force,
            spend_day=brand.spend_day,
            spent_today=money.to_micros(brand.total_daily_spend),
            spent_this_month=money.to_micros(brand.total_monthly_spend),
            daily_budget=None if daily is None else money.to_micros(daily),
            monthly_budget=None if monthly is None else money.to_micros(monthly),
            trouble=brand.trouble,
            stale_after_hours=brand.stale_after_hours,
            stale_policy=brand.stale_policy,
            last_report_at=brand.last_report_at,
            is_due=brand.due_at <= now,
            is_written=brand.due_at == AT_ONCE,
            decided_at=brand.decided_at if brand.decided_at > now else None,
        )

    @property
    def wants_reports(self) -> bool:
        """Whether its spend can become stale: then `last_report_at` is kept."""
        return self.stale_after_hours is not None

    @property
    def stale_at(self) -> datetime | None:
        """The instant from which on its spend is stale, unless some is reported before."""
        return decision.stale_at(self.last_report_at, self.stale_after_hours)


class Locked(NamedTuple):
    """A locked brand, and those of its campaigns that were asked for."""

    brand: BrandRow
    campaigns: list[int]
    oldest_day: date
    """The earliest day of which the totals of one of them speak."""


def lock(brand_ids: Collection[int], now: datetime, *, waiting: bool = True) -> list[BrandRow]:
    """Lock brands, the mutex of everything that decides, in id order, and read them.

    Not `waiting`: without those that somebody else holds. What depends on them is read afterwards.
    """
    return _select(brand_ids, now, sets.lock(waiting=waiting))


def read(brand_ids: Collection[int], now: datetime) -> list[BrandRow]:
    """Read brands, in id order, without locking them."""
    return _select(brand_ids, now, "")


def lock_of(campaign_ids: Collection[int], now: datetime) -> list[Locked]:
    """Lock the brands of campaigns (see `lock`), found and locked in one statement.

    What it says of the campaigns it may read before the lock: they belong to their brand for good,
    and only the lock's holder turns their totals. Ids that are none are left out.
    """
    is_one, keys = sets.among("id", campaign_ids)
    gather = "array_agg" if connection.vendor == "postgresql" else "json_group_array"
    wanted = (
        f"(SELECT brand_id, {gather}(id) AS campaigns, MIN(spend_day) AS oldest_day"  # noqa: S608  # names of ours
        f" FROM {sets.name_of(Campaign)} WHERE {is_one} GROUP BY brand_id) AS wanted"
    )
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT {_COLUMNS}, campaigns, oldest_day FROM {sets.name_of(Brand)} AS brand"  # noqa: S608  # names of ours
            f" JOIN {wanted} ON brand_id = id ORDER BY id {sets.lock(of='brand')}",
            [*_instants(now), keys],
        )
        rows = cursor.fetchall()
    if connection.vendor == "postgresql":
        return [Locked(BrandRow(*row[:-2]), row[-2], row[-1]) for row in rows]
    return [
        Locked(_from_sqlite(row[:-2]), json.loads(row[-2]), date.fromisoformat(row[-1]))
        for row in rows
    ]


def _select(brand_ids: Collection[int], now: datetime, locking: str) -> list[BrandRow]:
    # As SQL: composing this with the ORM costs 1 ms, a third of recording one event, and a row 5 µs.
    is_wanted, keys = sets.among("id", brand_ids)
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT {_COLUMNS} FROM {sets.name_of(Brand)} WHERE {is_wanted} ORDER BY id {locking}",  # noqa: S608  # names of ours
            [*_instants(now), keys],
        )
        rows = cursor.fetchall()
    if connection.vendor == "postgresql":
        return [BrandRow(*row) for row in rows]
    return [_from_sqlite(row) for row in rows]


_COLUMNS = (
    "id, name, currency, is_active, timezone, zone_in_force, spend_day, total_daily_spend,"
    " total_monthly_spend, daily_budget, monthly_budget, trouble,"
    " stale_after_hours, stale_policy, last_report_at,"
    " due_at <= %s, due_at = %s, CASE WHEN decided_at > %s THEN decided_at END"
)


def _instants(now: datetime) -> list[Any]:
    return [connection.ops.adapt_datetimefield_value(it) for it in (now, AT_ONCE, now)]


def _from_sqlite(row: Sequence[Any]) -> BrandRow:
    *stored, reported, is_due, is_written, ahead = row
    last_report_at = reported and reported.replace(tzinfo=UTC)
    decided_at = ahead and datetime.fromisoformat(ahead).replace(tzinfo=UTC)
    return BrandRow(*[*stored, last_report_at, bool(is_due), bool(is_written), decided_at])


class Moment(NamedTuple):
    """A brand at `now`. Once it is locked and turned, its totals speak of `day`."""

    brand: BrandRow
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
    def is_stale(self) -> bool:
        """Whether its spend was not reported for longer than it allows."""
        stale_at = self.brand.stale_at
        return stale_at is not None and stale_at <= self.now

    @property
    def waits_for_reports(self) -> bool:
        """Whether, for that, nothing of it shall run until some is reported."""
        return self.is_stale and self.brand.stale_policy == StalePolicy.HOLD

    @property
    def is_due(self) -> bool:
        """Whether the brand must be decided whatever it spent: time, an edit or the end of a trouble."""
        is_well_again = self.brand.trouble != self.trouble
        return self.has_turned or is_well_again or self.brand.is_due

    @property
    def purse(self) -> Purse:
        """What the brand may spend and has spent on `day` and in its month."""
        brand, day = self.brand, self.day.date
        is_today, is_this_month = brand.spend_day == day, _same_month(brand.spend_day, day)
        daily, monthly = brand.daily_budget, brand.monthly_budget
        return Purse(
            spent_today=money.from_micros(brand.spent_today) if is_today else ZERO,
            spent_this_month=money.from_micros(brand.spent_this_month) if is_this_month else ZERO,
            daily_budget=None if daily is None else money.from_micros(daily),
            monthly_budget=None if monthly is None else money.from_micros(monthly),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Turned:
    """What became of locked brands: those that can be decided, and what is wrong with the others."""

    moments: list[Moment]
    troubles: dict[int, str]
    rolled: int
    behind: Mapping[date, list[int]]
    """By the day they turned to, brands whose campaigns' totals may still speak of an earlier one."""

    def by_brand(self) -> dict[int, Moment]:
        """Return the moments by their brand's primary key."""
        return {moment.brand.pk: moment for moment in self.moments}


def turn(brands: Iterable[BrandRow], now: datetime, *, thoroughly: bool = True) -> Turned:
    """Roll the totals of locked `brands`, and of their campaigns, to the local day of `now`.

    Where the brand's day has not turned only new campaigns can be behind. Not `thoroughly`: they
    are looked for only in brands that somebody wrote (see also `roll_campaigns`).
    A brand whose zone is corrupt is left as it is and named in the answer.
    """
    turned = turn_brands(brands, now, thoroughly=thoroughly)
    roll_campaigns_of(turned.behind)
    return turned


def turn_brands(brands: Iterable[BrandRow], now: datetime, *, thoroughly: bool = True) -> Turned:
    """Turn locked brands as `turn` does, and leave their campaigns to whoever writes these anyhow."""
    moments: list[Moment] = []
    troubles: dict[int, str] = {}
    plan = _Plan()
    for brand in brands:
        try:
            moment = moment_at(brand, now)
        except UnknownZone as error:
            troubles[brand.pk] = str(error)
            continue
        moments.append(moment)
        plan.add(moment, with_campaigns=thoroughly or moment.has_turned or brand.is_written)
    plan.write()
    rolled = sum(moment.has_turned for moment in moments)
    return Turned(moments=moments, troubles=troubles, rolled=rolled, behind=plan.campaigns_of)


@dataclass(slots=True)
class _Plan:
    """What is to be written to turn brands, by the day they turn to: as sets, not row by row."""

    adopted: dict[str, list[int]] = field(default_factory=lambda: defaultdict(list))
    forward: dict[date, list[int]] = field(default_factory=lambda: defaultdict(list))
    back: dict[date, list[BrandRow]] = field(default_factory=lambda: defaultdict(list))
    campaigns_of: dict[date, list[int]] = field(default_factory=lambda: defaultdict(list))
    waiting_since: dict[datetime | None, list[int]] = field(
        default_factory=lambda: defaultdict(list)
    )

    def add(self, moment: Moment, *, with_campaigns: bool) -> None:
        """Take a brand in, and have it say what will be in its row."""
        brand, today = moment.brand, moment.day.date
        if with_campaigns:
            self.campaigns_of[today].append(brand.pk)
        if moment.zone.key != brand.zone_in_force:
            self.adopted[moment.zone.key].append(brand.pk)
            brand.zone_in_force = moment.zone.key
        if brand.wants_reports != (brand.last_report_at is not None):
            # Nobody knows how old the last report is: the wait for the next one begins.
            brand.last_report_at = moment.now if brand.wants_reports else None
            self.waiting_since[brand.last_report_at].append(brand.pk)
        if brand.spend_day < today:
            self.forward[today].append(brand.pk)
            brand.spent_today = 0
            if not _same_month(brand.spend_day, today):
                brand.spent_this_month = 0
            brand.spend_day = today
        elif brand.spend_day > today:
            self.back[today].append(brand)

    def write(self) -> None:
        """Write it."""
        for zone_name, ids in self.adopted.items():
            Brand.objects.filter(pk__among=ids).write(zone_in_force=zone_name)
        for since, ids in self.waiting_since.items():
            Brand.objects.filter(pk__among=ids).write(last_report_at=since)
        for today, ids in self.forward.items():
            _roll(Brand, "id", ids, today)
        for today, ahead in self.back.items():
            _turn_back(ahead, today)


def roll_new(found: Iterable[Locked], moments: Mapping[int, Moment]) -> None:
    """Roll the totals of new campaigns, which speak of no day yet, to the day of their turned brands."""
    behind: dict[date, list[int]] = defaultdict(list)
    for locked in found:
        moment = moments.get(locked.brand.pk)
        if moment is not None and locked.oldest_day < moment.day.date:
            behind[moment.day.date] += locked.campaigns
    roll_campaigns(behind)


def roll_campaigns(by_day: Mapping[date, Collection[int]]) -> None:
    """Roll the totals of campaigns, by the local day that their locked brands turned to."""
    for today, ids in by_day.items():
        _roll(Campaign, "id", ids, today)


def roll_campaigns_of(by_day: Mapping[date, Collection[int]]) -> None:
    """Roll the totals of all campaigns of locked brands, by the day that these turned to."""
    for today, ids in by_day.items():
        _roll(Campaign, "brand_id", ids, today)


class Rolled(NamedTuple):
    """SQL for the totals of a row as they are on a day: of that day, and of its month."""

    today: str
    this_month: str


def rolled(day: str, month_start: str) -> Rolled:
    """Return the totals as of `day`, SQL like the first of its month; no row is ahead of it.

    Nothing dated after a total's day is counted, so moving forward needs no look at the ledger.
    """
    return Rolled(
        f"CASE WHEN spend_day >= {day} THEN total_daily_spend ELSE 0 END",
        f"CASE WHEN spend_day >= {month_start} THEN total_monthly_spend ELSE 0 END",
    )


def rolling(day: str, month_start: str) -> str:
    """Return the assignments of an UPDATE that bring a row's totals to `day` (see `rolled`)."""
    as_of = rolled(day, month_start)
    return (
        f"total_daily_spend = {as_of.today}, total_monthly_spend = {as_of.this_month},"
        f" spend_day = CASE WHEN spend_day >= {day} THEN spend_day ELSE {day} END"
    )


def _roll(model: type[Brand | Campaign], column: str, keys: Collection[int], today: date) -> None:
    is_one, array = sets.among(column, keys)
    day, month = map(connection.ops.adapt_datefield_value, (today, periods.month_start(today)))
    with connection.cursor() as cursor:
        cursor.execute(
            f"UPDATE {sets.name_of(model)} SET {rolling('%s', '%s')}"  # noqa: S608  # names of ours
            f" WHERE {is_one} AND spend_day < %s",
            [day, month, day, day, array, day],
        )


def preview(brands: Iterable[Brand], now: datetime) -> dict[int, Moment]:
    """Return the moments of brands that nobody locked, by primary key; nothing is written.

    Brands whose zone is corrupt are left out.
    """
    moments: dict[int, Moment] = {}
    for brand in brands:
        with suppress(UnknownZone):
            moments[brand.pk] = moment_at(BrandRow.of(brand, now), now)
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


def moment_at(brand: BrandRow, now: datetime) -> Moment:
    """Return the moment of a brand, or of the sums of several that share zone and day; see `preview`.

    Raises `UnknownZone` when its zone is corrupt.
    """
    ahead = brand.decided_at
    if ahead is not None and ahead - now <= periods.CLOCK_SKEW:
        # Another machine, its clock a little ahead, saw the next hour or midnight already, or we
        # waited for its lock: time does not go back.
        now = ahead
    return Moment(
        brand, *_time(brand.current_timezone, brand.pending_timezone, brand.spend_day, now)
    )


@lru_cache(maxsize=4096)
def _time(
    zone_name: str, pending: str, spend_day: date, now: datetime
) -> tuple[ZoneInfo, LocalDay, datetime, bool, str]:
    """Return what a moment says of time; brands share it by the thousand."""
    (zone, day), trouble = periods.local_day_named(zone_name, now), ""
    if pending:
        try:
            new_zone, new_day = periods.local_day_named(pending, now)
        except UnknownZone as error:
            trouble = f"{error}; {zone.key} stays in force"
        else:
            if spend_day < day.date:
                # The old zone's day is over. Where the new zone lies behind, it is still a day that
                # has its totals already, so nobody gets a second budget for it.
                zone, day = new_zone, new_day
    return zone, day, now, spend_day != day.date, trouble


def _turn_back(brands: Sequence[BrandRow], today: date) -> None:
    """Follow a clock that went back, or a new zone that lies behind: recount from the ledger.

    Rows dated ahead are uncounted again and wait for their day.
    """
    ids = [brand.pk for brand in brands]
    Spend.objects.filter(
        campaign__brand_id__among=ids, is_counted=True, date__gt=today
    ).mark_counted(counted=False)
    Brand.objects.filter(pk__among=ids).write(spend_day=today)
    Campaign.objects.filter(brand_id__among=ids).write(spend_day=today)
    totals.recount(ids)
    anew = Brand.objects.filter(pk__among=ids).in_bulk()
    for brand in brands:
        brand.spent_today = money.to_micros(anew[brand.pk].total_daily_spend)
        brand.spent_this_month = money.to_micros(anew[brand.pk].total_monthly_spend)
        brand.spend_day = today
