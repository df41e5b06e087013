"""Prove that totals, states and log belong together; repair totals from the ledger."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from django.db.models import Exists, F, OuterRef, Q, QuerySet, Subquery

from budgets.models import Brand, Campaign, StatusChange
from budgets.models.brand import AT_ONCE
from budgets.services import queue, rollover, totals
from budgets.services.enforcement import Outcome, Trigger, look_at
from budgets.services.queue import BATCH
from budgets.services.transactions import chunks, settle

BRANDS = 2000
"""Brands a statement."""

SHOWN = 20
"""Rows of each kind that a finding names; it counts them all."""


@dataclass(frozen=True, slots=True)
class Finding:
    """Rows that break an invariant: what it is, how many there are, and the first of them."""

    code: str
    words: str
    count: int
    shown: tuple[str, ...]


def check(*, log_after: int = 0) -> list[Finding]:
    """Return what is wrong; empty when everything belongs together. Reads only.

    `log_after`: status changes up to this key were proven before. Rows that somebody wrote a moment
    ago and the next pass will decide are not wrong. A bounded number of brands a statement, so that
    none meets the database's time limit however many there are.
    """
    found = [_Found(*kind) for kind in KINDS]
    for ids in queue.batches(BRANDS):
        for finding in found:
            finding.look(ids)
    broken = _Found("log_broken", "status changes that do not begin where the one before ended")
    broken.take(_log_broken(log_after))
    return [finding.told() for finding in [*found, broken] if finding.count]


def newest_change() -> int:
    """Return the key of the newest status change; 0 when there is none."""
    keys = StatusChange.objects.order_by("-pk").values_list("pk", flat=True)
    return keys.first() or 0


def repair(now: datetime) -> Outcome:
    """Sum the totals of brands that are off anew from the ledger, and look at every brand.

    That brings state and log together as well.
    """
    outcome = Outcome()
    for ids in queue.batches(BRANDS):
        off = set(_campaigns_off(ids).values_list("brand_id", flat=True))
        off |= set(_brands_off(ids).values_list("pk", flat=True))
        for brand_ids in chunks(sorted(off), BATCH):

            def recount(brand_ids: Sequence[int] = brand_ids) -> Outcome:
                rollover.turn(rollover.lock(brand_ids, now), now)
                totals.recount(list(brand_ids))
                return look_at(rollover.read(brand_ids, now), trigger=Trigger.SWEEP, now=now)

            outcome += settle(recount)
    # Brands are those repaired; what the sweep looked at besides is none of them.
    return outcome + replace(queue.sweep(now), brands=0)


@dataclass(slots=True)
class _Found:
    """A finding as it is being gathered."""

    code: str
    words: str
    rows: Callable[[Collection[int]], QuerySet[Campaign] | QuerySet[Brand]] | None = None
    count: int = 0
    shown: list[str] = field(default_factory=list)

    def look(self, brand_ids: Collection[int]) -> None:
        if self.rows is not None:
            self.take(self.rows(brand_ids))

    def take(self, rows: QuerySet[Campaign] | QuerySet[Brand] | QuerySet[StatusChange]) -> None:
        if count := rows.count():
            self.count += count
            self.shown += [f"{row.pk} {row}" for row in rows.order_by("pk")[:SHOWN]]

    def told(self) -> Finding:
        return Finding(self.code, self.words, self.count, tuple(self.shown[:SHOWN]))


def _campaigns_off(brand_ids: Collection[int]) -> QuerySet[Campaign]:
    sums = Campaign.objects.filter(brand_id__among=brand_ids).annotate(
        today=totals.ledger_today(), this_month=totals.ledger_this_month()
    )
    return sums.exclude(total_daily_spend=F("today"), total_monthly_spend=F("this_month"))


def _brands_off(brand_ids: Collection[int]) -> QuerySet[Brand]:
    sums = Brand.objects.filter(pk__among=brand_ids).annotate(
        today=totals.sum_of_campaigns("total_daily_spend"),
        this_month=totals.sum_of_campaigns("total_monthly_spend"),
    )
    return sums.exclude(total_daily_spend=F("today"), total_monthly_spend=F("this_month"))


def _log_differs(brand_ids: Collection[int]) -> QuerySet[Campaign]:
    changes = StatusChange.objects.filter(campaign=OuterRef("pk"))
    last = changes.order_by("-pk")
    campaigns = Campaign.objects.filter(brand_id__among=brand_ids)
    return campaigns.annotate(
        last_hold=Subquery(last.values("hold")[:1]), was_decided=Exists(changes)
    ).filter(Q(was_decided=True) & ~Q(last_hold=F("hold")))


def _active_though_off(brand_ids: Collection[int]) -> QuerySet[Campaign]:
    campaigns = Campaign.objects.filter(brand_id__among=brand_ids)
    return campaigns.filter(is_active=True, is_enabled=False).exclude(brand__due_at=AT_ONCE)


def _log_broken(after: int) -> QuerySet[StatusChange]:
    before = StatusChange.objects.filter(campaign=OuterRef("campaign"), pk__lt=OuterRef("pk"))
    chained = StatusChange.objects.filter(pk__gt=after).annotate(
        hold_before=Subquery(before.order_by("-pk").values("hold")[:1])
    )
    return chained.filter(hold_before__isnull=False).exclude(hold_before=F("old_hold"))


KINDS = (
    (
        "campaign_totals",
        "campaigns whose totals are not the sum of their ledger",
        _campaigns_off,
    ),
    ("brand_totals", "brands whose totals are not the sum of their campaigns", _brands_off),
    ("log_differs", "campaigns whose state is not the last in their log", _log_differs),
    (
        "active_though_off",
        "campaigns that are active though the operator switched them off",
        _active_though_off,
    ),
)
