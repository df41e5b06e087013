"""Pacing: what even spending would have spent by now, and where the present rate leads.

The plan is linear pacing, the field's common rule (Google Ads paces a month as its average daily
budget times 30.4 days; scripts and tools draw the same straight line): a daily budget spread evenly
over the open time of the brand's day, a monthly budget evenly over the days on which anything is open.
Open is a time at which at least one campaign of the brand is switched on, in flight and in its hours;
its budgets are left out, because the question is how to spend them.

The **present rate** is a linearly weighted moving average: what was spent in the last four hours that
were open today (of the one that runs, in the part that is over), each newer hour counting for more,
divided by that time weighted alike. Nothing spent there, or less than a quarter of an hour open so far:
no rate, and no projection by it. The **usual rate** is that of the last
seven full days (without those before the first spend), as tools project a month from a week's trend:
the days ahead are foreseen by it, never above the daily budget, which is enforced.

Instants are UTC, dates and hours local to the brand, amounts in its currency.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import ROUND_FLOOR, Decimal
from enum import StrEnum
from functools import lru_cache
from zoneinfo import ZoneInfo

from budgets.core import periods
from budgets.core.decision import BrandFacts, CampaignFacts, Facts, Purse, decide, reached
from budgets.core.periods import LocalDay

HOUR = timedelta(hours=1)

RECENT_HOURS = 4
"""Open hours that the present rate looks back at."""

LEAST_TIME = timedelta(minutes=15)
"""How much open time a present rate needs: one report in the first minute is no rate."""

USUAL_DAYS = 7
"""Full days that the usual rate looks back at: each weekday once."""

FAR_BEHIND = Decimal("0.5")
"""Far behind is less than this part of what the plan has spent by now …"""

SETTLED = Decimal("0.25")
"""… once this share of the plan's time is over: what one report more would put right is not news."""

DAY_SOON = 2 * HOUR
"""A daily budget that is reached within this time, at the present rate, is about to be reached."""

MONTH_SOON = timedelta(days=2)
"""The same of a monthly budget."""

_INSTANT = timedelta(microseconds=1)
_NOTHING = timedelta(0)


@dataclass(frozen=True, slots=True)
class Slot:
    """A wall-clock hour of a local day, from `begins` to `ends` (exclusive, UTC), or a part of one.

    `hour` (0-23) is what the clock shows: absent where spring skips it, there twice where autumn
    repeats it. No slot is longer than an hour.
    """

    begins: datetime
    ends: datetime
    hour: int
    is_open: bool

    def until(self, now: datetime) -> timedelta:
        """Return the open time of this slot that lies before `now`."""
        return max(min(self.ends, now) - self.begins, _NOTHING) if self.is_open else _NOTHING


@dataclass(frozen=True, slots=True)
class OpenDay:
    """A local day of a brand by its hours, and how long anything is open in them.

    There are 23, 24 or 25 slots, those that are open and the others.
    """

    date: date
    slots: tuple[Slot, ...]
    open_time: timedelta

    def until(self, now: datetime) -> timedelta:
        """Return the open time that lies before `now`."""
        if now <= self.slots[0].begins:
            return _NOTHING
        if now >= self.slots[-1].ends:
            return self.open_time
        return sum((slot.until(now) for slot in self.slots), _NOTHING)

    def slot_at(self, instant: datetime) -> int:
        """Return the place of the slot of an instant; one before or after the day is taken into it."""
        places = (place for place, slot in enumerate(self.slots) if slot.begins <= instant)
        return max(places, default=0)

    def after(self, now: datetime, span: timedelta) -> datetime | None:
        """Return when `span` of open time will have passed since `now`; ``None``: not on this day."""
        for slot in self.slots:
            left = slot.until(slot.ends) - slot.until(now)
            if left and span <= left:
                return max(slot.begins, now) + span
            span -= left
        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Spending:
    """What is known of a brand's spend and time at `now`.

    `by_slot` is today's spend in the order of the slots of `today`; `by_day` the spend of dates, those
    of the last seven days included. `recent` are these seven days, `ahead` the days of the month after
    today, `behind` those before it, all in order.
    """

    now: datetime
    today: OpenDay
    behind: tuple[OpenDay, ...]
    ahead: tuple[OpenDay, ...]
    recent: tuple[OpenDay, ...]
    by_slot: Sequence[Decimal]
    by_day: Mapping[date, Decimal]
    purse: Purse


class Press(StrEnum):
    """How a brand presses: a budget is reached, is about to be, or will hardly be."""

    REACHED = "reached"
    NEAR = "near"
    BEHIND = "behind"


class Need(StrEnum):
    """Why a person should look at a brand, the most pressing reason first."""

    MONTH_REACHED = "month_reached"
    DAY_REACHED = "day_reached"
    MONTH_SOON = "month_soon"
    DAY_SOON = "day_soon"
    DAY_BEHIND = "day_behind"
    MONTH_BEHIND = "month_behind"

    @property
    def press(self) -> Press:
        """Which kind it is of."""
        match self:
            case Need.MONTH_REACHED | Need.DAY_REACHED:
                return Press.REACHED
            case Need.MONTH_SOON | Need.DAY_SOON:
                return Press.NEAR
            case _:
                return Press.BEHIND


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """How a brand spends, against its plan. ``None`` is what cannot be said.

    `rate` is the present rate, an amount for each open hour. `day_plan` and `month_plan` are what even
    spending would have spent by now. `day_end` and `month_end` are foreseen: where a budget is not
    reached yet, without it, so that one sees how far the rate leads beyond it; the month's days keep
    to the daily budget. `day_reached_at` and `month_reached_at` are when the budget is reached at
    that rate, before the period's end. `recommended_daily_budget` is what each remaining open day may
    spend, today by what is left of it, for the month to end at its budget; on the last one, what the
    whole of it may. Never negative.
    """

    rate: Decimal | None
    day_plan: Decimal | None
    month_plan: Decimal | None
    day_end: Decimal | None
    month_end: Decimal | None
    day_reached_at: datetime | None
    month_reached_at: datetime | None
    recommended_daily_budget: Decimal | None
    is_day_far_behind: bool
    is_month_far_behind: bool


def pace(spending: Spending, *, decimals: int = 2) -> Pace:
    """Compare spending with its plan, and foresee where it leads.

    `decimals` are those of the currency: the recommended daily budget is rounded down to them.
    """
    purse, today = spending.purse, spending.today
    day_plan = planned(purse.daily_budget, today, spending.now)
    month_plan = _planned_month(spending)
    rate = present_rate(today, spending.by_slot, spending.now)
    usual = usual_rate(spending.recent, spending.by_day)
    month_end, month_reached_at = _month(spending, rate, usual)
    return Pace(
        rate=rate,
        day_plan=day_plan,
        month_plan=month_plan,
        day_end=_day_end(spending, rate),
        month_end=month_end,
        day_reached_at=_day_reached_at(spending, rate),
        month_reached_at=month_reached_at,
        recommended_daily_budget=_recommended(spending, decimals),
        is_day_far_behind=is_far_behind(purse.spent_today, day_plan, purse.daily_budget),
        is_month_far_behind=is_far_behind(purse.spent_this_month, month_plan, purse.monthly_budget),
    )


def needs(spending: Spending, pace: Pace) -> tuple[Need, ...]:
    """Return every reason to look at a brand, the most pressing first; none: it needs nobody.

    Only of brands of which something may run today. A budget that is reached as the day's open time, or
    the month, comes to its end is what was planned, so that only reaching it earlier counts.
    """
    purse, now, today = spending.purse, spending.now, spending.today
    if not today.open_time:
        return ()
    last_hour = today.after(now, _time_left(spending) - HOUR)  # over, once it has begun
    last_day = spending.ahead[-1].slots[0].begins if spending.ahead else now
    applies = {
        Need.MONTH_REACHED: purse.month_is_spent,
        Need.DAY_REACHED: purse.day_is_spent,
        Need.MONTH_SOON: _is_before(pace.month_reached_at, now + MONTH_SOON, last_day),
        Need.DAY_SOON: _is_before(pace.day_reached_at, now + DAY_SOON, last_hour),
        Need.DAY_BEHIND: pace.is_day_far_behind,
        Need.MONTH_BEHIND: pace.is_month_far_behind,
    }
    return tuple(need for need in Need if applies[need])


def _is_before(instant: datetime | None, *latest: datetime | None) -> bool:
    return instant is not None and all(each is not None and instant < each for each in latest)


def open_day(day: LocalDay, campaigns: Iterable[CampaignFacts]) -> OpenDay:
    """Return the hours of `day`, open where any of the campaigns is."""
    return _open_day(day, _opened(frozenset(campaigns), day.date))


def open_days(
    zone: ZoneInfo, first: date, last: date, today: LocalDay, campaigns: Iterable[CampaignFacts]
) -> tuple[OpenDay, ...]:
    """Return the days of `zone` from `first` to `last`, both included; none when `first` is later.

    `today` is the day that is now.
    """
    return _open_days(zone, first, last, today.starts_at, frozenset(campaigns))


def planned(budget: Decimal | None, day: OpenDay, now: datetime) -> Decimal | None:
    """Return what even spending of a daily budget has spent by `now`.

    ``None``: there is no budget, or nothing is open on this day.
    """
    if budget is None or not day.open_time:
        return None
    return budget * _share(day.until(now), day.open_time)


def present_rate(day: OpenDay, by_slot: Sequence[Decimal], now: datetime) -> Decimal | None:
    """Return what an open hour spends at present; ``None``: nothing, in the hours that count."""
    begun = [
        (slot.until(now), spent)
        for slot, spent in zip(day.slots, by_slot, strict=True)
        if slot.until(now)
    ]
    recent = list(enumerate(begun[-RECENT_HOURS:], start=1))
    if day.until(now) < LEAST_TIME:
        return None
    spent = sum((weight * amount for weight, (_, amount) in recent), Decimal(0))
    return _rate(spent, sum((weight * span for weight, (span, _) in recent), _NOTHING))


def usual_rate(recent: Sequence[OpenDay], by_day: Mapping[date, Decimal]) -> Decimal | None:
    """Return what an open hour spent on the last full days; ``None``: nothing, or nothing was open."""
    spent_on = (place for place, day in enumerate(recent) if by_day.get(day.date))
    begun = recent[next(spent_on, len(recent)) :]
    spent = sum((by_day.get(day.date, Decimal(0)) for day in begun), Decimal(0))
    return _rate(spent, sum((day.open_time for day in begun), _NOTHING))


def is_far_behind(spent: Decimal, plan: Decimal | None, budget: Decimal | None) -> bool:
    """Tell whether so little is spent that the budget will hardly be, with enough of the time over."""
    if not plan or not budget:
        return False
    return plan >= SETTLED * budget and spent < FAR_BEHIND * plan


@lru_cache(maxsize=4096)
def _open_days(
    zone: ZoneInfo, first: date, last: date, now: datetime, campaigns: frozenset[CampaignFacts]
) -> tuple[OpenDay, ...]:
    days = (first + timedelta(days=number) for number in range((last - first).days + 1))
    return tuple(open_day(periods.day_of(zone, day, now), campaigns) for day in days)


@lru_cache(maxsize=65_536)
def _opened(campaigns: frozenset[CampaignFacts], today: date) -> int:
    """Return the hours of a local date in which any of these campaigns is open, one bit each."""
    opened = 0
    for campaign in campaigns:
        opened |= _open_hours(campaign, today)
    return opened


@lru_cache(maxsize=65_536)
def _open_hours(campaign: CampaignFacts, today: date) -> int:
    """Return the hours of a local date in which nothing but a budget holds a campaign, one bit each."""
    opened = 0
    for hour in range(24):
        brand = BrandFacts(
            is_active=True, day_is_spent=False, month_is_spent=False, today=today, hour=hour
        )
        opened |= (not decide(Facts(brand=brand, campaign=campaign))) << hour
    return opened


@lru_cache(maxsize=16_384)
def _open_day(day: LocalDay, opened: int) -> OpenDay:
    ends = [begins for begins, _ in day.hours[1:]] + [day.ends_at]
    slots = tuple(
        Slot(begins, min(begins + HOUR, until), hour, bool(opened >> hour & 1))
        for (first, hour), until in zip(day.hours, ends, strict=True)
        for begins in _hourly(first, until)
    )
    return OpenDay(day.date, slots, sum((slot.until(slot.ends) for slot in slots), _NOTHING))


def _hourly(begins: datetime, ends: datetime) -> Iterator[datetime]:
    while begins < ends:
        yield begins
        begins += HOUR


def _planned_month(spending: Spending) -> Decimal | None:
    """Return what even spending over the month's open days has spent by now."""
    budget, today = spending.purse.monthly_budget, spending.today
    behind, ahead = _open(spending.behind), _open(spending.ahead)
    days = behind + bool(today.open_time) + ahead
    if budget is None or not days:
        return None
    return (
        budget * (behind + 1 - _left_of(today, spending.now) if today.open_time else behind) / days
    )


def _day_end(spending: Spending, rate: Decimal | None) -> Decimal | None:
    purse = spending.purse
    if purse.day_is_spent or purse.month_is_spent:
        return purse.spent_today
    return None if rate is None else purse.spent_today + rate * hours(_time_left(spending))


def _day_reached_at(spending: Spending, rate: Decimal | None) -> datetime | None:
    purse = spending.purse
    if rate is None or purse.daily_budget is None or purse.day_is_spent or purse.month_is_spent:
        return None
    return _instant(spending.today, spending.now, purse.daily_budget - purse.spent_today, rate)


def _month(
    spending: Spending, rate: Decimal | None, usual: Decimal | None
) -> tuple[Decimal | None, datetime | None]:
    """Go on to the month's end: what will be spent, and when that reaches the monthly budget."""
    if spending.purse.month_is_spent:
        return spending.purse.spent_this_month, None
    # Each period at the rate that is known best for it.
    now_rate, then_rate = rate or usual, usual or rate
    if now_rate is None or then_rate is None:
        return None, None
    purse = spending.purse
    spent, limit, reached_at = purse.spent_this_month, purse.monthly_budget, None
    room = _room(purse.daily_budget, purse.spent_today)
    steps = [(spending.today, now_rate, room)]
    steps += [(day, then_rate, _room(purse.daily_budget, Decimal(0))) for day in spending.ahead]
    for day, hourly, most in steps:
        left = day.open_time - day.until(spending.now)
        more = hourly * hours(left)
        more = more if most is None else min(more, most)
        if limit is not None and reached_at is None and spent < limit <= spent + more:
            reached_at = _instant(day, spending.now, limit - spent, hourly)
        spent += more
    return spent, reached_at


def _recommended(spending: Spending, decimals: int) -> Decimal | None:
    """Return the monthly budget's rest over the remaining open days, today by what is left of it."""
    purse, ahead = spending.purse, _open(spending.ahead)
    left = _room(purse.monthly_budget, purse.spent_this_month)
    days = _left_of(spending.today, spending.now) + ahead
    if left is None or not days:
        return None
    # On the last open day, what the whole of it may spend: over the five minutes left before midnight
    # the rest of the month would come to a daily budget that is a hundred times too high tomorrow.
    daily = left / days if ahead or not left else max(purse.spent_today + left, Decimal(0))
    return daily.quantize(Decimal(1).scaleb(-decimals), ROUND_FLOOR)


def _room(budget: Decimal | None, spent: Decimal) -> Decimal | None:
    """Return what may still be spent of a budget; ``None``: there is no limit."""
    if budget is None:
        return None
    return Decimal(0) if reached(spent, budget) else budget - spent


def _instant(day: OpenDay, now: datetime, amount: Decimal, rate: Decimal) -> datetime | None:
    """Return when `amount` more is spent on `day`; ``None``: not on this day."""
    if amount > rate * hours(day.open_time):
        return None
    return day.after(now, int(amount / rate * (HOUR // _INSTANT)) * _INSTANT)


def _time_left(spending: Spending) -> timedelta:
    return spending.today.open_time - spending.today.until(spending.now)


def _left_of(day: OpenDay, now: datetime) -> Decimal:
    """Return the share of a day's open time that is still to come; none where nothing is open."""
    whole = day.open_time
    return _share(whole - day.until(now), whole) if whole else Decimal(0)


def _open(days: Iterable[OpenDay]) -> int:
    """Count the days on which anything is open."""
    return sum(bool(day.open_time) for day in days)


def _rate(spent: Decimal, time: timedelta) -> Decimal | None:
    return spent / hours(time) if spent > 0 and time else None


def hours(span: timedelta) -> Decimal:
    """Return a span of time in hours."""
    return _share(span, HOUR)


def _share(part: timedelta, whole: timedelta) -> Decimal:
    return Decimal(part // _INSTANT) / (whole // _INSTANT)
