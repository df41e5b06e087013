"""The page of one campaign: why it runs or not, its day, its money."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from itertools import accumulate
from zoneinfo import ZoneInfo

from django.urls import reverse

from budgets.core import dayparting, pacing, periods
from budgets.core.decision import Hold
from budgets.core.durations import in_words
from budgets.core.periods import LocalDay
from budgets.dashboard.bars import Bar, bar
from budgets.dashboard.charts import Chart, Series, until
from budgets.dashboard.filters import with_query
from budgets.dashboard.pages.strip import Clock, Strip, strip
from budgets.dashboard.reader import Reader, Stamp
from budgets.dashboard.states import KINDS, State, state_of
from budgets.models import Campaign, Import, Spend, StatusChange
from budgets.queries import explain, ledger
from budgets.queries import timeline as log
from budgets.queries.explain import Limit, decided_by, hours_in_words
from budgets.queries.timeline import Timeline

FIRST_DAY = date(2000, 1, 1)
"""No log of ours is older."""
AHEAD = timedelta(days=31)
"""So far ahead one may look at allowed hours."""

ZERO = Decimal(0)

LIMITS = {
    Hold.BRAND_DAILY_BUDGET: "Brand, today",
    Hold.CAMPAIGN_DAILY_BUDGET: "Its own, today",
    Hold.BRAND_MONTHLY_BUDGET: "Brand, this month",
    Hold.CAMPAIGN_MONTHLY_BUDGET: "Its own, this month",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Meter:
    """Spend against one budget; `needed` is how far it must rise where it is reached."""

    title: str
    bar: Bar
    left: str
    needed: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Hindrance:
    """One hold that applies, with its words; `needed` is the remedy where it is a budget's."""

    title: str
    kind: str
    words: str
    needed: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One change of the day."""

    pk: int
    at: Stamp
    before: State
    after: State
    cause: str
    actor: str
    figures: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Day:
    """The chosen day: its strip and its changes, and the ways to its neighbours.

    `problem` says why another day is shown than was asked for; `since` what was in force when it began.
    """

    iso: str
    title: str
    first: str
    last: str
    problem: str
    strip: Strip | None
    since: State | None
    since_words: str
    entries: list[Entry]
    is_cut: bool
    previous_url: str
    next_url: str
    today_url: str
    zone: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Live:
    """The part of the page that refreshes itself."""

    pk: int
    now: Stamp
    state: State
    is_enabled: bool
    summary: str
    outlook: str
    again: Stamp | None
    again_in: str
    lag: str
    trouble: str
    hindrances: list[Hindrance]
    meters: list[Meter]
    hours: str
    flight: str
    day: Day
    charts: list[Chart]
    may_pause: bool
    switch_url: str
    edit_url: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A row of the ledger."""

    pk: int
    date: str
    amount: str
    is_credit: bool
    source: str
    external_id: str
    occurred: Stamp | None
    recorded: Stamp
    is_counted: bool
    brought_by: str
    import_url: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Ledger:
    """A page of the campaign's rows; `problem`: why it is the first one and not that asked for."""

    rows: list[Row]
    problem: str
    older_url: str
    newest_url: str
    currency: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """What never changes while one looks."""

    pk: int
    name: str
    external_id: str
    brand: str
    brand_url: str


def head(campaign: Campaign) -> Head:
    """Return the top of the page."""
    return Head(
        pk=campaign.pk,
        name=campaign.name,
        external_id=campaign.external_id or "",
        brand=campaign.brand.name,
        brand_url=reverse("brand", args=[campaign.brand_id]),
    )


def live(campaign: Campaign, reader: Reader, asked: Mapping[str, str]) -> Live:
    """Return what refreshes itself; the number of statements does not grow with the data."""
    explanation = explain.explain(campaign, reader.now)
    zone = periods.zone_or_utc(explanation.zone)
    today = periods.local_day(zone, reader.now)
    state = state_of(campaign.hold)
    again = explanation.next_change_at
    return Live(
        pk=campaign.pk,
        now=reader.time(reader.now, zone),
        state=state,
        is_enabled=campaign.is_enabled,
        summary=f"{campaign.name}: {state.words}.",
        outlook=explanation.outlook,
        again=reader.time(again, zone) if again and explanation.reasons else None,
        again_in=in_words(again - reader.now) if again else "",
        lag=explanation.lag,
        trouble=explanation.trouble,
        hindrances=[
            Hindrance(
                title=reason.title,
                kind=KINDS[reason.hold],
                words=reason.words,
                needed=_needed(reason.limit, reader, explanation.currency) if reason.limit else "",
            )
            for reason in explanation.reasons
        ],
        meters=[_meter(limit, reader, explanation.currency) for limit in explanation.limits],
        hours=hours_in_words(campaign),
        flight=_flight(campaign),
        day=_day(campaign, reader, zone, today, asked),
        charts=_charts(campaign, reader, today),
        may_pause=reader.person.may_pause,
        switch_url=reverse("campaign-switch", args=[campaign.pk]),
        edit_url=reverse("campaign-edit", args=[campaign.pk]) if reader.person.may_edit else "",
    )


def rows(campaign: Campaign, reader: Reader, asked: Mapping[str, str]) -> Ledger:
    """Return the page of the ledger that was asked for, or the first."""
    problem, before = "", None
    if text := asked.get("before", ""):
        try:
            before = ledger.Place.parse(text)
        except ledger.NoSuchPlace as error:
            problem = f"{error}. These are the newest rows."
    page = ledger.of_campaign(campaign.pk, before)
    moment, currency = explain.moment_of(campaign, reader.now), campaign.brand.currency
    zone = moment.zone if moment else periods.UTC_ZONE
    return Ledger(
        rows=[row(each, reader, zone, currency) for each in page.rows],
        problem=problem,
        older_url=_address(campaign, asked, before=page.next) + "#ledger" if page.next else "",
        newest_url=_address(campaign, asked, before="") + "#ledger" if before else "",
        currency=currency,
    )


def row(each: Spend, reader: Reader, zone: ZoneInfo, currency: str) -> Row:
    """Return a row of the ledger in words."""
    brought_by = each.brought_by
    return Row(
        pk=each.pk,
        date=each.date.isoformat(),
        amount=reader.amount(each.amount, currency),
        is_credit=each.amount < 0,
        source=each.source,
        external_id=each.external_id or "",
        occurred=reader.time(each.occurred_at, zone) if each.occurred_at else None,
        recorded=reader.time(each.created_at, zone),
        is_counted=each.is_counted,
        brought_by=imported(brought_by) if brought_by else "",
        import_url=reverse("import", args=[brought_by.pk]) if brought_by else "",
    )


def imported(brought_by: Import) -> str:
    """Name an import: its file."""
    return brought_by.file or brought_by.kind


def chosen_day(text: str, today: date) -> tuple[date, str]:
    """Return the day that was asked for; or today, and why."""
    if not text:
        return today, ""
    try:
        day = (
            date.fromisoformat(text) if re.fullmatch(r"\d{4}-\d{2}-\d{2}", text, re.ASCII) else None
        )
    except ValueError:
        day = None
    if day is None:
        return today, "day: that is no date; write it as 2026-01-31. This is today."
    if not FIRST_DAY <= day <= today + AHEAD:
        first, last = FIRST_DAY.isoformat(), (today + AHEAD).isoformat()
        return today, f"day: choose one from {first} to {last}. This is today."
    return day, ""


def _day(
    campaign: Campaign, reader: Reader, zone: ZoneInfo, today: LocalDay, asked: Mapping[str, str]
) -> Day:
    chosen, problem = chosen_day(asked.get("day", ""), today.date)
    day = today if chosen == today.date else periods.day_of(zone, chosen, reader.now)
    timeline = log.timeline(campaign, day)
    clock = Clock(day, zone)
    words = _long(chosen)
    return Day(
        iso=chosen.isoformat(),
        title=f"Today, {words}" if chosen == today.date else words,
        first=FIRST_DAY.isoformat(),
        last=(today.date + AHEAD).isoformat(),
        problem=problem,
        strip=strip(
            day,
            zone,
            reader.now,
            allowed=dayparting.open_spans(day, campaign.hours),
            ran=timeline.running(reader.now),
        ),
        since=state_of(timeline.before.hold) if timeline.before else None,
        since_words=_since(timeline, reader, zone, day),
        entries=[_entry(change, reader, zone, clock) for change in timeline.changes],
        is_cut=timeline.is_cut,
        previous_url=_of_day(campaign, asked, chosen - timedelta(days=1), today.date),
        next_url=_of_day(campaign, asked, chosen + timedelta(days=1), today.date),
        today_url=_of_day(campaign, asked, today.date, today.date) if chosen != today.date else "",
        zone=zone.key,
    )


def _since(timeline: Timeline, reader: Reader, zone: ZoneInfo, day: LocalDay) -> str:
    if day.starts_at > reader.now:
        return "This day has not begun."
    if timeline.before is None:
        return "Not known: the log of this campaign begins later."
    return f"since {reader.time(timeline.before.at, zone).local}"


def _entry(change: StatusChange, reader: Reader, zone: ZoneInfo, clock: Clock) -> Entry:
    stamp = reader.time(change.at, zone)
    return Entry(
        pk=change.pk,
        at=Stamp(local=clock.time(change.at, seconds=True), utc=stamp.utc, iso=stamp.iso),
        before=state_of(change.old_hold),
        after=state_of(change.hold),
        cause=change.get_cause_display(),
        actor=change.actor,
        figures=_figures(change, reader),
    )


def _figures(change: StatusChange, reader: Reader) -> str:
    return decided_by(change.figures, reader.amount) or str(change.figures.get("words", ""))


def _meter(limit: Limit, reader: Reader, currency: str) -> Meter:
    return Meter(
        title=LIMITS[limit.hold],
        bar=bar(reader, currency, limit.spent, limit.budget, write=reader.money),
        left=f"{reader.money(limit.left, currency)} left" if limit.left else "",
        needed="" if limit.left else _needed(limit, reader, currency),
    )


def _needed(limit: Limit, reader: Reader, currency: str) -> str:
    rise = limit.budget_needed - limit.budget
    return (
        f"Must rise to {reader.money(limit.budget_needed, currency)} or more, "
        f"by {reader.money(rise, currency)}."
    )


def _flight(campaign: Campaign) -> str:
    start, end = campaign.starts_on, campaign.ends_on
    if start and end:
        return f"{_long(start)} to {_long(end)}"
    if start:
        return f"from {_long(start)}"
    return f"until {_long(end)}" if end else ""


def _charts(campaign: Campaign, reader: Reader, today: LocalDay) -> list[Chart]:
    return [_by_hour(campaign, reader, today), _by_day(campaign, reader, today)]


def _by_hour(campaign: Campaign, reader: Reader, today: LocalDay) -> Chart:
    day, currency = pacing.open_day(today, ()), campaign.brand.currency
    spent = [ZERO] * len(day.slots)
    for minute, amount in ledger.by_minute(campaign, today.date).items():
        spent[day.slot_at(min(minute, reader.now))] += amount
    here = day.slot_at(reader.now)
    so_far = list(accumulate(spent))
    series = [
        Series(name="In the hour", kind="bar", amounts=until(spent, here)),
        Series(name="So far", kind="line", amounts=until(so_far, here)),
        *_limit("Its own daily budget", campaign.daily_budget, len(spent)),
    ]
    return Chart(
        key="by-hour",
        title="Today by hour",
        summary=f"{reader.money(so_far[here], currency)} spent today, by the hour.",
        heading="Hour",
        labels=[f"{slot.hour:02}:00" for slot in day.slots],
        series=series,
        currency=currency,
        reader=reader,
        marked=here,
    )


def _by_day(campaign: Campaign, reader: Reader, today: LocalDay) -> Chart:
    first = periods.month_start(today.date)
    days = [first + timedelta(days=n) for n in range(periods.month_end(first).day)]
    found, here = ledger.by_day(campaign, first, today.date), (today.date - first).days
    spent = [found.get(day, ZERO) for day in days]
    currency = campaign.brand.currency
    return Chart(
        key="by-day",
        title=f"{first:%B} by day",
        summary=f"{reader.money(sum(spent, ZERO), currency)} spent this month, by the day.",
        heading="Day",
        labels=[f"{day.day} {day:%b}" for day in days],
        series=[
            Series(name="On the day", kind="bar", amounts=until(spent, here)),
            *_limit("Its own daily budget", campaign.daily_budget, len(days)),
        ],
        currency=currency,
        reader=reader,
        marked=here,
    )


def _limit(name: str, budget: Decimal | None, length: int) -> list[Series]:
    return [] if budget is None else [Series(name=name, kind="limit", amounts=[budget] * length)]


def _of_day(campaign: Campaign, asked: Mapping[str, str], day: date, today: date) -> str:
    if not FIRST_DAY <= day <= today + AHEAD:
        return ""
    return _address(campaign, asked, day="" if day == today else day.isoformat()) + "#day"


def _address(campaign: Campaign, asked: Mapping[str, str], **changed: str | None) -> str:
    """Return the page's address with what was asked for, but for what is `changed`."""
    known = {name: asked.get(name, "") for name in ("day", "before")}
    return with_query(reverse("campaign", args=[campaign.pk]), {**known, **changed})


def _long(day: date) -> str:
    return f"{day:%a} {day.day} {day:%b %Y}"
