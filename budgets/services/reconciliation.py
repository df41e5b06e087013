"""Prove that totals, states and log belong together; repair totals from the ledger."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from django.db.models import Exists, F, OuterRef, Q, QuerySet, Subquery, Window
from django.db.models.functions import Lag

from budgets.models import Brand, Campaign, StatusChange
from budgets.models.brand import AT_ONCE
from budgets.services import rollover, totals
from budgets.services.enforcement import BATCH, Outcome, Trigger, look_at
from budgets.services.transactions import chunks, settle

SHOWN = 20
"""Rows of each kind that a finding names; it counts them all."""


@dataclass(frozen=True, slots=True)
class Finding:
    """Rows that break an invariant: what it is, how many there are, and the first of them."""

    code: str
    words: str
    count: int
    shown: tuple[str, ...]


def check() -> list[Finding]:
    """Return what is wrong; empty when everything belongs together. Reads only.

    Rows that somebody wrote a moment ago and the next pass will decide are not wrong.
    """
    findings = [
        _finding(
            "campaign_totals",
            "campaigns whose totals are not the sum of their ledger",
            _campaigns_off(),
        ),
        _finding(
            "brand_totals", "brands whose totals are not the sum of their campaigns", _brands_off()
        ),
        _finding(
            "log_differs", "campaigns whose state is not the last in their log", _log_differs()
        ),
        _finding(
            "log_broken",
            "status changes that do not begin where the one before ended",
            _log_broken(),
        ),
        _finding(
            "active_though_off",
            "campaigns that are active though the operator switched them off",
            Campaign.objects.filter(is_active=True, is_enabled=False).exclude(
                brand__due_at=AT_ONCE
            ),
        ),
    ]
    return [finding for finding in findings if finding.count]


def repair(now: datetime) -> Outcome:
    """Sum the totals of brands that are off anew from the ledger, and decide them."""
    ids = set(_campaigns_off().values_list("brand_id", flat=True))
    ids |= set(_brands_off().values_list("pk", flat=True))
    outcome = Outcome()
    for brand_ids in chunks(sorted(ids), BATCH):

        def recount(brand_ids: Iterable[int] = brand_ids) -> Outcome:
            brands = Brand.objects.filter(pk__in=brand_ids)
            rollover.turn(brands.locked(), now)
            totals.recount(list(brand_ids))
            return look_at(list(brands.locked()), trigger=Trigger.SWEEP, now=now)

        outcome += settle(recount)
    return outcome


def _campaigns_off() -> QuerySet[Campaign]:
    sums = Campaign.objects.annotate(
        today=totals.ledger_today(), this_month=totals.ledger_this_month()
    )
    return sums.exclude(total_daily_spend=F("today"), total_monthly_spend=F("this_month"))


def _brands_off() -> QuerySet[Brand]:
    sums = Brand.objects.annotate(
        today=totals.sum_of_campaigns("total_daily_spend"),
        this_month=totals.sum_of_campaigns("total_monthly_spend"),
    )
    return sums.exclude(total_daily_spend=F("today"), total_monthly_spend=F("this_month"))


def _log_differs() -> QuerySet[Campaign]:
    changes = StatusChange.objects.filter(campaign=OuterRef("pk"))
    last = changes.order_by("-pk")
    return Campaign.objects.annotate(
        last_hold=Subquery(last.values("hold")[:1]), was_decided=Exists(changes)
    ).filter(Q(was_decided=True) & ~Q(last_hold=F("hold")))


def _log_broken() -> QuerySet[StatusChange]:
    before = Window(Lag("hold"), partition_by=F("campaign"), order_by=F("pk").asc())
    chained = StatusChange.objects.annotate(hold_before=before)
    return chained.filter(hold_before__isnull=False).exclude(hold_before=F("old_hold"))


def _finding(
    code: str, words: str, rows: QuerySet[Campaign] | QuerySet[Brand] | QuerySet[StatusChange]
) -> Finding:
    count = rows.count()
    shown = tuple(f"{row.pk} {row}" for row in rows.order_by("pk")[:SHOWN]) if count else ()
    return Finding(code, words, count, shown)
