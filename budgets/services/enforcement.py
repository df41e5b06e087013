"""Make the state in force what the decision says. Nobody else writes `is_active` and `hold`."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import Enum
from typing import Any

from django.db import OperationalError
from django.db.models import QuerySet

from budgets.core import money
from budgets.core.decision import (
    BUDGET_HOLDS,
    UNLIMITED,
    BrandFacts,
    CampaignFacts,
    Facts,
    Hold,
    Purse,
    decide,
    next_change,
)
from budgets.models import Brand, Campaign, Cause, StatusChange
from budgets.models.brand import AT_ONCE
from budgets.services import rollover
from budgets.services.rollover import Moment
from budgets.services.transactions import ROWS, StateMoved, chunks, settle

logger = logging.getLogger(__name__)

BATCH = 200
"""Brands a transaction: ingestion beside a pass then waits 45 ms at p99; 3,135 ms if it takes all."""

TRY_AGAIN_AFTER = timedelta(minutes=15)
"""A brand that cannot be processed is left alone this long, so that it does not fill every pass."""


class Trigger(Enum):
    """What made us look at a brand."""

    SPEND = "spend"
    CLOCK = "clock"
    EDIT = "edit"
    SWEEP = "sweep"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a look at some brands did; `paused` and `resumed` are the campaigns' ids."""

    brands: int = 0
    rolled: int = 0
    changes: int = 0
    paused: tuple[int, ...] = ()
    resumed: tuple[int, ...] = ()
    troubled: int = 0

    def __add__(self, other: Outcome) -> Outcome:
        return Outcome(
            self.brands + other.brands,
            self.rolled + other.rolled,
            self.changes + other.changes,
            self.paused + other.paused,
            self.resumed + other.resumed,
            self.troubled + other.troubled,
        )


@dataclass(slots=True, kw_only=True)
class _Verdicts:
    """The decisions about one brand: asked once per distinct situation of its campaigns."""

    moment: Moment
    brand: BrandFacts
    windows: set[tuple[int, int]] = field(default_factory=set)
    known: dict[CampaignFacts, tuple[Hold, ...]] = field(default_factory=dict)

    def about(self, campaign: CampaignFacts) -> tuple[Hold, ...]:
        holds = self.known.get(campaign)
        if holds is None:
            holds = self.known[campaign] = decide(Facts(brand=self.brand, campaign=campaign))
            self.windows.add((campaign.allowed_start_hour, campaign.allowed_end_hour))
        return holds


@dataclass(frozen=True, slots=True)
class Move:
    """A campaign whose state is not what the decision says."""

    campaign_id: int
    old: str
    holds: tuple[Hold, ...]
    purse: Purse
    verdicts: _Verdicts

    @property
    def new(self) -> str:
        """The hold to store; empty: active."""
        return self.holds[0].value if self.holds else ""


def enforce(
    moments: Sequence[Moment], *, trigger: Trigger, now: datetime, actor: str = ""
) -> Outcome:
    """Decide all campaigns of locked, turned brands; write what differs, and when to look again.

    Raises `StateMoved` when a row is not as it was read: the caller's transaction begins again.
    """
    if not moments:
        return Outcome()
    verdicts = {
        moment.brand.pk: _Verdicts(moment=moment, brand=brand_facts(moment)) for moment in moments
    }
    moves = _moves(verdicts)
    by_transition: dict[tuple[str, str], list[int]] = defaultdict(list)
    for move in moves:
        by_transition[move.old, move.new].append(move.campaign_id)
    for (old, new), ids in sorted(by_transition.items()):
        for chunk in chunks(ids):
            _transit(chunk, old, new)
    rows = [_log_row(move, trigger, now, actor) for move in moves]
    StatusChange.objects.bulk_create(rows, batch_size=ROWS)
    _store_next_look(verdicts.values())
    return Outcome(
        brands=len(moments),
        changes=len(moves),
        paused=tuple(move.campaign_id for move in moves if not move.old),
        resumed=tuple(move.campaign_id for move in moves if not move.new),
    )


def look_at(
    brands: Sequence[Brand], *, trigger: Trigger, now: datetime, actor: str = ""
) -> Outcome:
    """Turn locked brands to their local day and enforce them; note those that cannot be processed."""
    turned = rollover.turn(brands, now)
    note_troubles(turned.troubles, now)
    outcome = enforce(turned.moments, trigger=trigger, now=now, actor=actor)
    return outcome + Outcome(rolled=turned.rolled, troubled=len(turned.troubles))


def drain(now: datetime) -> Outcome:
    """Look at every due brand, a bounded number a transaction, skipping what other workers hold."""
    outcome = Outcome()
    # The probe takes no lock: an idle pass costs one read of the index, however many brands exist.
    while Brand.objects.due(at=now).exists():
        due = Brand.objects.due(at=now).order_by("due_at", "pk")[:BATCH]
        taken = _isolating(
            due.select_for_update(no_key=True, skip_locked=True), trigger=Trigger.CLOCK, now=now
        )
        outcome += taken
        if taken.brands + taken.troubled < BATCH:
            break  # what is left, if anything, is in another worker's hands
    return outcome


def sweep(now: datetime) -> Outcome:
    """Look at every brand, due or not: what raw SQL changed is found here. Counts what it corrected."""
    outcome = Outcome()
    last = 0
    while ids := list(_ids_after(last)):
        last = ids[-1]
        outcome += _isolating(
            Brand.objects.filter(pk__in=ids).locked(), trigger=Trigger.SWEEP, now=now
        )
    return outcome


def _ids_after(last: int) -> QuerySet[Brand, int]:
    brands = Brand.objects.filter(pk__gt=last).order_by("pk")
    return brands.values_list("pk", flat=True)[:BATCH]


def _isolating(brands: QuerySet[Brand], *, trigger: Trigger, now: datetime) -> Outcome:
    """Look at the brands a locking query gives; when that fails, at each alone, and name the culprit."""
    ids: list[int] = []

    def together() -> Outcome:
        locked = list(brands.all())
        ids[:] = [brand.pk for brand in locked]
        return look_at(locked, trigger=trigger, now=now)

    try:
        return settle(together)
    except OperationalError:
        raise  # the database's trouble, not a brand's
    except Exception:
        logger.exception("a batch of brands failed, going through them one by one")
    outcome = Outcome()
    for pk in sorted(ids):
        outcome += look_at_alone(pk, trigger=trigger, now=now)
    return outcome


def look_at_alone(brand_id: int, *, trigger: Trigger, now: datetime) -> Outcome:
    """Look at one brand in a transaction of its own; a failure becomes its `trouble`."""
    brand = Brand.objects.filter(pk=brand_id).locked()
    try:
        return settle(lambda: look_at(list(brand.all()), trigger=trigger, now=now))
    except OperationalError:
        raise
    except Exception as error:
        logger.exception("brand %s failed", brand_id)
        note_troubles({brand_id: f"{type(error).__name__}: {error}"}, now)
        return Outcome(troubled=1)


def note_troubles(troubles: dict[int, str], now: datetime) -> None:
    """Store why brands cannot be processed, for health to name, and try again later."""
    for pk, words in troubles.items():
        logger.error("brand cannot be processed: brand=%s trouble=%s", pk, words)
        Brand.objects.filter(pk=pk).write(trouble=words[:500], due_at=now + TRY_AGAIN_AFTER)


def brand_facts(moment: Moment) -> BrandFacts:
    """Return what the decision asks of a turned brand."""
    today = moment.day.date
    return BrandFacts(
        is_active=moment.brand.is_active,
        purse=rollover.purse(moment.brand, today),
        today=today,
        hour=moment.hour,
    )


def _moves(verdicts: Mapping[int, _Verdicts]) -> list[Move]:
    # Tuples of just these columns: as model instances a campaign costs 20-25 µs, and most do not move.
    rows = Campaign.objects.filter(brand_id__in=verdicts).values_list(
        "pk",
        "brand_id",
        "hold",
        "is_enabled",
        "starts_on",
        "ends_on",
        "allowed_start_hour",
        "allowed_end_hour",
        "daily_budget",
        "monthly_budget",
        "total_daily_spend",
        "total_monthly_spend",
    )
    moves = []
    for pk, brand_id, old, enabled, starts, ends, opens, closes, daily, monthly, day, month in rows:
        has_no_budget = daily is None and monthly is None
        facts = CampaignFacts(
            is_enabled=enabled,
            starts_on=starts,
            ends_on=ends,
            allowed_start_hour=opens,
            allowed_end_hour=closes,
            # Without a budget of its own what it spent decides nothing: it shares its answer.
            purse=UNLIMITED
            if has_no_budget
            else Purse(
                spent_today=day, spent_this_month=month, daily_budget=daily, monthly_budget=monthly
            ),
        )
        holds = verdicts[brand_id].about(facts)
        if old != (holds[0].value if holds else ""):
            moves.append(Move(pk, old, holds, facts.purse, verdicts[brand_id]))
    return moves


def _transit(ids: Sequence[int], old: str, new: str) -> None:
    rows = Campaign.objects.filter(pk__in=ids, hold=old)
    if not new:
        # An operator who switches off by raw SQL meanwhile, without the brand's lock, wins.
        rows = rows.filter(is_enabled=True)
    if rows.write(hold=new, is_active=not new) != len(ids):
        raise StateMoved(f"campaigns left {old or 'active'!r} before they could become {new!r}")


def _store_next_look(verdicts: Iterable[_Verdicts]) -> None:
    brands_by_next: dict[tuple[datetime, str], list[int]] = defaultdict(list)
    for verdict in verdicts:
        moment = verdict.moment
        due_at = next_change(moment.day, verdict.windows, moment.now)
        if (moment.brand.due_at, moment.brand.trouble) != (due_at, moment.trouble):
            brands_by_next[due_at, moment.trouble].append(moment.brand.pk)
    for (due_at, trouble), ids in brands_by_next.items():
        Brand.objects.filter(pk__in=ids).write(due_at=due_at, trouble=trouble)


def _log_row(move: Move, trigger: Trigger, now: datetime, actor: str) -> StatusChange:
    return StatusChange(
        campaign_id=move.campaign_id,
        at=now,
        was_active=not move.old,
        is_active=not move.new,
        old_hold=move.old,
        hold=move.new,
        cause=_cause(move, trigger),
        actor=actor,
        figures=_figures(move),
    )


def _cause(move: Move, trigger: Trigger) -> Cause:
    brand = move.verdicts.moment.brand
    if trigger is Trigger.SWEEP:
        return Cause.SWEEP
    if trigger is Trigger.SPEND:
        if move.new in BUDGET_HOLDS:
            return Cause.SPEND
        # A refund lifts a budget's hold; but if the day has turned, that did.
        if move.old in BUDGET_HOLDS and not move.verdicts.moment.has_turned:
            return Cause.SPEND
    if trigger is Trigger.EDIT or brand.due_at == AT_ONCE:
        return Cause.OPERATOR if Hold.OPERATOR in (move.old, move.new) else Cause.EDIT
    return Cause.ROLLOVER if BUDGET_HOLDS & {move.old, move.new} else Cause.SCHEDULE


def _figures(move: Move) -> dict[str, Any]:
    """Return what decided: the holds that apply, and spent and budget of the one stored or lifted."""
    moment = move.verdicts.moment
    figures: dict[str, Any] = {
        "holds": [hold.value for hold in move.holds],
        "currency": moment.brand.currency,
    }
    brand, campaign = move.verdicts.brand.purse, move.purse
    decided = next((hold for hold in (move.new, move.old) if hold in BUDGET_HOLDS), None)
    match decided:
        case Hold.BRAND_DAILY_BUDGET:
            spent, budget = brand.spent_today, brand.daily_budget
        case Hold.BRAND_MONTHLY_BUDGET:
            spent, budget = brand.spent_this_month, brand.monthly_budget
        case Hold.CAMPAIGN_DAILY_BUDGET:
            spent, budget = campaign.spent_today, campaign.daily_budget
        case Hold.CAMPAIGN_MONTHLY_BUDGET:
            spent, budget = campaign.spent_this_month, campaign.monthly_budget
        case _:
            return figures
    figures["spent"] = money.plain(spent)
    figures["budget"] = None if budget is None else money.plain(budget)
    return figures
