"""Bring rows of the ledger into the totals, each exactly once."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import NamedTuple, Protocol

from django.db import OperationalError
from django.db.models import BooleanField, CharField, QuerySet
from django.db.models.expressions import RawSQL
from django.db.models.functions import Cast

from budgets.core import money, periods
from budgets.core.decision import reached
from budgets.models import Campaign, Spend
from budgets.services import enforcement, freshness, rollover, totals
from budgets.services.enforcement import Outcome, Trigger
from budgets.services.rollover import BrandRow, Moment
from budgets.services.totals import Account, Addend, TotalTooLarge
from budgets.services.transactions import FAILURES, chunks, is_lock_timeout, settle

logger = logging.getLogger(__name__)

BATCH = 1000
SNAPSHOT = 100_000
"""Rows found at once: a neighbour that never stops inserting must not keep a pass from its end."""


class Entry(Protocol):
    """An amount, in whole micro-units, of a campaign on a local day of its brand."""

    @property
    def campaign_id(self) -> int:
        """The campaign's primary key."""

    @property
    def brand_id(self) -> int:
        """Its brand's."""

    @property
    def date(self) -> date:
        """The local day."""

    @property
    def micros(self) -> int:
        """The amount."""


class _Row(NamedTuple):
    """A row of the ledger as an entry."""

    campaign_id: int
    brand_id: int
    date: date
    micros: int
    recorded_at: datetime


@dataclass(frozen=True, slots=True)
class Counted:
    """What counting the uncounted rows did."""

    rows: int = 0
    outcome: Outcome = field(default_factory=Outcome)

    def __add__(self, other: Counted) -> Counted:
        return Counted(self.rows + other.rows, self.outcome + other.outcome)


class Sums(NamedTuple):
    """What entries come to, by primary key."""

    campaigns: Mapping[int, Addend]
    brands: Mapping[int, Addend]


def count(sums: Sums, moments: Mapping[int, Moment]) -> list[Moment]:
    """Add what entries come to to the totals; return the moments of brands that must be decided now.

    Those in which a budget was crossed (by a refund the other way), and those that are due. Their
    brands are locked and turned, their campaigns rolled. Raises `TotalTooLarge`, and then the
    caller's transaction must not be committed.
    """
    to_decide = {pk for pk, moment in moments.items() if moment.is_due}
    for brand_id, added in sums.brands.items():
        brand = moments[brand_id].brand
        brand.spent_today += added.today
        brand.spent_this_month += added.this_month
        if is_crossed(brand, added):
            to_decide.add(brand_id)
    for account in totals.add(sums.campaigns, sums.brands):
        if is_crossed(account, sums.campaigns[account.pk]):
            to_decide.add(account.brand_id)
    return [moments[brand_id] for brand_id in sorted(to_decide)]


def is_crossed(account: Account | BrandRow, added: Addend) -> bool:
    """Tell whether `added`, now part of the totals, reached a budget or took back from a reached one.

    Raises `TotalTooLarge` where no total can hold the sum.
    """
    today, this_month = account.spent_today, account.spent_this_month
    if not (_LEAST <= today <= money.MAX_TOTAL and _LEAST <= this_month <= money.MAX_TOTAL):
        raise TotalTooLarge
    return _is_crossed(today, added.today, account.daily_budget) or _is_crossed(
        this_month, added.this_month, account.monthly_budget
    )


_LEAST = -money.MAX_TOTAL


def _is_crossed(spent: int, added: int, budget: int | None) -> bool:
    return budget is not None and reached(spent, budget) != reached(spent - added, budget)


def add_up(entries: Iterable[Entry], moments: Mapping[int, Moment]) -> Sums:
    """Sum entries by campaign and by brand; late spend counts for its month, not for today."""
    by_campaign: dict[int, Addend] = defaultdict(Addend)
    by_brand: dict[int, Addend] = defaultdict(Addend)
    days = {pk: moment.day.date for pk, moment in moments.items()}
    for entry in entries:
        day, today, micros = entry.date, days[entry.brand_id], entry.micros
        if day != today and not periods.month_start(today) <= day < today:
            continue
        campaign, brand = by_campaign[entry.campaign_id], by_brand[entry.brand_id]
        campaign.this_month += micros
        brand.this_month += micros
        if day == today:
            campaign.today += micros
            brand.today += micros
    return Sums(by_campaign, by_brand)


def count_uncounted(now: datetime) -> Counted:
    """Count the rows that came by another road and whose local day has come; pause whom they exhaust."""
    counted = Counted()
    last: tuple[str, int] | None = None
    while True:
        waiting = list(_waiting(now, last))
        for batch in chunks(waiting, BATCH):
            counted += _count_isolating(_by_brand(batch), now)
        if len(waiting) < SNAPSHOT:
            return counted
        # On from the last one: rows that cannot be counted stay, and must not hide those behind.
        last = waiting[-1][:2]


def _waiting(now: datetime, after: tuple[str, int] | None) -> QuerySet[Spend, tuple[str, int, int]]:
    # The date as text: a row whose date cannot be read must stop nobody else's. And no join: for
    # want of better knowledge PostgreSQL would read all campaigns, 20 ms of an idle pass at 100,000.
    rows = Spend.objects.countable(until=periods.latest_date(now)).order_by("date", "pk")
    if after is not None:
        behind = RawSQL("(date, id) > (%s, %s)", after, BooleanField())  # no input in it
        rows = rows.filter(behind)
    return rows.values_list(Cast("date", CharField()), "pk", "campaign_id")[:SNAPSHOT]


def _by_brand(batch: Iterable[tuple[str, int, int]]) -> dict[int, list[int]]:
    rows = {pk: campaign_id for _, pk, campaign_id in batch}
    campaigns = Campaign.objects.filter(pk__among=set(rows.values()))
    brand_of = dict(campaigns.values_list("pk", "brand_id"))
    by_brand: dict[int, list[int]] = defaultdict(list)
    for pk, campaign_id in rows.items():
        if campaign_id in brand_of:
            by_brand[brand_of[campaign_id]].append(pk)
        else:  # SQLite leaves foreign keys unchecked for programs that do not ask for it
            logger.error("spend %s is of a campaign that does not exist: %s", pk, campaign_id)
    return by_brand


def _count_isolating(by_brand: Mapping[int, list[int]], now: datetime) -> Counted:
    """Count rows of several brands together; when that fails, of each alone.

    What fails alone stays uncounted: health names its brand. A brand whose lock somebody holds for
    too long is left to the next pass, and keeps nobody from the rest of this one.
    """
    try:
        return settle(lambda: _count_rows(by_brand, now))
    except OperationalError as error:
        if not is_lock_timeout(error):
            raise  # the database's trouble, not a brand's
        logger.warning("somebody holds a brand; counting the others: %s", error)
    except FAILURES:
        logger.exception("uncounted spend failed: brands=%s", sorted(by_brand)[:20])
        if len(by_brand) == 1:
            return Counted(outcome=Outcome(troubled=1))
    counted = Counted()
    for brand_id in sorted(by_brand):
        counted += _count_alone(brand_id, by_brand[brand_id], now)
    return counted


def _count_alone(brand_id: int, rows: list[int], now: datetime) -> Counted:
    try:
        return settle(lambda: _count_rows({brand_id: rows}, now, waiting=False))
    except OperationalError:
        raise
    except FAILURES:
        logger.exception("the spend of brand %s cannot be counted", brand_id)
        return Counted(outcome=Outcome(troubled=1))


def _count_rows(
    by_brand: Mapping[int, list[int]], now: datetime, *, waiting: bool = True
) -> Counted:
    brands = rollover.lock(by_brand, now, waiting=waiting)
    turned = rollover.turn(brands, now, thoroughly=False)
    enforcement.note_troubles(turned.troubles, now)
    moments = turned.by_brand()
    # Read again under the lock: another worker may have counted them meanwhile.
    ids = [pk for brand_id in moments for pk in by_brand[brand_id]]
    entries = dict(_entries(ids, moments))
    done = Outcome(rolled=turned.rolled, troubled=len(turned.troubles))
    if not entries:
        # Turned back by a clock that was put right, it may be due before its time.
        turned_ones = [moment for moment in turned.moments if moment.has_turned]
        return Counted(outcome=enforcement.enforce(turned_ones, trigger=Trigger.CLOCK) + done)
    Spend.objects.filter(pk__among=list(entries)).mark_counted(counted=True)
    by_day: dict[date, set[int]] = defaultdict(set)
    for entry in entries.values():
        by_day[moments[entry.brand_id].day.date].add(entry.campaign_id)
    freshness.note(_reports(entries.values(), freshness.wanting(moments)), moments)
    rollover.roll_campaigns(by_day)  # new ones, whose totals speak of no day yet
    to_decide = count(add_up(entries.values(), moments), moments)
    outcome = enforcement.enforce(to_decide, trigger=Trigger.SPEND)
    return Counted(rows=len(entries), outcome=outcome + done)


def _reports(rows: Iterable[_Row], brand_ids: Collection[int]) -> dict[int, datetime]:
    """Return when the newest of the rows was recorded, by brand."""
    newest: dict[int, datetime] = {}
    for row in rows:
        if row.brand_id in brand_ids:
            newest[row.brand_id] = max(row.recorded_at, newest.get(row.brand_id, row.recorded_at))
    return newest


def _entries(ids: list[int], moments: Mapping[int, Moment]) -> Iterator[tuple[int, _Row]]:
    """Yield the rows that are still uncounted and whose day has come."""
    rows = Spend.objects.uncounted().filter(pk__among=ids)
    for pk, campaign_id, brand_id, day, amount, recorded_at in rows.values_list(
        "pk", "campaign_id", "campaign__brand_id", "date", "amount", "created_at"
    ):
        if day <= moments[brand_id].day.date:
            micros = money.to_micros(amount)
            yield pk, _Row(campaign_id, brand_id, day, micros, recorded_at)
