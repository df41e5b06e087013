"""Make the state in force what the decision says. Nobody else writes `is_active` and `hold`."""

from __future__ import annotations

import json
import logging
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from enum import Enum
from itertools import islice
from types import MappingProxyType
from typing import Any, NamedTuple

from django.db import connection

from budgets.core import money, periods
from budgets.core.dayparting import Hours
from budgets.core.decision import (
    BUDGET_HOLDS,
    BrandFacts,
    CampaignFacts,
    Facts,
    Hold,
    decide,
    next_change,
    reached,
)
from budgets.core.periods import LocalDay
from budgets.models import Brand, Campaign, Cause, StatusChange, sets
from budgets.services import outbox, rollover
from budgets.services.rollover import BrandRow, Moment
from budgets.services.transactions import ROWS, StateMoved

logger = logging.getLogger(__name__)

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


@dataclass(frozen=True, slots=True, kw_only=True)
class _Kind:
    """Brands that share every answer: the same local time, the same facts."""

    day: LocalDay
    now: datetime
    facts: BrandFacts
    looks: dict[Hours, datetime] = field(default_factory=dict)

    def about(self, campaign: CampaignFacts) -> tuple[Hold, ...]:
        """Decide about campaigns in one situation."""
        return decide(Facts(brand=self.facts, campaign=campaign))

    def next_look(self, hours: Hours) -> datetime:
        """Return when time alone could change what is decided of a campaign with these hours."""
        if hours not in self.looks:
            self.looks[hours] = next_change(self.day, {hours}, self.now)
        return self.looks[hours]


class _Situation(NamedTuple):
    """Campaigns of one kind of brand that share one answer, as the database groups them.

    `campaign_ids` and `brand_ids` belong together, one by one. Amounts are whole micro-units; the
    spend of a campaign without a budget of its own decides nothing, and is left out.
    """

    kind: int
    hold: str
    is_enabled: bool
    starts_on: date | None
    ends_on: date | None
    opens: int
    closes: int
    week: str | None
    daily_budget: int | None
    monthly_budget: int | None
    spent_today: int | None
    spent_this_month: int | None
    campaign_ids: list[int]
    brand_ids: list[int]

    @property
    def hours(self) -> Hours:
        """Their allowed hours."""
        return Hours(self.opens, self.closes, self.week)

    def facts(self) -> CampaignFacts:
        """Return what the decision asks of these campaigns."""
        return CampaignFacts(
            is_enabled=self.is_enabled,
            starts_on=self.starts_on,
            ends_on=self.ends_on,
            hours=self.hours,
            day_is_spent=reached(self.spent_today or 0, self.daily_budget),
            month_is_spent=reached(self.spent_this_month or 0, self.monthly_budget),
        )


@dataclass(slots=True)
class _Moves:
    """Campaigns whose state is not what the decision says, column by column, as they are written."""

    campaigns: list[int] = field(default_factory=list)
    old: list[str] = field(default_factory=list)
    new: list[str] = field(default_factory=list)
    at: list[datetime] = field(default_factory=list)
    days: list[date] = field(default_factory=list)
    causes: list[str] = field(default_factory=list)
    figures: list[str] = field(default_factory=list)


def enforce(
    moments: Sequence[Moment],
    *,
    trigger: Trigger,
    actor: str = "",
    behind: Mapping[date, Collection[int]] = MappingProxyType({}),
) -> Outcome:
    """Decide all campaigns of locked, turned brands; write what differs, and when to look again.

    Campaigns of brands that are `behind` (see `rollover.Turned`) are rolled as they are written: to
    write them twice made everybody's midnight a quarter longer.
    Raises `StateMoved` when a row is not as it was read: the caller's transaction begins again.
    """
    if not moments:
        return Outcome()
    by_brand = {moment.brand.pk: moment for moment in moments}
    kinds, kind_of = _kinds(moments)
    looks = {
        pk: next_change(moment.day, set(), moment.now, stale_at=moment.brand.stale_at)
        for pk, moment in by_brand.items()
    }
    moves = _Moves()
    for situation in _situations(by_brand, kind_of):
        kind = kinds[situation.kind]
        look = kind.next_look(situation.hours)
        for brand_id in situation.brand_ids:
            looks[brand_id] = min(looks[brand_id], look)
        holds = kind.about(situation.facts())
        if situation.hold != (holds[0] if holds else ""):
            _add(moves, situation, holds, by_brand, trigger)
    written = [
        pk for pk, moment in by_brand.items() if trigger is Trigger.SWEEP or moment.brand.is_written
    ]
    bridges = _bridge_log(written, moves.campaigns, moments[0].now)
    _transit(moves)
    rollover.roll_campaigns_of(behind)
    changes = [*bridges, *_write_log(moves, actor)]
    outbox.write(changes)
    _store_next_look(by_brand, looks, trigger)
    return Outcome(
        brands=len(moments),
        changes=len(changes),
        paused=tuple(pk for pk, old in zip(moves.campaigns, moves.old, strict=True) if not old),
        resumed=tuple(pk for pk, new in zip(moves.campaigns, moves.new, strict=True) if not new),
    )


def look_at(
    brands: Sequence[BrandRow],
    *,
    trigger: Trigger,
    now: datetime,
    actor: str = "",
    thoroughly: bool = True,
) -> Outcome:
    """Turn locked brands to their local day and enforce them; note those that cannot be processed.

    For `thoroughly` see `rollover.turn`.
    """
    turned = rollover.turn_brands(brands, now, thoroughly=thoroughly)
    note_troubles(turned.troubles, now)
    outcome = enforce(turned.moments, trigger=trigger, actor=actor, behind=turned.behind)
    return outcome + Outcome(rolled=turned.rolled, troubled=len(turned.troubles))


def note_troubles(troubles: Mapping[int, str], now: datetime) -> None:
    """Store why brands cannot be processed, for health to name, and try again later.

    What is known already is not written again.
    """
    if not troubles:
        return
    logger.error("brands cannot be processed: %s", dict(islice(troubles.items(), 20)))
    words = [text[:500] for text in troubles.values()]
    rows, params = sets.table("noted", id=("bigint", list(troubles)), trouble=("text", words))
    at, again = map(connection.ops.adapt_datetimefield_value, (now, now + TRY_AGAIN_AFTER))
    name = sets.name_of(Brand)
    with connection.cursor() as cursor:
        cursor.execute(
            f"UPDATE {name} SET trouble = noted.trouble, due_at = %s FROM {rows}"  # noqa: S608  # names of ours
            f" WHERE {name}.id = noted.id"
            f" AND ({name}.trouble <> noted.trouble OR {name}.due_at <= %s)",
            [again, *params, at],
        )


def _bridge_log(written: Collection[int], moving: Collection[int], now: datetime) -> list[int]:
    """Log what others did to the state of locked brands' campaigns; return the ids of the rows.

    Else the log would not end in the state in force, and what is decided next would not begin there.
    Looked for in brands that somebody `written`, and in the campaigns that are `moving` anyhow.
    """
    found = [*_unlogged("brand_id", written), *_unlogged("id", moving)]
    rows = {pk: (logged, hold) for pk, logged, hold in found}
    bridges = [
        StatusChange(
            campaign_id=pk,
            at=now,
            was_active=not logged,
            is_active=not hold,
            old_hold=logged,
            hold=hold,
            cause=Cause.SWEEP,
            figures={"words": "found changed by a road that keeps no log"},
        )
        for pk, (logged, hold) in rows.items()
    ]
    return [row.pk for row in StatusChange.objects.bulk_create(bridges, batch_size=ROWS)]


def _unlogged(column: str, keys: Collection[int]) -> list[tuple[int, str, str]]:
    """Return campaigns whose log ends in another hold than theirs, with the one and the other."""
    if not keys:
        return []
    # As SQL: composing it with the ORM costs 1 ms, as much as all the rest of a small batch's pause.
    is_suspect, params = sets.among(f"campaign.{column}", keys)
    last = (
        f"SELECT hold FROM {sets.name_of(StatusChange)} WHERE campaign_id = campaign.id"  # noqa: S608  # names of ours
        " ORDER BY id DESC LIMIT 1"
    )
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT id, logged, hold FROM (SELECT id, hold, ({last}) AS logged"  # noqa: S608  # names of ours
            f" FROM {sets.name_of(Campaign)} AS campaign WHERE {is_suspect}) AS suspect"
            " WHERE logged <> hold",
            [params],
        )
        return list(cursor.fetchall())


def brand_facts(moment: Moment) -> BrandFacts:
    """Return what the decision asks of a brand."""
    purse = moment.purse
    return BrandFacts(
        is_active=moment.brand.is_active,
        day_is_spent=purse.day_is_spent,
        month_is_spent=purse.month_is_spent,
        today=moment.day.date,
        hour=moment.hour,
        waits_for_reports=moment.waits_for_reports,
    )


def _kinds(moments: Sequence[Moment]) -> tuple[list[_Kind], dict[int, int]]:
    """Return the kinds of turned brands there are, and the place of each brand's own."""
    kinds: list[_Kind] = []
    places: dict[tuple[object, ...], int] = {}
    kind_of: dict[int, int] = {}
    for moment in moments:
        brand = moment.brand
        # Zones that show the same hour may end their days apart, so the zone is part of it.
        key = (
            moment.zone.key,
            moment.now,
            brand.is_active,
            reached(brand.spent_today, brand.daily_budget),
            reached(brand.spent_this_month, brand.monthly_budget),
            moment.waits_for_reports,
        )
        if key not in places:
            places[key] = len(kinds)
            kinds.append(_Kind(day=moment.day, now=moment.now, facts=brand_facts(moment)))
        kind_of[brand.pk] = places[key]
    return kinds, kind_of


def _situations(by_brand: Mapping[int, Moment], kind_of: Mapping[int, int]) -> Iterator[_Situation]:
    """Read the campaigns of brands, grouped by what can decide: most share their answer.

    As model instances a campaign costs 20-25 µs, as a tuple 3 µs, and most do not move.
    """
    days = [by_brand[pk].day.date for pk in kind_of]
    brands, params = sets.table(
        "brand",
        id=("bigint", list(kind_of)),
        kind=("int", list(kind_of.values())),
        day=("date", days),
        month_start=("date", list(map(periods.month_start, days))),
    )
    totals = rollover.rolled("brand.day", "brand.month_start")
    gather = "array_agg" if connection.vendor == "postgresql" else "json_group_array"
    statement = (
        "SELECT brand.kind, hold, is_enabled, starts_on, ends_on, allowed_start_hour,"  # noqa: S608  # names of ours
        " allowed_end_hour, weekly_hours, daily_budget, monthly_budget,"
        f" CASE WHEN daily_budget IS NOT NULL THEN {totals.today} END,"
        f" CASE WHEN monthly_budget IS NOT NULL THEN {totals.this_month} END,"
        f" {gather}(campaign.id), {gather}(campaign.brand_id)"
        f" FROM {brands} JOIN {sets.name_of(Campaign)} AS campaign ON campaign.brand_id = brand.id"
        " GROUP BY 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12"
    )
    with connection.cursor() as cursor:
        cursor.execute(statement, params)
        rows = cursor.fetchall()
    if connection.vendor == "postgresql":
        yield from map(_Situation._make, rows)
    else:
        yield from map(_from_sqlite, rows)


def _from_sqlite(row: Sequence[Any]) -> _Situation:
    *situation, campaigns, brands = row
    return _Situation._make([*situation, json.loads(campaigns), json.loads(brands)])


def _add(
    moves: _Moves,
    situation: _Situation,
    holds: tuple[Hold, ...],
    by_brand: Mapping[int, Moment],
    trigger: Trigger,
) -> None:
    old, new = situation.hold, holds[0].value if holds else ""
    moves.campaigns += situation.campaign_ids
    moves.old += [old] * len(situation.campaign_ids)
    moves.new += [new] * len(situation.campaign_ids)
    decided = next((hold for hold in (new, old) if hold in BUDGET_HOLDS), None)
    # Campaigns of a brand share their words too: writing them costs more than deciding did.
    words: dict[int, tuple[datetime, date, str, str]] = {}
    for brand_id in situation.brand_ids:
        if brand_id not in words:
            moment = by_brand[brand_id]
            figures = _figures(holds, decided, situation, moment)
            cause = _cause(old, new, moment, trigger)
            words[brand_id] = moment.now, moment.day.date, cause, figures
        at, day, cause, figures = words[brand_id]
        moves.at.append(at)
        moves.days.append(day)
        moves.causes.append(cause)
        moves.figures.append(figures)


def _transit(moves: _Moves) -> None:
    """Write the new states, and the totals as of the brands' day, all in one statement."""
    if not moves.campaigns:
        return
    rows, params = sets.table(
        "move",
        id=("bigint", moves.campaigns),
        old=("text", moves.old),
        new=("text", moves.new),
        day=("date", moves.days),
        month_start=("date", list(map(periods.month_start, moves.days))),
    )
    with connection.cursor() as cursor:
        cursor.execute(
            f"UPDATE {sets.name_of(Campaign)} SET hold = move.new, is_active = (move.new = ''),"  # noqa: S608  # names of ours
            f" {rollover.rolling('move.day', 'move.month_start')}"
            f" FROM {rows} WHERE {sets.name_of(Campaign)}.id = move.id AND hold = move.old"
            # An operator who switches off by raw SQL meanwhile, without the brand's lock, wins.
            " AND (move.new <> '' OR is_enabled)",
            params,
        )
        moved = cursor.rowcount
    if moved != len(moves.campaigns):
        raise StateMoved(f"{len(moves.campaigns)} campaigns were to change, {moved} could")


def _write_log(moves: _Moves, actor: str) -> list[int]:
    """Write a row for each move; return their ids."""
    if not moves.campaigns:
        return []
    rows, params = sets.table(
        "move",
        id=("bigint", moves.campaigns),
        old=("text", moves.old),
        new=("text", moves.new),
        at=("timestamptz", moves.at),
        cause=("text", moves.causes),
        figures=("text", moves.figures),
    )
    figures = "move.figures::jsonb" if connection.vendor == "postgresql" else "move.figures"
    with connection.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO {sets.name_of(StatusChange)} (campaign_id, at, was_active, is_active,"  # noqa: S608  # names of ours
            " old_hold, hold, cause, actor, figures)"
            " SELECT move.id, move.at, move.old = '', move.new = '', move.old, move.new, move.cause,"
            f" %s, {figures} FROM {rows} RETURNING id",
            [actor, *params],
        )
        return [row[0] for row in cursor.fetchall()]


def _store_next_look(
    by_brand: Mapping[int, Moment], looks: Mapping[int, datetime], trigger: Trigger
) -> None:
    moments = by_brand.values()
    rows, params = sets.table(
        "look",
        id=("bigint", list(by_brand)),
        due_at=("timestamptz", [looks[pk] for pk in by_brand]),
        decided_at=("timestamptz", [moment.now for moment in moments]),
        trouble=("text", [moment.trouble for moment in moments]),
    )
    name = sets.name_of(Brand)
    is_another = f"{name}.due_at <> look.due_at"
    if trigger is Trigger.SWEEP:
        # A timer that will ring before anything can change does no harm: reports leave such behind.
        is_another = f"{name}.due_at > look.due_at OR {name}.due_at <= look.decided_at"
    with connection.cursor() as cursor:
        cursor.execute(
            f"UPDATE {name} SET due_at = look.due_at, decided_at = look.decided_at,"  # noqa: S608  # names of ours
            f" trouble = look.trouble FROM {rows} WHERE {name}.id = look.id"
            f" AND ({is_another} OR {name}.trouble <> look.trouble"
            # Of a clock that was ahead and was put right.
            f" OR {name}.decided_at > look.decided_at)",
            params,
        )


def _cause(old: str, new: str, moment: Moment, trigger: Trigger) -> str:
    """Say what made the change: a hold that only people set or lift was people's doing."""
    if trigger is Trigger.SWEEP:
        return Cause.SWEEP.value
    is_about_budget = bool(BUDGET_HOLDS & {old, new})
    if trigger is Trigger.SPEND and (
        new in BUDGET_HOLDS or (is_about_budget and not moment.has_turned)
    ):
        return Cause.SPEND.value
    if trigger is Trigger.SPEND and old == Hold.STALE_SPEND:
        return Cause.SPEND.value
    if Hold.OPERATOR in (old, new):
        return Cause.OPERATOR.value
    if trigger is Trigger.EDIT or moment.brand.is_written:
        return Cause.EDIT.value
    if is_about_budget:
        # Not the day, and no spend: somebody wrote another budget, by a road that told nobody.
        return (Cause.ROLLOVER if moment.has_turned else Cause.EDIT).value
    return (Cause.EDIT if Hold.BRAND_INACTIVE in (old, new) else Cause.SCHEDULE).value


def _figures(
    holds: tuple[Hold, ...], decided: str | None, situation: _Situation, moment: Moment
) -> str:
    """Return what decided: the holds that apply, and spent and budget of the one stored or lifted."""
    figures: dict[str, Any] = {
        "holds": [hold.value for hold in holds],
        "currency": moment.brand.currency,
    }
    brand = moment.brand
    match decided:
        case Hold.BRAND_DAILY_BUDGET:
            spent, budget = brand.spent_today, brand.daily_budget
        case Hold.BRAND_MONTHLY_BUDGET:
            spent, budget = brand.spent_this_month, brand.monthly_budget
        case Hold.CAMPAIGN_DAILY_BUDGET:
            spent, budget = situation.spent_today or 0, situation.daily_budget
        case Hold.CAMPAIGN_MONTHLY_BUDGET:
            spent, budget = situation.spent_this_month or 0, situation.monthly_budget
        case _:
            return json.dumps(figures)
    figures["spent"], figures["budget"] = _plain(spent), _plain(budget)
    return json.dumps(figures)


def _plain(micros: int | None) -> str | None:
    return None if micros is None else f"{money.from_micros(micros):f}"
