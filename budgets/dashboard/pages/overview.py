"""The dashboard's finished values: its templates neither compute nor ask the database."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from decimal import Decimal
from zoneinfo import ZoneInfo

from django.urls import reverse

from budgets.core import periods
from budgets.core.decision import Hold
from budgets.core.durations import in_words
from budgets.models import Brand, StatusChange
from budgets.models.campaign import HOLD_LABELS
from budgets.queries import dashboard, health
from budgets.queries.dashboard import CampaignCount
from budgets.queries.explain import amount, decided_by
from budgets.services import passes, rollover
from budgets.services.access import Sight
from budgets.services.rollover import Moment
from django_celery_budget import schedule

SHOWN_BRANDS = 25
SHOWN_CHANGES = 20
SHOWN_TROUBLES = 5

NEAR = Decimal("0.8")
"""From this share of a budget on, a bar asks for attention."""

MANY_CAMPAIGNS = 200_000
KEPT_SECONDS = 5.0
"""With so many campaigns the counts are kept for one refresh of the page: counting a million takes
0.1 s, and every open page asks for it."""

RUNNING = "running"
KINDS = {
    Hold.BRAND_MONTHLY_BUDGET: "budget",
    Hold.BRAND_DAILY_BUDGET: "budget",
    Hold.CAMPAIGN_MONTHLY_BUDGET: "budget",
    Hold.CAMPAIGN_DAILY_BUDGET: "budget",
    Hold.STALE_SPEND: "unknown",
    Hold.OUTSIDE_HOURS: "time",
    Hold.NOT_STARTED: "time",
    Hold.ENDED: "time",
    Hold.OPERATOR: "person",
    Hold.BRAND_INACTIVE: "person",
    Hold.UNDECIDED: "unknown",
}
"""What holds a campaign, in the order shown: each kind has its colour and its shape."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HoldCount:
    """How many campaigns one reason holds, or none (running), and its slice of the whole."""

    words: str
    kind: str
    count: int
    starts: str
    width: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """Spend against one budget; `width` (0-100) is the drawn part, `percent` is rounded down."""

    spent: str
    budget: str
    percent: int
    width: str
    level: str
    share: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class BrandLine:
    """A brand, its two budgets and its own time."""

    pk: int
    name: str
    currency: str
    is_active: bool
    day: Bar
    month: Bar
    campaigns: CampaignCount
    local_time: str
    local_time_iso: str
    zone: str
    pending_zone: str
    url: str

    @property
    def nearness(self) -> Decimal:
        """The larger share of the two budgets."""
        return max(self.day.share, self.month.share)


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """Active, or why not."""

    words: str
    kind: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeLine:
    """One row of the log."""

    pk: int
    at: datetime
    local_time: str
    ago: str
    campaign: str
    brand: str
    before: State
    after: State
    figures: str
    cause: str
    actor: str
    url: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LastPass:
    """How fresh the states are: the age of the job that came to its end longest ago."""

    ago: str
    is_late: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """Everything on the dashboard."""

    now: datetime
    campaigns: int
    running: int
    holds: list[HoldCount]
    brands: int
    last_pass: LastPass
    nearest: list[BrandLine]
    more_brands: int
    brands_url: str
    changes: list[ChangeLine]
    troubles: list[tuple[str, str]]
    more_troubles: bool
    sees_all: bool
    may_add_brands: bool

    @property
    def summary(self) -> str:
        """One sentence for who cannot see the colours, read out when it changes."""
        return f"{self.running} of {self.campaigns} campaigns run."


def build(
    now: datetime,
    sight: Sight,
    *,
    may_open_brands: bool,
    may_open_campaigns: bool,
    may_add_brands: bool,
) -> Page:
    """Ask everything the page shows; the number of statements does not grow with the data."""
    by_hold = _counts.by_hold(sight)
    brand_count = sight.brands().count()
    nearest = _nearest(now, sight, may_open=may_open_brands)
    troubles = health.troubled_brands(SHOWN_TROUBLES + 1, sight)
    return Page(
        now=now,
        campaigns=sum(by_hold.values()),
        running=by_hold.get("", 0),
        holds=_holds(by_hold),
        brands=brand_count,
        last_pass=_last_pass(now),
        nearest=nearest,
        more_brands=max(brand_count - len(nearest), 0),
        brands_url=reverse("admin:budgets_brand_changelist") if may_open_brands else "",
        changes=[
            _change(change, now, may_open=may_open_campaigns)
            for change in dashboard.last_changes(SHOWN_CHANGES, sight)
        ],
        troubles=troubles[:SHOWN_TROUBLES],
        more_troubles=len(troubles) > SHOWN_TROUBLES,
        sees_all=sight.brand_ids is None,
        may_add_brands=may_add_brands,
    )


class _Counts:
    """How many campaigns run and are held, counted anew each time while they are few.

    Kept for those who see all brands alone: what others see is theirs, and less.
    """

    def __init__(self) -> None:
        self._kept: dict[str, int] = {}
        self._until = 0.0

    def by_hold(self, sight: Sight) -> dict[str, int]:
        if sight.brand_ids is not None:
            return dashboard.campaigns_by_hold(sight)
        if time.monotonic() < self._until:
            return self._kept
        counts = dashboard.campaigns_by_hold(sight)
        if sum(counts.values()) >= MANY_CAMPAIGNS:
            self._kept, self._until = counts, time.monotonic() + KEPT_SECONDS
        return counts


_counts = _Counts()


def _holds(by_hold: Mapping[str, int]) -> list[HoldCount]:
    total = sum(by_hold.values())
    states = [("", RUNNING, RUNNING)]
    states += [(hold.value, HOLD_LABELS[hold], kind) for hold, kind in KINDS.items()]
    counts = []
    before = 0
    for value, words, kind in states:
        count = by_hold.get(value, 0)
        counts.append(
            HoldCount(
                words=words,
                kind=kind,
                count=count,
                starts=_percent_of(before, total),
                width=_percent_of(count, total),
            )
        )
        before += count
    return counts


def _nearest(now: datetime, sight: Sight, *, may_open: bool) -> list[BrandLine]:
    brands = dashboard.nearest_brands(now, sight)
    # A brand with a corrupt zone has no local day; the banner names it.
    moments = rollover.preview(brands, now)
    lines = [_brand(moment, may_open=may_open) for moment in moments.values()]
    lines.sort(key=lambda line: (not line.is_active, -line.nearness, line.name))
    shown = lines[:SHOWN_BRANDS]
    counts = dashboard.campaign_counts([line.pk for line in shown])
    return [replace(line, campaigns=counts.get(line.pk, CampaignCount())) for line in shown]


def _brand(moment: Moment, *, may_open: bool) -> BrandLine:
    brand = moment.brand
    purse = moment.purse
    local_time = moment.now.astimezone(moment.zone)
    return BrandLine(
        pk=brand.pk,
        name=brand.name,
        currency=brand.currency,
        is_active=brand.is_active,
        day=_bar(purse.spent_today, purse.daily_budget, is_spent=purse.day_is_spent),
        month=_bar(purse.spent_this_month, purse.monthly_budget, is_spent=purse.month_is_spent),
        campaigns=CampaignCount(),
        # Written here: a template's date filter would turn it to UTC first.
        local_time=f"{local_time:%a %d %b, %H:%M}",
        local_time_iso=local_time.isoformat(timespec="minutes"),
        zone=moment.zone.key,
        pending_zone=brand.timezone if brand.timezone != moment.zone.key else "",
        url=reverse("admin:budgets_brand_change", args=[brand.pk]) if may_open else "",
    )


def _bar(spent: Decimal, budget: Decimal | None, *, is_spent: bool) -> Bar:
    if budget is None:
        return Bar(
            spent=amount(spent),
            budget="",
            percent=0,
            width="0",
            level="unlimited",
            share=Decimal(0),
        )
    share = spent / budget if budget else Decimal(is_spent)
    level = "reached" if is_spent else "near" if share >= NEAR else "calm"
    return Bar(
        spent=amount(spent),
        budget=amount(budget),
        # Down: 99.99 % must not read as reached.
        percent=int(share * 100),
        width=f"{min(max(share, Decimal(0)), Decimal(1)) * 100:.2f}",
        level=level,
        share=share,
    )


def _change(change: StatusChange, now: datetime, *, may_open: bool) -> ChangeLine:
    campaign = change.campaign
    return ChangeLine(
        pk=change.pk,
        at=change.at.astimezone(UTC),
        local_time=_local(change.at, campaign.brand),
        ago=f"{in_words(now - change.at)} ago",
        campaign=campaign.name,
        brand=campaign.brand.name,
        before=_state(change.old_hold),
        after=_state(change.hold),
        figures=decided_by(change.figures),
        cause=change.get_cause_display(),
        actor=change.actor,
        url=reverse("admin:budgets_campaign_change", args=[campaign.pk]) if may_open else "",
    )


def _state(hold: str) -> State:
    if not hold:
        return State(words="active", kind=RUNNING)
    return State(words=HOLD_LABELS[hold], kind=KINDS[Hold(hold)])


def _local(at: datetime, brand: Brand) -> str:
    try:
        zone = periods.zone_named(brand.current_timezone)
    except periods.UnknownZone:
        zone = ZoneInfo("UTC")
    return f"{at.astimezone(zone).isoformat(timespec='seconds')} ({zone.key})"


def _last_pass(now: datetime) -> LastPass:
    entries = schedule.entries()
    names = (passes.CHECK_AND_PAUSE, passes.RESET)
    patience = {name: schedule.patience(entries, name) for name in names}
    ages = health.pass_ages(health.pass_records(), patience, now)
    known = [age.age for age in ages if age.age is not None]
    return LastPass(
        ago=f"{in_words(max(known))} ago" if len(known) == len(ages) else "not yet",
        is_late=any(age.is_late for age in ages),
    )


def _percent_of(part: int, whole: int) -> str:
    return f"{100 * part / whole:.3f}" if whole else "0"
