"""Why a campaign runs or not, in words. Asks `core.decision.decide`; repeats no rule."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal

from budgets.core import money
from budgets.core.decision import CampaignFacts, Facts, Hold, decide, next_change
from budgets.core.durations import in_words
from budgets.models import Campaign
from budgets.models.campaign import HOLD_LABELS
from budgets.services import enforcement, rollover
from budgets.services.rollover import Moment

HORIZON = timedelta(days=62)
"""How far ahead we look for the next start or stop: past the end of the longest month."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reason:
    """One hold that applies, its name and a sentence with the figures."""

    hold: Hold
    title: str
    words: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """A campaign's state in force, what would be decided now, and until when that holds.

    `reasons` are all holds that apply at `now`, strongest first; `outlook` is a sentence about
    what comes next. `next_change_at` is the first instant (UTC) at which time alone starts or stops
    the campaign; ``None``: not within `HORIZON`. `today` is the brand's local date, ``None`` when
    its zone is corrupt. `lag` says in words why the state in force is not what would be decided.
    """

    is_active: bool
    hold: str
    reasons: tuple[Reason, ...]
    outlook: str
    next_change_at: datetime | None
    today: date | None
    zone: str
    lag: str
    trouble: str

    @property
    def state(self) -> str:
        """The state in force, in words."""
        return "active" if self.is_active else HOLD_LABELS.get(self.hold, self.hold)


def explain(campaign: Campaign, now: datetime) -> Explanation:
    """Explain `campaign` (with its brand at hand) at `now`; nothing is written."""
    moment = moment_of(campaign, now)
    if moment is None:
        return Explanation(
            is_active=campaign.is_active,
            hold=campaign.hold,
            reasons=(),
            outlook="It stays as it is until the brand's time zone is put right.",
            next_change_at=None,
            today=None,
            zone=campaign.brand.current_timezone,
            lag="",
            trouble=campaign.brand.trouble
            or f"the brand's time zone {campaign.brand.current_timezone!r} is not known",
        )
    holds = holds_at(campaign, moment)
    turns_at = next(
        (at for at, will in _ahead(campaign, moment) if bool(will) != bool(holds)), None
    )
    return Explanation(
        is_active=campaign.is_active,
        hold=campaign.hold,
        reasons=tuple(_reason(hold, campaign, moment) for hold in holds),
        outlook=_outlook(campaign, moment, holds, turns_at),
        next_change_at=turns_at,
        today=moment.day.date,
        zone=moment.zone.key,
        lag=_lag(campaign.hold, holds),
        trouble=campaign.brand.trouble,
    )


def moment_of(campaign: Campaign, now: datetime) -> Moment | None:
    """Return the moment of the campaign's brand; ``None`` when its zone is corrupt."""
    return rollover.preview([campaign.brand], now).get(campaign.brand_id)


def holds_at(campaign: Campaign, moment: Moment) -> tuple[Hold, ...]:
    """Return every hold that applies to `campaign` at `moment`, strongest first."""
    purse = rollover.purse(campaign, moment.day.date)
    facts = CampaignFacts(
        is_enabled=campaign.is_enabled,
        starts_on=campaign.starts_on,
        ends_on=campaign.ends_on,
        allowed_start_hour=campaign.allowed_start_hour,
        allowed_end_hour=campaign.allowed_end_hour,
        day_is_spent=purse.day_is_spent,
        month_is_spent=purse.month_is_spent,
    )
    return decide(Facts(brand=enforcement.brand_facts(moment), campaign=facts))


def hours_in_words(campaign: Campaign) -> str:
    """Write the allowed hours, from hour to hour, or 'all day'."""
    opens, closes = campaign.allowed_start_hour, campaign.allowed_end_hour
    return "all day" if opens % 24 == closes % 24 else f"{opens}–{closes}"  # noqa: RUF001  # a range's dash


def amount(value: Decimal) -> str:
    """Write an amount for people, to its last digit: '1,284.20'."""
    return f"{money.from_micros(money.to_micros(value)):,f}"


def _ahead(campaign: Campaign, moment: Moment) -> Iterator[tuple[datetime, tuple[Hold, ...]]]:
    """Yield the instants at which time alone could change the answer, with the answer then."""
    windows = {(campaign.allowed_start_hour, campaign.allowed_end_hour)}
    until = moment.now + HORIZON
    ahead: Moment | None = moment
    while ahead and (at := next_change(ahead.day, windows, ahead.now)) <= until:
        ahead = moment_of(campaign, at)
        if ahead:
            yield at, holds_at(campaign, ahead)


def _reason(hold: Hold, campaign: Campaign, moment: Moment) -> Reason:
    return Reason(hold=hold, title=HOLD_LABELS[hold], words=_words(hold, campaign, moment))


def _words(hold: Hold, campaign: Campaign, moment: Moment) -> str:
    today = moment.day.date
    match hold:
        case Hold.OPERATOR:
            return "An operator switched it off. Nothing automatic switches it on again."
        case Hold.BRAND_INACTIVE:
            return f"The brand {campaign.brand.name} is not active, so none of its campaigns runs."
        case Hold.NOT_STARTED:
            return f"Its flight begins on {_date(campaign.starts_on)}; today is {_date(today)}."
        case Hold.ENDED:
            return f"Its flight ended with {_date(campaign.ends_on)}; today is {_date(today)}."
        case Hold.OUTSIDE_HOURS:
            local = moment.now.astimezone(moment.zone)
            return (
                f"Its hours are {hours_in_words(campaign)}, local to the brand; "
                f"it is {local:%H:%M} in {moment.zone.key}."
            )
        case _:
            return _budget_words(hold, campaign, moment)


def _budget_words(hold: Hold, campaign: Campaign, moment: Moment) -> str:
    is_own = hold in (Hold.CAMPAIGN_DAILY_BUDGET, Hold.CAMPAIGN_MONTHLY_BUDGET)
    whose, row = ("Its own", campaign) if is_own else ("The brand's", campaign.brand)
    today, zone = moment.day.date, moment.zone.key
    purse = rollover.purse(row, today)
    if hold in (Hold.BRAND_DAILY_BUDGET, Hold.CAMPAIGN_DAILY_BUDGET):
        spent = _spent(purse.spent_today, purse.daily_budget, moment)
        return f"{whose} daily budget is reached: {spent} today ({_date(today)}, {zone})."
    spent = _spent(purse.spent_this_month, purse.monthly_budget, moment)
    return f"{whose} monthly budget is reached: {spent} in {today:%B} ({zone})."


def _spent(spent: Decimal, budget: Decimal | None, moment: Moment) -> str:
    return f"{amount(spent)} of {amount(budget or Decimal(0))} {moment.brand.currency} spent"


def _outlook(
    campaign: Campaign, moment: Moment, holds: tuple[Hold, ...], turns_at: datetime | None
) -> str:
    if not holds:
        stops = f"By the clock it stops {_when(turns_at, moment)}." if turns_at else ""
        return f"{_room(campaign, moment)} {stops}".strip()
    if turns_at:
        return f"If nothing else changes, it starts again {_when(turns_at, moment)}."
    return f"Time alone does not start it within {HORIZON.days} days."


def _room(campaign: Campaign, moment: Moment) -> str:
    """Say how much more may be spent until the first budget is reached."""
    day = moment.day.date
    brand, own = rollover.purse(campaign.brand, day), rollover.purse(campaign, day)
    rooms = [
        (budget - spent, whose)
        for whose, spent, budget in (
            ("the brand's daily budget", brand.spent_today, brand.daily_budget),
            ("its own daily budget", own.spent_today, own.daily_budget),
            ("the brand's monthly budget", brand.spent_this_month, brand.monthly_budget),
            ("its own monthly budget", own.spent_this_month, own.monthly_budget),
        )
        if budget is not None
    ]
    if not rooms:
        return "No budget limits it."
    room, whose = min(rooms)
    return (
        f"Up to {amount(room)} {moment.brand.currency} more may be spent until {whose} is reached."
    )


def _lag(stored: str, holds: tuple[Hold, ...]) -> str:
    decided = holds[0].value if holds else ""
    if stored == decided:
        return ""
    if stored == Hold.UNDECIDED:
        return (
            "It was written by a road that does not decide. The next pass decides, within a minute."
        )
    would = f"be held: {HOLD_LABELS[holds[0]]}" if holds else "be active"
    return (
        f"The state in force lags: decided now, it would {would}. "
        "The next pass puts it right, within a minute."
    )


def _date(day: date | None) -> str:
    return f"{day.day} {day:%b %Y}" if day else ""


def _when(at: datetime, moment: Moment) -> str:
    local = at.astimezone(moment.zone)
    day = f"{local:%a} {local.day} {local:%b}"
    return f"at {local:%H:%M} on {day}, {moment.zone.key} (in {in_words(at - moment.now)})"
