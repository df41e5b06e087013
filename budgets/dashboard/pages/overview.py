"""The dashboard's finished values: its templates neither compute nor ask the database."""

from __future__ import annotations

import time
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from itertools import accumulate, groupby, islice, zip_longest
from typing import Any

from django.urls import reverse

from budgets.core.durations import in_words
from budgets.core.pacing import Need, Press, hours, planned
from budgets.dashboard.bars import Bar, bar
from budgets.dashboard.charts import Chart, Series, until
from budgets.dashboard.filters import address
from budgets.dashboard.reader import Reader, Stamp, rounded
from budgets.dashboard.states import KINDS, State, state_of
from budgets.models import Campaign
from budgets.models.campaign import HOLD_LABELS
from budgets.queries import dashboard, health, pacing, told
from budgets.queries.dashboard import CANDIDATES, RUNNING, CampaignCount, Filter, Sums, Whole
from budgets.queries.pacing import BrandPace
from budgets.queries.told import Told
from budgets.services import passes, rollover
from budgets.services.access import Sight
from django_celery_budget import schedule

SHOWN_SUMS = 4
SHOWN_NEEDS = 12
SHOWN_OTHERS = 12
SHOWN_CAMPAIGNS = 20
SHOWN_CHANGES = 20
SHOWN_TROUBLES = 5

PRESSES: dict[str, str] = {
    Press.REACHED: "budget reached",
    Press.NEAR: "about to reach a budget",
    Press.BEHIND: "far behind plan",
}
"""The kinds of need in words."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HoldCount:
    """How many campaigns one reason holds, or none (running), and its slice of the whole.

    `url` shows the brands with such campaigns, or all of them again where they are shown already.
    """

    value: str
    words: str
    kind: str
    count: str
    is_none: bool
    is_chosen: bool
    starts: str
    width: str
    url: str


@dataclass(frozen=True, slots=True, kw_only=True)
class MoneyLine:
    """Spend and budgets of all brands of a currency. `unlimited`: what those without one spent."""

    currency: str
    day: Bar
    month: Bar
    unlimited_day: str
    unlimited_month: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """A figure with its name; `stamp` says more about an instant in it."""

    name: str
    words: str
    stamp: Stamp | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class BrandLine:
    """A brand, its two budgets and its own time; `needs` are words for why to look at it."""

    pk: int
    name: str
    url: str
    is_active: bool
    day: Bar
    month: Bar
    running: str
    held: str
    local_time: Stamp
    zone: str
    place: str
    pending_zone: str
    needs: list[str]
    level: str
    facts: list[Fact]
    chart: Chart | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Pressing:
    """Brands that need a person for the same kind of reason.

    `more` says how many others there are, empty for none; `url` shows them, empty where they are.
    """

    press: str
    lines: list[BrandLine]
    more: str
    url: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CampaignLine:
    """A campaign that was looked for."""

    name: str
    url: str
    brand: str
    brand_url: str
    state: State


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeLine:
    """One row of the log in words, or several that say the same of campaigns of one brand.

    `others` are name and address of the campaigns beside the first.
    """

    pk: int
    at: Stamp
    place: str
    campaign: str
    url: str
    others: list[tuple[str, str]]
    brand: str
    brand_url: str
    verb: str
    state: State
    reason: str
    figures: str
    again: str
    again_at: Stamp | None
    is_in_force: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class LastPass:
    """How fresh the states are: the age of the job that came to its end longest ago."""

    ago: str
    is_late: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Choices:
    """What can be chosen in the filter; a value that is chosen is in its list in any case."""

    zones: list[str]
    currencies: list[str]
    holds: list[tuple[str, str]]
    needs: list[tuple[str, str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """Everything on the dashboard."""

    now: datetime
    wanted: Filter
    choices: Choices
    clear_url: str
    campaigns: str
    running: str
    holds: list[HoldCount]
    brands: int
    shown_brands: str
    sums: list[MoneyLine]
    more_sums: list[MoneyLine]
    last_pass: LastPass
    pressing: list[Pressing]
    others: list[BrandLine]
    more: str
    found: list[CampaignLine]
    has_more_found: bool
    nothing: str
    changes: list[ChangeLine]
    troubles: list[tuple[str, str]]
    more_troubles: bool
    admin_url: str
    sees_all: bool

    @property
    def needs(self) -> list[BrandLine]:
        """All brands shown that need a person."""
        return [line for each in self.pressing for line in each.lines]

    @property
    def summary(self) -> str:
        """One sentence for who cannot see the colours, read out when it changes."""
        return f"{self.running} of {self.campaigns} campaigns run."


def build(reader: Reader, wanted: Filter, *, admin_url: str = "") -> Page:
    """Ask everything the page shows; the number of statements does not grow with the data.

    `admin_url` is where brands are made, empty for who may not.
    """
    sight: Sight = reader.person
    moment = time.monotonic()
    by_hold = dashboard.kept_campaigns_by_hold(sight, moment)
    whole = dashboard.kept_whole(sight, reader.now, moment)
    proposed = dashboard.candidates(sight, wanted, whole.settled_zones, reader.now)
    is_cut = len(proposed) >= CANDIDATES
    # A brand with a corrupt zone has no local day; the banner names it.
    moments = rollover.preview(proposed, reader.now)
    paces = sorted(pacing.of_brands(list(moments.values())).values(), key=_pressing)
    groups = {
        press: [each for each in paces if each.needs and each.needs[0].press is press]
        for press in Press
        if wanted.need in ("", press)
    }
    first = in_turn(
        [[each.moment.brand.pk for each in group] for group in groups.values()],
        CANDIDATES if wanted.need else SHOWN_NEEDS,
    )
    calm = [] if wanted.need else [each for each in paces if not each.needs][:SHOWN_OTHERS]
    shown = {*first, *(each.moment.brand.pk for each in calm)}
    counts = dashboard.campaign_counts(shown)
    lines = {
        brand.pk: _brand(reader, each, counts)
        for each in paces
        if (brand := each.moment.brand).pk in shown
    }
    found = dashboard.matching_campaigns(sight, wanted, SHOWN_CAMPAIGNS + 1)
    chosen = shown if wanted.need else {brand.pk for brand in proposed}
    only = None if wanted.is_empty else chosen
    changes = dashboard.last_changes(SHOWN_CHANGES, sight.brand_ids if only is None else only)
    # The currencies of most brands first.
    most = sorted(whole.sums.values(), key=lambda each: (-each.brands, each.currency))
    sums = [_sums(reader, each) for each in most]
    troubles = health.troubled_brands(SHOWN_TROUBLES + 1, sight) if whole.troubled else []
    return Page(
        now=reader.now,
        wanted=wanted,
        choices=_choices(whole, wanted),
        clear_url=reverse("dashboard"),
        campaigns=reader.number(sum(by_hold.values())),
        running=reader.number(by_hold.get("", 0)),
        holds=_holds(reader, by_hold, wanted),
        brands=whole.brands,
        shown_brands=reader.number(whole.brands),
        sums=sums[:SHOWN_SUMS],
        more_sums=sums[SHOWN_SUMS:],
        last_pass=_last_pass(reader.now),
        pressing=[
            _group(
                reader,
                wanted,
                press,
                [lines.get(each.moment.brand.pk) for each in group],
                is_cut=is_cut,
            )
            for press, group in groups.items()
        ],
        others=[lines[each.moment.brand.pk] for each in calm],
        more="" if wanted.need else _more(reader, whole, wanted, len(proposed), len(shown)),
        found=[_campaign(campaign) for campaign in found[:SHOWN_CAMPAIGNS]],
        has_more_found=len(found) > SHOWN_CAMPAIGNS,
        nothing="" if chosen or found else _nothing(wanted),
        changes=_changes(reader, told.tell(changes, reader.now, reader.amount)),
        troubles=troubles[:SHOWN_TROUBLES],
        more_troubles=len(troubles) > SHOWN_TROUBLES,
        admin_url=admin_url,
        sees_all=sight.brand_ids is None,
    )


def in_turn(groups: Iterable[Iterable[int]], room: int) -> list[int]:
    """Return `room` keys of groups, the first of each, then the second of each, and no key twice."""
    turns = (key for turn in zip_longest(*groups) for key in turn if key is not None)
    return list(islice(dict.fromkeys(turns), room))


def _holds(reader: Reader, by_hold: Mapping[str, int], wanted: Filter) -> list[HoldCount]:
    total = sum(by_hold.values())
    states = [("", RUNNING, RUNNING)]
    states += [(hold.value, HOLD_LABELS[hold], kind) for hold, kind in KINDS.items()]
    counts = []
    before = 0
    for hold, words, kind in states:
        count, value = by_hold.get(hold, 0), hold or RUNNING
        is_chosen = wanted.hold == value
        counts.append(
            HoldCount(
                value=value,
                words=words,
                kind=kind,
                count=reader.number(count),
                is_none=not count,
                is_chosen=is_chosen,
                starts=_percent_of(before, total),
                width=_percent_of(count, total),
                url=address(reverse("dashboard"), wanted, hold="" if is_chosen else value),
            )
        )
        before += count
    return counts


def _sums(reader: Reader, sums: Sums) -> MoneyLine:
    def write(amount: Decimal) -> str:
        return reader.amount(amount, sums.currency) if amount else ""

    daily = sums.daily_budget if sums.has_daily_budget else None
    monthly = sums.monthly_budget if sums.has_monthly_budget else None
    today, unlimited_today = sums.spent_today, sums.unlimited_today
    month, unlimited_month = sums.spent_this_month, sums.unlimited_this_month
    if daily is None:
        today, unlimited_today = today + unlimited_today, Decimal(0)
    if monthly is None:
        month, unlimited_month = month + unlimited_month, Decimal(0)
    return MoneyLine(
        currency=sums.currency,
        day=bar(reader, sums.currency, today, daily),
        month=bar(reader, sums.currency, month, monthly),
        unlimited_day=write(unlimited_today),
        unlimited_month=write(unlimited_month),
    )


def _group(
    reader: Reader,
    wanted: Filter,
    press: Press,
    lines: Sequence[BrandLine | None],
    *,
    is_cut: bool,
) -> Pressing:
    """Return the brands of one kind of need that are shown, of `lines`, and what to say of the others."""
    shown = [line for line in lines if line]
    more, url = "", ""
    if others := len(lines) - len(shown):
        more = f"… and {reader.number(others)}{' or more' if is_cut else ''}: {PRESSES[press]}."
        url = address(reverse("dashboard"), wanted, need=press.value)
    elif wanted.need and is_cut:
        more = f"{CANDIDATES} brands were looked at: search or filter on to see others."
    return Pressing(press=press.value, lines=shown, more=more, url=url)


def _pressing(each: BrandPace) -> tuple[Any, ...]:
    """Order brands: whom a person must look at first, then by how near they are to a budget."""
    brand, purse = each.moment.brand, each.moment.purse
    if needs := each.needs:
        return (list(Need).index(needs[0]), False, _urgency(needs[0], each), brand.name)
    day = _share(purse.spent_today, purse.daily_budget)
    month = _share(purse.spent_this_month, purse.monthly_budget)
    return (len(Need), not brand.is_active, -max(day, month), brand.name)


def _urgency(need: Need, each: BrandPace) -> Decimal:
    """Return a number that is lower for whom this need presses more."""
    pace, purse, today, now = each.pace, each.moment.purse, each.spending.today, each.moment.now
    match need:
        case Need.MONTH_REACHED | Need.DAY_REACHED:  # who stands still longest
            return hours(today.until(now) - today.open_time)
        case Need.MONTH_SOON:
            return hours((pace.month_reached_at or now) - now)
        case Need.DAY_SOON:
            return hours((pace.day_reached_at or now) - now)
        case Need.DAY_BEHIND:
            return _share(purse.spent_today, pace.day_plan)
        case Need.MONTH_BEHIND:
            return _share(purse.spent_this_month, pace.month_plan)


def _share(spent: Decimal, of: Decimal | None) -> Decimal:
    return spent / of if of else Decimal(of is not None)


def _brand(reader: Reader, each: BrandPace, counts: Mapping[int, CampaignCount]) -> BrandLine:
    moment, pace, purse = each.moment, each.pace, each.moment.purse
    brand, count = moment.brand, counts.get(moment.brand.pk, CampaignCount())
    needs = each.needs
    return BrandLine(
        pk=brand.pk,
        name=brand.name,
        url=reverse("brand", args=[brand.pk]),
        is_active=brand.is_active,
        day=bar(reader, brand.currency, purse.spent_today, purse.daily_budget, pace.day_plan),
        month=bar(
            reader, brand.currency, purse.spent_this_month, purse.monthly_budget, pace.month_plan
        ),
        running=reader.number(count.running),
        held=reader.number(count.held),
        local_time=reader.time(moment.now, moment.zone),
        zone=moment.zone.key,
        place=told.place_of(moment.zone),
        pending_zone=brand.pending_timezone if brand.timezone != moment.zone.key else "",
        needs=[_need(reader, need, each) for need in needs],
        level=needs[0].press.value if needs else "calm",
        facts=_facts(reader, each) if needs else [],
        chart=_chart(reader, each) if needs else None,
    )


def _need(reader: Reader, need: Need, each: BrandPace) -> str:
    """Say in a few words why a person should look."""
    moment, pace, currency = each.moment, each.pace, each.moment.brand.currency

    def at(instant: datetime | None) -> str:
        return told.when(instant, moment.zone, moment.now) if instant else ""

    def by_now(plan: Decimal | None) -> str:
        return reader.about(plan, currency) if plan is not None else ""

    match need:
        case Need.MONTH_REACHED:
            return "Monthly budget reached"
        case Need.DAY_REACHED:
            return "Daily budget reached"
        case Need.MONTH_SOON:
            return f"Reaches its monthly budget about {at(pace.month_reached_at)}"
        case Need.DAY_SOON:
            return f"Reaches its daily budget about {at(pace.day_reached_at)}"
        case Need.DAY_BEHIND:
            return f"Far behind today: {by_now(pace.day_plan)} planned by now"
        case Need.MONTH_BEHIND:
            return f"Far behind this month: {by_now(pace.month_plan)} planned by now"


def _facts(reader: Reader, each: BrandPace) -> list[Fact]:
    """Return where the present rate leads, and what a day may still spend."""
    pace, purse, currency = each.pace, each.moment.purse, each.moment.brand.currency
    facts = []
    if purse.daily_budget is not None:
        words = "reached" if purse.day_is_spent else "not today" if pace.rate else UNKNOWN
        facts.append(_reaches(reader, each, "Day's budget", pace.day_reached_at, words))
    if purse.monthly_budget is not None:
        is_known = pace.month_end is not None
        words = "reached" if purse.month_is_spent else "not this month" if is_known else UNKNOWN
        facts.append(_reaches(reader, each, "Month's budget", pace.month_reached_at, words))
    end = UNKNOWN if pace.month_end is None else reader.about(pace.month_end, currency)
    facts.append(Fact(name="Month ends near", words=end))
    if pace.recommended_daily_budget is not None:
        words = reader.about(pace.recommended_daily_budget, currency)
        facts.append(Fact(name="Recommended a day", words=words))
    return facts


UNKNOWN = "not known yet"


def _reaches(
    reader: Reader, each: BrandPace, name: str, instant: datetime | None, otherwise: str
) -> Fact:
    if instant is None:
        return Fact(name=name, words=otherwise)
    zone, now = each.moment.zone, each.moment.now
    words = f"reached about {told.when(instant, zone, now)}"
    return Fact(name=name, words=words, stamp=reader.time(instant, zone))


def _chart(reader: Reader, each: BrandPace) -> Chart:
    """Draw today: what is spent, what even spending would be, and where the present rate leads."""
    moment, spending, pace = each.moment, each.spending, each.pace
    currency, budget = moment.brand.currency, moment.purse.daily_budget
    today = spending.today
    here = today.slot_at(moment.now)
    spent = until(accumulate(spending.by_slot), here)
    plan = [planned(budget, today, slot.ends) for slot in today.slots]
    series = [Series(name="Spent", kind="line", amounts=spent)]
    if any(amount is not None for amount in plan):
        series.append(Series(name="Plan", kind="plan", amounts=_coins(plan, currency)))
    if pace.rate and not moment.purse.day_is_spent and not moment.purse.month_is_spent:
        left = [today.until(slot.ends) - today.until(moment.now) for slot in today.slots]
        ahead = [
            moment.purse.spent_today + pace.rate * hours(span) if place >= here else None
            for place, span in enumerate(left)
        ]
        if budget is not None:
            ahead = [None if amount is None else min(amount, budget) for amount in ahead]
        amounts = _coins(ahead, currency)
        series.append(Series(name="At this rate", kind="projection", amounts=amounts))
    words = f"{reader.amount(moment.purse.spent_today, currency)} {currency} spent"
    if pace.day_plan is not None:
        words += f", {reader.about(pace.day_plan, currency)} planned by now"
    return Chart(
        key=f"today-{moment.brand.pk}",
        title=f"{moment.brand.name} today, hour by hour",
        summary=f"Today: {words}.",
        heading="Until the end of",
        labels=[f"{slot.hour:02}:00" for slot in today.slots],
        series=series,
        currency=currency,
        reader=reader,
        marked=here,
        is_small=True,
    )


def _coins(amounts: Sequence[Decimal | None], currency: str) -> list[Decimal | None]:
    return [None if amount is None else rounded(amount, currency) for amount in amounts]


def _campaign(campaign: Campaign) -> CampaignLine:
    return CampaignLine(
        name=campaign.name,
        url=_campaign_url(campaign),
        brand=campaign.brand.name,
        brand_url=reverse("brand", args=[campaign.brand_id]),
        state=state_of(campaign.hold),
    )


def _changes(reader: Reader, changes: Iterable[Told]) -> list[ChangeLine]:
    """Say in one line what campaigns of a brand did together."""
    return [_change(reader, list(alike)) for _, alike in groupby(changes, key=_as_said)]


def _as_said(each: Told) -> Hashable:
    change = each.change
    when = change.at.replace(second=0, microsecond=0)
    said = (each.verb, each.reason, each.figures, each.again_at, each.is_in_force)
    return (change.campaign.brand_id, when, *said)


def _change(reader: Reader, alike: Sequence[Told]) -> ChangeLine:
    each = alike[0]
    change = each.change
    campaign = change.campaign
    return ChangeLine(
        pk=change.pk,
        at=reader.time(change.at, each.zone),
        place=each.place,
        campaign=campaign.name,
        url=_campaign_url(campaign),
        others=[
            (other.change.campaign.name, _campaign_url(other.change.campaign))
            for other in alike[1:]
        ],
        brand=campaign.brand.name,
        brand_url=reverse("brand", args=[campaign.brand_id]),
        verb=each.verb if len(alike) == 1 else told.PLURAL[each.verb],
        state=state_of(change.hold),
        reason=each.reason,
        figures=each.figures,
        again=each.again(reader.now, count=len(alike)),
        again_at=reader.time(each.again_at, each.zone) if each.again_at else None,
        is_in_force=each.is_in_force,
    )


def _campaign_url(campaign: Campaign) -> str:
    return reverse("campaign", args=[campaign.pk])


def _choices(whole: Whole, wanted: Filter) -> Choices:
    holds = [(RUNNING, RUNNING), *((hold.value, HOLD_LABELS[hold]) for hold in KINDS)]
    if wanted.hold and wanted.hold not in dict(holds):
        holds.append((wanted.hold, wanted.hold))
    needs = list(PRESSES.items())
    if wanted.need and wanted.need not in dict(needs):
        needs.append((wanted.need, wanted.need))
    return Choices(
        zones=sorted(whole.zones | {wanted.zone} - {""}),
        currencies=sorted({*whole.sums, wanted.currency} - {""}),
        holds=holds,
        needs=needs,
    )


def _more(reader: Reader, whole: Whole, wanted: Filter, proposed: int, shown: int) -> str:
    """Say how many brands are not shown; empty: all are."""
    if wanted.is_empty and whole.brands > shown:
        return f"{reader.number(whole.brands - shown)} more brands: search or filter to see them."
    if proposed > shown:
        few = reader.number(proposed - shown)
        return f"{few}{' or more' if proposed >= CANDIDATES else ''} others match: search or filter on."
    return ""


def _nothing(wanted: Filter) -> str:
    parts = {
        "called": f"“{wanted.text}”" if wanted.text else "",
        "in": wanted.zone,
        "with the currency": wanted.currency,
        "in the state": f"“{HOLD_LABELS.get(wanted.hold, wanted.hold)}”" if wanted.hold else "",
        "that is": f"“{PRESSES.get(wanted.need, wanted.need)}”" if wanted.need else "",
    }
    return " ".join(
        ["No brand or campaign", *(f"{how} {what}" for how, what in parts.items() if what)]
    )


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
