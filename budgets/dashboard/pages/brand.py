"""The page of one brand: where its budgets stand, where they lead, and what its campaigns do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from itertools import accumulate

from django.http import QueryDict
from django.urls import reverse

from budgets.core import pacing
from budgets.core.decision import Purse
from budgets.core.durations import in_words
from budgets.core.pacing import OpenDay
from budgets.dashboard.bars import Bar, bar, length
from budgets.dashboard.charts import Chart, Series, until
from budgets.dashboard.filters import with_query
from budgets.dashboard.reader import Reader, Stamp, rounded
from budgets.dashboard.states import KINDS, State, state_of
from budgets.models import Brand, Campaign, StatusChange
from budgets.queries import brand as queries
from budgets.queries import pacing as paces
from budgets.queries.brand import Order, Wanted
from budgets.queries.explain import decided_by, hours_in_words
from budgets.queries.pacing import BrandPace
from budgets.services import rollover

SHOWN_CAMPAIGNS = 50
SHOWN_CHANGES = 12

ZERO = Decimal(0)

HOLDS = {"running": "", **{hold.value: hold.value for hold in KINDS}}
"""What the address calls each state, and the hold that it is stored as."""

ORDERS = {
    Order.MONTH: "Spent this month",
    Order.TODAY: "Spent today",
    Order.NAME: "Name",
}


@dataclass(frozen=True, slots=True)
class Tally:
    """What was spent of one budget (``None``: no limit), and whether that is all of it."""

    spent: Decimal
    budget: Decimal | None
    is_spent: bool

    @classmethod
    def of_day(cls, purse: Purse) -> Tally:
        """Return today's."""
        return cls(purse.spent_today, purse.daily_budget, purse.day_is_spent)

    @classmethod
    def of_month(cls, purse: Purse) -> Tally:
        """Return this month's."""
        return cls(purse.spent_this_month, purse.monthly_budget, purse.month_is_spent)


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """One figure and what it is; `title` says more, `level` is calm, near or reached."""

    name: str
    words: str
    title: str = ""
    level: str = "calm"


@dataclass(frozen=True, slots=True, kw_only=True)
class Meter:
    """Spend against one budget, with what follows from it."""

    title: str
    period: str
    bar: Bar
    facts: list[Fact]


@dataclass(frozen=True, slots=True, kw_only=True)
class Portion:
    """What a campaign spent, and how much of its brand's spend that is; `width` is 0-100."""

    amount: str
    share: str
    width: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CampaignLine:
    """A campaign: its state with the reason, its part of the spend, and its own limits."""

    pk: int
    name: str
    url: str
    edit_url: str
    state: State
    is_enabled: bool
    today: Portion
    month: Portion
    limits: str
    hours: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """One of several views of the list: `count` campaigns are in it."""

    value: str
    words: str
    kind: str
    count: str
    url: str
    is_chosen: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Campaigns:
    """A page of the list, and the ways through it."""

    lines: list[CampaignLine]
    total: str
    running: str
    choices: list[Choice]
    orders: list[tuple[str, str, bool]]
    search: str
    hold: str
    first_url: str
    next_url: str
    clear_url: str
    is_narrowed: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeLine:
    """One row of the log."""

    pk: int
    campaign: str
    url: str
    at: Stamp | None
    ago: str
    before: State
    after: State
    figures: str
    cause: str
    actor: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """Everything on the page; without a known time zone there are no meters and no charts."""

    pk: int
    name: str
    currency: str
    is_active: bool
    trouble: str
    local: Stamp | None
    zone: str
    pending: str
    meters: list[Meter]
    recommended: str
    recommended_url: str
    charts: list[Chart]
    campaigns: Campaigns
    changes: list[ChangeLine]
    url: str
    edit_url: str
    switch_url: str
    may_pause: bool

    @property
    def summary(self) -> str:
        """One sentence for who cannot see the colours, read out when it changes."""
        budgets = ", ".join(
            f"{one.title.lower()} {one.bar.percent}" for one in self.meters if one.bar.budget
        )
        runs = f"{self.campaigns.running} of {self.campaigns.total} campaigns run"
        return f"{runs}; {budgets}." if budgets else f"{runs}."


def wanted_by(params: QueryDict) -> Wanted:
    """Return which campaigns the address asks for; what it cannot mean asks for nothing special."""
    order = params.get("order", "")
    return Wanted(
        hold=HOLDS.get(params.get("hold", "")),
        search=params.get("search", "").strip(),
        order=Order(order) if order in set(Order) else Order.MONTH,
        after=params.get("after", ""),
    )


def build(reader: Reader, brand: Brand, wanted: Wanted) -> Page:
    """Ask everything the page shows; the number of statements does not grow with the data."""
    moment = rollover.preview([brand], reader.now).get(brand.pk)
    pace = paces.of_brands([moment], whole_month=True)[brand.pk] if moment else None
    url = reverse("brand", args=[brand.pk])
    edit_url = reverse("brand-edit", args=[brand.pk]) if reader.person.may_edit else ""
    recommended = _recommended(brand, pace)
    return Page(
        pk=brand.pk,
        name=brand.name,
        currency=brand.currency,
        is_active=brand.is_active,
        trouble="" if moment else brand.trouble or f"{brand.current_timezone!r} is not a time zone",
        local=reader.time(moment.now, moment.zone) if moment else None,
        zone=moment.zone.key if moment else brand.current_timezone,
        pending=_pending(brand, pace),
        meters=[_day_meter(reader, brand, pace), _month_meter(reader, brand, pace)] if pace else [],
        recommended=recommended and reader.money(Decimal(recommended), brand.currency),
        recommended_url=with_query(edit_url, {"daily_budget": recommended})
        if recommended and edit_url
        else "",
        charts=[_month_chart(reader, brand, pace), _day_chart(reader, brand, pace)] if pace else [],
        campaigns=_campaigns(reader, brand, pace, wanted),
        changes=[
            _change(reader, change, pace)
            for change in queries.last_changes(brand.pk, SHOWN_CHANGES)
        ],
        url=url,
        edit_url=edit_url,
        switch_url=reverse("brand-switch", args=[brand.pk]),
        may_pause=reader.person.may_pause,
    )


def meter(
    reader: Reader,
    title: str,
    tally: Tally,
    currency: str,
    *,
    period: str = "",
    plan: Decimal | None = None,
    facts: Sequence[Fact | None] = (),
) -> Meter:
    """Draw spend against one budget; `plan` is what even spending had spent by now."""
    return Meter(
        title=title,
        period=period,
        bar=bar(reader, currency, tally.spent, tally.budget, plan, write=reader.money),
        facts=[fact for fact in facts if fact],
    )


def _pending(brand: Brand, pace: BrandPace | None) -> str:
    return brand.timezone if pace and brand.timezone != pace.moment.zone.key else ""


def _day_meter(reader: Reader, brand: Brand, pace: BrandPace) -> Meter:
    tally, found, today = Tally.of_day(pace.moment.purse), pace.pace, pace.moment.day.date
    return meter(
        reader,
        "Today",
        tally,
        brand.currency,
        period=f"{today:%A} {today.day} {today:%B}",
        plan=found.day_plan,
        facts=[
            _left(reader, brand, tally),
            _plan(reader, brand, tally, found.day_plan, is_far=found.is_day_far_behind),
            _reached(reader, pace, tally, found.day_reached_at, "today"),
            _end(reader, brand, tally, found.day_end, "At midnight"),
        ],
    )


def _month_meter(reader: Reader, brand: Brand, pace: BrandPace) -> Meter:
    tally, found = Tally.of_month(pace.moment.purse), pace.pace
    return meter(
        reader,
        "This month",
        tally,
        brand.currency,
        period=f"{pace.moment.day.date:%B %Y}",
        plan=found.month_plan,
        facts=[
            _left(reader, brand, tally),
            _plan(reader, brand, tally, found.month_plan, is_far=found.is_month_far_behind),
            _reached(reader, pace, tally, found.month_reached_at, "this month"),
            _end(reader, brand, tally, found.month_end, "At the month's end"),
        ],
    )


def _left(reader: Reader, brand: Brand, tally: Tally) -> Fact | None:
    if tally.budget is None:
        return None
    left = tally.budget - tally.spent
    if not tally.is_spent:
        return Fact(name="Left", words=reader.money(left, brand.currency))
    words = f"nothing, {reader.money(-left, brand.currency)} over" if left < 0 else "nothing"
    return Fact(name="Left", words=words, level="reached")


def _plan(
    reader: Reader, brand: Brand, tally: Tally, plan: Decimal | None, *, is_far: bool
) -> Fact | None:
    if plan is None:
        return None
    plan = rounded(plan, brand.currency)
    ahead = tally.spent - plan
    words = f"{reader.money(abs(ahead), brand.currency)} {'ahead' if ahead >= 0 else 'behind'}"
    return Fact(
        name="Against even pace",
        words=f"{words}, far" if is_far else words,
        title=f"Spent evenly, it were {reader.money(plan, brand.currency)} by now.",
        level="near" if is_far else "calm",
    )


def _reached(
    reader: Reader, pace: BrandPace, tally: Tally, at: datetime | None, period: str
) -> Fact | None:
    if tally.budget is None:
        return None
    name = "Budget reached"
    if tally.is_spent:
        return Fact(name=name, words="yes", level="reached")
    if at is None:
        return Fact(name=name, words=f"not {period}", title="At the present rate.")
    stamp = reader.time(at, pace.moment.zone)
    title = f"{stamp.utc}, at the present rate."
    return Fact(name=name, words=f"about {stamp.local}", title=title, level="near")


def _end(reader: Reader, brand: Brand, tally: Tally, foreseen: Decimal | None, name: str) -> Fact:
    if foreseen is None:
        return Fact(name=name, words="not known yet", title="Nothing was spent lately: no rate.")
    foreseen = rounded(foreseen, brand.currency)
    words = reader.money(foreseen, brand.currency)
    if not tally.budget:
        return Fact(name=name, words=words)
    return Fact(
        name=name,
        words=f"{words}, {reader.percent(foreseen / tally.budget)}",
        title="Where the present rate leads.",
        level="near" if foreseen >= tally.budget else "calm",
    )


def _recommended(brand: Brand, pace: BrandPace | None) -> str:
    """Return the daily budget with which the month ends at its budget, as it is typed; or empty."""
    amount = pace.pace.recommended_daily_budget if pace else None
    return "" if amount is None or not brand.is_active else f"{amount:f}"


def _month_chart(reader: Reader, brand: Brand, pace: BrandPace) -> Chart:
    spending, days = pace.spending, pace.month
    here, purse = len(spending.behind), pace.moment.purse
    by_day = [spending.by_day.get(day.date, ZERO) for day in days]
    spent = list(accumulate(by_day))
    labels = [f"{day.date.day} {day.date:%b}" for day in days]
    ends = _ahead(
        purse.spent_this_month,
        pace.pace.month_end,
        [_hours_left(spending.today, spending.now), *[_hours_left(day) for day in spending.ahead]],
        brand.currency,
    )
    series = [
        Series(name="Spent that day", kind="bar", amounts=until(by_day, here)),
        Series(name="Spent to date", kind="line", amounts=until(spent, here)),
    ]
    if ends:
        series.append(_projection(here, spent[here], ends, purse.monthly_budget))
    if (budget := purse.monthly_budget) is not None:
        weights = [Decimal(bool(day.open_time)) for day in days]
        series += [
            Series(name="Even pace", kind="plan", amounts=_even(budget, weights, brand.currency)),
            Series(name="Monthly budget", kind="limit", amounts=[budget] * len(days)),
        ]
    return Chart(
        key="month",
        title=f"{pace.moment.day.date:%B}, to date",
        summary=_chart_words(
            reader, brand, Tally.of_month(purse), pace.pace.month_end, "this month"
        ),
        heading="Day",
        labels=labels,
        series=series,
        currency=brand.currency,
        reader=reader,
        marked=here,
    )


def _day_chart(reader: Reader, brand: Brand, pace: BrandPace) -> Chart:
    spending, purse = pace.spending, pace.moment.purse
    slots, budget = spending.today.slots, purse.daily_budget
    here = spending.today.slot_at(spending.now)
    spent = list(accumulate(spending.by_slot))
    rest = [slot.until(slot.ends) - slot.until(spending.now) for slot in slots[here:]]
    weights = [Decimal(span.total_seconds()) for span in rest]
    ends = _ahead(purse.spent_today, pace.pace.day_end, weights, brand.currency)
    series = [
        Series(name="In the hour", kind="bar", amounts=until(spending.by_slot, here)),
        Series(name="Spent by then", kind="line", amounts=until(spent, here)),
    ]
    if ends:
        series.append(_projection(here, spent[here], ends, budget))
    if budget is not None:
        plan = [pacing.planned(budget, spending.today, slot.ends) for slot in slots]
        series += [
            Series(
                name="Even pace",
                kind="plan",
                amounts=[each and rounded(each, brand.currency) for each in plan],
            ),
            Series(name="Daily budget", kind="limit", amounts=[budget] * len(slots)),
        ]
    return Chart(
        key="day",
        title="Today, by the hour",
        summary=_chart_words(reader, brand, Tally.of_day(purse), pace.pace.day_end, "today"),
        heading="Hour",
        labels=[f"{slot.hour}:00" for slot in slots],
        series=series,
        currency=brand.currency,
        reader=reader,
        marked=here,
    )


def _chart_words(
    reader: Reader, brand: Brand, tally: Tally, foreseen: Decimal | None, period: str
) -> str:
    words = f"{reader.money(tally.spent, brand.currency)} spent {period}"
    if tally.budget is not None:
        words += f" of {reader.money(tally.budget, brand.currency)}"
    if foreseen is not None:
        end = rounded(foreseen, brand.currency)
        words += f"; projected {reader.money(end, brand.currency)}"
    return f"{words}."


def _ahead(
    spent: Decimal, end: Decimal | None, weights: Sequence[Decimal], currency: str
) -> list[Decimal]:
    """Return the way from `spent` to the foreseen `end`, a step each weight; none when it is unknown."""
    total = sum(weights, ZERO)
    if end is None:
        return []
    steps = [part / total if total else ZERO for part in accumulate(weights)]
    return [rounded(spent + (end - spent) * step, currency) for step in steps]


def _projection(
    here: int, spent: Decimal, ends: Sequence[Decimal], budget: Decimal | None
) -> Series:
    """Return the line from what is spent to where the rate leads; it ends at the budget, which pauses."""
    top = None if budget is None else max(budget, spent)
    foreseen = [amount if top is None else min(amount, top) for amount in ends[1:]]
    return Series(name="Projection", kind="projection", amounts=[*[None] * here, spent, *foreseen])


def _even(budget: Decimal, weights: Sequence[Decimal], currency: str) -> list[Decimal | None]:
    """Return a budget spent evenly, by the end of each day; nothing where no day is open."""
    total = sum(weights, ZERO)
    if not total:
        return [None] * len(weights)
    return [rounded(budget * part / total, currency) for part in accumulate(weights)]


def _hours_left(day: OpenDay, now: datetime | None = None) -> Decimal:
    span = day.open_time - day.until(now) if now else day.open_time
    return Decimal(span.total_seconds())


def _campaigns(reader: Reader, brand: Brand, pace: BrandPace | None, wanted: Wanted) -> Campaigns:
    today = pace.moment.day.date if pace else reader.now.date()
    found = queries.campaigns(brand.pk, today, wanted, SHOWN_CAMPAIGNS)
    by_hold = queries.campaigns_by_hold(brand.pk)
    purse = pace.moment.purse if pace else Purse()
    hold = next((name for name, value in HOLDS.items() if value == wanted.hold), "")
    url = reverse("brand", args=[brand.pk])
    kept = {"hold": hold, "search": wanted.search}
    if wanted.order is not Order.MONTH:
        kept["order"] = wanted.order.value
    return Campaigns(
        lines=[_line(reader, brand, campaign, purse) for campaign in found.rows],
        total=reader.number(sum(by_hold.values())),
        running=reader.number(by_hold.get("", 0)),
        choices=_choices(reader, by_hold, url, kept),
        orders=[(order.value, words, order is wanted.order) for order, words in ORDERS.items()],
        search=wanted.search,
        hold=hold,
        first_url=_address(url, kept) if wanted.after else "",
        next_url=_address(url, {**kept, "after": found.after}) if found.after else "",
        clear_url=_address(url, {}),
        is_narrowed=bool(hold or wanted.search),
    )


def _choices(
    reader: Reader, by_hold: Mapping[str, int], url: str, kept: Mapping[str, str]
) -> list[Choice]:
    """Return the states that there are, and the one that is chosen."""
    states = [("", "All", "", sum(by_hold.values()))]
    states += [
        (name, state_of(hold).words, state_of(hold).kind, by_hold.get(hold, 0))
        for name, hold in HOLDS.items()
        if by_hold.get(hold) or kept["hold"] == name
    ]
    return [
        Choice(
            value=value,
            words=words,
            kind=kind,
            count=reader.number(count),
            url=_address(url, {**kept, "hold": value}),
            is_chosen=kept["hold"] == value,
        )
        for value, words, kind, count in states
    ]


def _line(reader: Reader, brand: Brand, campaign: Campaign, purse: Purse) -> CampaignLine:
    today: Decimal = vars(campaign)["today"]
    month: Decimal = vars(campaign)["month"]
    may_edit = reader.person.may_edit
    limits = [
        f"{reader.money(budget, brand.currency)} {period}"
        for budget, period in (
            (campaign.daily_budget, "a day"),
            (campaign.monthly_budget, "a month"),
        )
        if budget is not None
    ]
    return CampaignLine(
        pk=campaign.pk,
        name=campaign.name,
        url=reverse("campaign", args=[campaign.pk]),
        edit_url=reverse("campaign-edit", args=[campaign.pk]) if may_edit else "",
        state=state_of(campaign.hold),
        is_enabled=campaign.is_enabled,
        today=_portion(reader, brand, today, purse.spent_today),
        month=_portion(reader, brand, month, purse.spent_this_month),
        limits=", ".join(limits),
        hours=hours_in_words(campaign),
    )


def _portion(reader: Reader, brand: Brand, part: Decimal, whole: Decimal) -> Portion:
    share = part / whole if whole > 0 and part > 0 else None
    return Portion(
        amount=reader.money(part, brand.currency),
        share="" if share is None else reader.percent(share),
        width=length(share or ZERO),
    )


def _change(reader: Reader, change: StatusChange, pace: BrandPace | None) -> ChangeLine:
    return ChangeLine(
        pk=change.pk,
        campaign=change.campaign.name,
        url=reverse("campaign", args=[change.campaign_id]),
        at=reader.time(change.at, pace.moment.zone) if pace else None,
        ago=f"{in_words(reader.now - change.at)} ago",
        before=state_of(change.old_hold),
        after=state_of(change.hold),
        figures=decided_by(change.figures, reader.amount),
        cause=change.get_cause_display(),
        actor=change.actor,
    )


def _address(url: str, params: Mapping[str, str]) -> str:
    return f"{with_query(url, params)}#campaigns"
