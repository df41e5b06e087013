"""Bring rows of the ledger into the totals, each exactly once."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from decimal import Decimal

from django.db import OperationalError
from django.db.models import Q, QuerySet

from budgets.core import money, periods
from budgets.core.decision import Purse
from budgets.models import Brand, Campaign, Spend
from budgets.services import enforcement, rollover, totals
from budgets.services.enforcement import Outcome, Trigger
from budgets.services.rollover import Moment
from budgets.services.totals import Addend
from budgets.services.transactions import settle

logger = logging.getLogger(__name__)

BATCH = 1000
EARLIEST_ZONE = timedelta(hours=14)
"""Kiribati is this far ahead of UTC: no local date anywhere is later."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """An amount of a campaign on a local day of its brand."""

    campaign_id: int
    brand_id: int
    date: date
    amount: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """A campaign as counting needs it, read under its brand's lock."""

    brand_id: int
    purse: Purse


@dataclass(frozen=True, slots=True)
class Counted:
    """What counting the uncounted rows did."""

    rows: int = 0
    outcome: Outcome = field(default_factory=Outcome)

    def __add__(self, other: Counted) -> Counted:
        return Counted(self.rows + other.rows, self.outcome + other.outcome)


class TotalTooLarge(ValueError):
    """A total would no longer fit the database's integer."""


def accounts(campaign_ids: Iterable[int], moments: Mapping[int, Moment]) -> dict[int, Account]:
    """Read the budgets and totals of campaigns whose brands are locked and turned."""
    rows = Campaign.objects.filter(pk__in=set(campaign_ids), brand_id__in=moments).values_list(
        "pk",
        "brand_id",
        "total_daily_spend",
        "total_monthly_spend",
        "daily_budget",
        "monthly_budget",
    )
    return {
        pk: Account(
            brand_id=brand_id,
            purse=Purse(
                spent_today=today,
                spent_this_month=month,
                daily_budget=daily,
                monthly_budget=monthly,
            ),
        )
        for pk, brand_id, today, month, daily, monthly in rows
    }


def addend(entry: Entry, today: date) -> Addend:
    """Return what an entry adds to totals that speak of `today`: late spend counts for its month only."""
    if entry.date == today:
        return Addend(entry.amount, entry.amount)
    if periods.month_start(today) <= entry.date < today:
        return Addend(totals.ZERO, entry.amount)
    return Addend()


def count(
    entries: Iterable[Entry], moments: Mapping[int, Moment], read: Mapping[int, Account]
) -> list[Moment]:
    """Add `entries` to the totals; return the moments of the brands that must be decided now.

    Those in which a budget was crossed (by a refund the other way), and those that are due. Raises
    `TotalTooLarge` before anything is written.
    """
    by_campaign: dict[int, Addend] = defaultdict(Addend)
    by_brand: dict[int, Addend] = defaultdict(Addend)
    for entry in entries:
        added = addend(entry, moments[entry.brand_id].day.date)
        by_campaign[entry.campaign_id] += added
        by_brand[entry.brand_id] += added
    to_decide = {pk for pk, moment in moments.items() if moment.is_due}
    for campaign_id, added in by_campaign.items():
        account = read[campaign_id]
        if _crosses(account.purse, added):
            to_decide.add(account.brand_id)
    for brand_id, added in by_brand.items():
        brand = moments[brand_id].brand
        if _crosses(rollover.purse(brand, moments[brand_id].day.date), added):
            to_decide.add(brand_id)
    totals.add(by_campaign, by_brand)
    for brand_id, added in by_brand.items():
        brand = moments[brand_id].brand
        brand.total_daily_spend += added.today
        brand.total_monthly_spend += added.this_month
    return [moments[brand_id] for brand_id in sorted(to_decide)]


def count_uncounted(now: datetime) -> Counted:
    """Count the rows that came by another road and whose local day has come; pause whom they exhaust."""
    counted = Counted()
    until = (now + EARLIEST_ZONE).date()
    last = (date.min, 0)
    while batch := list(_waiting(until, last)):
        last = batch[-1][:2]
        by_brand: dict[int, list[int]] = defaultdict(list)
        for _, pk, brand_id in batch:
            by_brand[brand_id].append(pk)
        counted += _count_isolating(by_brand, now)
    return counted


def _waiting(until: date, last: tuple[date, int]) -> QuerySet[Spend, tuple[date, int, int]]:
    # By key, not by offset: rows that must wait for their day stay where they are.
    after = Q(date__gt=last[0]) | Q(date=last[0], pk__gt=last[1])
    rows = Spend.objects.countable(until=until).filter(after).order_by("date", "pk")
    return rows.values_list("date", "pk", "campaign__brand_id")[:BATCH]


def _count_isolating(by_brand: Mapping[int, list[int]], now: datetime) -> Counted:
    """Count rows of several brands together; when that fails, of each alone, and name the culprit."""
    try:
        return settle(lambda: _count_rows(by_brand, now))
    except OperationalError:
        raise  # the database's trouble, not a brand's
    except Exception as error:
        if len(by_brand) == 1:
            logger.exception("the spend of a brand cannot be counted")
            words = f"its spend cannot be counted: {error}"
            enforcement.note_troubles(dict.fromkeys(by_brand, words), now)
            return Counted(outcome=Outcome(troubled=1))
        logger.exception("a batch of uncounted spend failed, going through its brands one by one")
    counted = Counted()
    for brand_id in sorted(by_brand):
        counted += _count_isolating({brand_id: by_brand[brand_id]}, now)
    return counted


def _count_rows(by_brand: Mapping[int, list[int]], now: datetime) -> Counted:
    turned = rollover.turn(Brand.objects.filter(pk__in=by_brand).locked(), now)
    enforcement.note_troubles(turned.troubles, now)
    moments = turned.by_brand()
    ids = [pk for brand_id in moments for pk in by_brand[brand_id]]
    # Read again under the lock: another worker may have counted them meanwhile.
    rows = Spend.objects.uncounted().filter(pk__in=ids)
    entries = {
        pk: Entry(campaign_id=campaign_id, brand_id=brand_id, date=day, amount=amount)
        for pk, campaign_id, brand_id, day, amount in rows.values_list(
            "pk", "campaign_id", "campaign__brand_id", "date", "amount"
        )
        if day <= moments[brand_id].day.date
    }
    if not entries:
        return Counted(outcome=Outcome(rolled=turned.rolled, troubled=len(turned.troubles)))
    Spend.objects.filter(pk__in=list(entries)).mark_counted(counted=True)
    read = accounts((entry.campaign_id for entry in entries.values()), moments)
    to_decide = count(entries.values(), moments, read)
    outcome = enforcement.enforce(to_decide, trigger=Trigger.SPEND, now=now)
    return Counted(
        rows=len(entries),
        outcome=outcome + Outcome(rolled=turned.rolled, troubled=len(turned.troubles)),
    )


def _crosses(purse: Purse, added: Addend) -> bool:
    after = purse.plus(today=added.today, this_month=added.this_month)
    for total in (after.spent_today, after.spent_this_month):
        if abs(total) > money.MAX_TOTAL:
            raise TotalTooLarge(
                f"the total would be {total:f}; the largest that is kept is {money.MAX_TOTAL:f}"
            )
    return (purse.day_is_spent, purse.month_is_spent) != (after.day_is_spent, after.month_is_spent)
