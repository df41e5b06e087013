"""Prove that totals, states and log belong together; repair totals from the ledger."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from django.db import connection, transaction
from django.db.models import Exists, F, Max, OuterRef, Q, QuerySet, Subquery

from budgets.models import Brand, Campaign, StatusChange, sets
from budgets.models.brand import AT_ONCE
from budgets.models.commit_order import ROOM, SHIFT
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
    ahead = _Found(
        "log_ahead", "status changes of a restored dump, behind which no reader sees new"
    )
    ahead.take(StatusChange.objects.from_elsewhere())
    return [finding.told() for finding in [*found, broken, ahead] if finding.count]


def newest_change() -> int:
    """Return the key of the newest status change; 0 when there is none."""
    keys = StatusChange.objects.order_by("-pk").values_list("pk", flat=True)
    return keys.first() or 0


def repair(now: datetime) -> Outcome:
    """Sum the totals of brands that are off anew from the ledger, and look at every brand.

    That brings state and log together as well. Before that a restored log gets its place before all
    that is written here.
    """
    _lift_log()
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


def _lift_log() -> None:
    """Have all that is written here be told behind what a restored dump brought along.

    What was written here since the dump was restored is told anew, behind it.
    """
    log = sets.name_of(StatusChange)
    with transaction.atomic(), connection.cursor() as cursor:
        if connection.vendor != "postgresql":
            # Only a log that was moved here from PostgreSQL has such rows.
            if StatusChange.objects.from_elsewhere().exists():
                cursor.execute(f"UPDATE {log} SET xid = 0 WHERE xid > 0")  # noqa: S608  # names of ours
            return
        if not StatusChange.objects.from_elsewhere().exists():
            return
        # Who has written a change commits first; who is about to write one then does so lifted.
        cursor.execute(f"LOCK TABLE {log} IN SHARE ROW EXCLUSIVE MODE")
        restored = StatusChange.objects.from_elsewhere().aggregate(xid=Max("xid"), pk=Max("pk"))
        lifted = (restored["xid"] // ROOM + 1) * ROOM
        cursor.execute(
            f"CREATE OR REPLACE FUNCTION {SHIFT} RETURNS bigint LANGUAGE sql STABLE"
            f" AS 'SELECT {lifted}::bigint'"
        )
        cursor.execute(f"UPDATE {log} SET xid = DEFAULT WHERE id > %s", [restored["pk"]])  # noqa: S608  # names of ours


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

INVARIANTS = (*(code for code, _, _ in KINDS), "log_broken", "log_ahead")
"""The codes of all findings there can be."""
