"""What the dashboard shows of what somebody sees, in a fixed number of statements."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from django.db.models import Case, Count, F, FloatField, Q, QuerySet, Value, When
from django.db.models.functions import Cast, Greatest

from budgets.core.periods import month_start
from budgets.models import Brand, Campaign, StatusChange
from budgets.services.access import Sight

CANDIDATES = 100
"""Brands that the database proposes; the page orders these exactly and shows the first of them."""

MANY_CAMPAIGNS = 200_000
KEPT_SECONDS = 5.0
"""With so many campaigns the counts are kept for one refresh of the page: counting a million takes
0.1 s, and every open page asks for it."""

WESTERNMOST = timedelta(hours=12)
"""Baker Island is this far behind UTC: no local date anywhere is earlier."""


@dataclass(frozen=True, slots=True)
class CampaignCount:
    """How many campaigns of a brand run, and how many are held."""

    running: int = 0
    held: int = 0


def campaigns_by_hold(sight: Sight) -> dict[str, int]:
    """Count the campaigns in `sight` by hold; the empty one: active."""
    # The held ones from their own index, the others by subtraction: a quarter of grouping them all.
    rows = sight.campaigns().exclude(hold="").values_list("hold").order_by("hold")
    held = dict(rows.annotate(count=Count("pk")))
    active = max(sight.campaigns().count() - sum(held.values()), 0)
    return {"": active, **held} if active else held


class KeptCounts:
    """How many campaigns run and are held, counted anew each time while they are few.

    Kept for those who see all brands alone: what others see is theirs, and less.
    """

    def __init__(self) -> None:
        self._kept: dict[str, int] = {}
        self._until = 0.0

    def by_hold(self, sight: Sight, moment: float) -> dict[str, int]:
        """Count the campaigns in `sight` by hold; `moment` is of the monotonic clock, in seconds."""
        if sight.brand_ids is not None:
            return campaigns_by_hold(sight)
        if moment < self._until:
            return self._kept
        counts = campaigns_by_hold(sight)
        if sum(counts.values()) >= MANY_CAMPAIGNS:
            self._kept, self._until = counts, moment + KEPT_SECONDS
        return counts


kept_counts = KeptCounts()
"""Those of this process."""


def nearest_brands(now: datetime, sight: Sight) -> list[Brand]:
    """Return the brands in `sight` that seem nearest to a budget, in no exact order.

    The stored ratio proposes, it decides nothing: totals whose day is over in some zones but not in
    all may be stale, and floats are not exact. A stale total only ever seems nearer than it is, so
    that no brand near its budget is missed for it, unless `CANDIDATES` others wait for their roll.
    """
    earliest = (now - WESTERNMOST).date()
    day = _ratio("daily", since=earliest)
    month = _ratio("monthly", since=month_start(earliest))
    return list(
        sight.brands()
        .annotate(nearness=Greatest(day, month))
        .order_by("-is_active", "-nearness", "name")[:CANDIDATES]
    )


def campaign_counts(brand_ids: Collection[int]) -> dict[int, CampaignCount]:
    """Count running and held campaigns of these brands."""
    rows = (
        Campaign.objects.filter(brand_id__in=brand_ids)
        .values_list("brand_id")
        .annotate(
            running=Count("pk", filter=Q(is_active=True)),
            held=Count("pk", filter=Q(is_active=False)),
        )
    )
    return {brand_id: CampaignCount(running, held) for brand_id, running, held in rows}


def last_changes(limit: int, sight: Sight) -> QuerySet[StatusChange]:
    """Return the last status changes in `sight` with campaigns and brands, newest first."""
    changes = StatusChange.objects.select_related("campaign__brand").order_by("-pk")
    return sight.of(changes, "campaign__brand_id")[:limit]


def _ratio(period: str, *, since: date) -> Case:
    total = Cast(F(f"total_{period}_spend"), FloatField())
    budget = Cast(F(f"{period}_budget"), FloatField())
    return Case(
        When(Q(**{f"{period}_budget__isnull": True}), then=Value(0.0)),
        When(Q(**{f"{period}_budget": 0}), then=Value(1.0)),
        When(spend_day__gte=since, then=total / budget),
        default=Value(0.0),
        output_field=FloatField(),
    )
