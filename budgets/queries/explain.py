"""Why a campaign runs or not, in words. Asks `core.decision.decide`; repeats no rule."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal

from budgets.core import money
from budgets.core.decision import (
    LASTING_HOLDS,
    CampaignFacts,
    Facts,
    Hold,
    decide,
    least_budget,
    next_change,
    reached,
)
from budgets.core.durations import in_words
from budgets.models import Campaign, StatusChange
from budgets.models.brand import StalePolicy
from budgets.models.campaign import HOLD_LABELS
from budgets.services import enforcement, rollover
from budgets.services.rollover import Moment

Write = Callable[[Decimal, str], str]
"""Writes an amount of a currency without its sign."""

HORIZON = timedelta(days=62)
"""How far ahead we look for the next start or stop: past the end of the longest month.

From the flight's first day, where that is still to come. What has not lifted by then, time does not lift.
"""

WHOSE = {
    Hold.BRAND_MONTHLY_BUDGET: "the brand's monthly budget",
    Hold.CAMPAIGN_MONTHLY_BUDGET: "its own monthly budget",
    Hold.BRAND_DAILY_BUDGET: "the brand's daily budget",
    Hold.CAMPAIGN_DAILY_BUDGET: "its own daily budget",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """A budget that limits a campaign, the brand's or its own, and what was spent of it.

    `hold` is the one that applies when it is reached. Amounts are in the brand's currency.
    """

    hold: Hold
    spent: Decimal
    budget: Decimal

    @property
    def left(self) -> Decimal:
        """What may still be spent; never negative."""
        return Decimal(0) if reached(self.spent, self.budget) else self.budget - self.spent

    @property
    def budget_needed(self) -> Decimal:
        """How high the budget must be at least, not to hold the campaign now."""
        return least_budget(self.spent)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reason:
    """One hold that applies, its name, a sentence, and the figures where it is a budget's."""

    hold: Hold
    title: str
    words: str
    limit: Limit | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """A campaign's state in force, what would be decided now, and until when that holds.

    `is_active` and `hold` are stored; `reasons` are all holds that apply at `now`, strongest first,
    and `lag` says in words why the state in force is not what would be decided. `limits` are all
    budgets there are, reached or not. `outlook` is a sentence about what comes next.

    `local_time` is `now` on the brand's clock, ``None`` when its zone is corrupt; `next_change_local`
    the first instant at which time alone starts or stops the campaign, on the clock that the brand
    will have then. ``None``: time alone never starts it, or does not stop it within `HORIZON`.
    """

    is_active: bool
    hold: str
    reasons: tuple[Reason, ...] = ()
    limits: tuple[Limit, ...] = ()
    currency: str
    allowed_start_hour: int
    allowed_end_hour: int
    weekly_hours: str | None
    outlook: str
    next_change_local: datetime | None = None
    local_time: datetime | None = None
    zone: str
    lag: str = ""
    trouble: str

    @property
    def state(self) -> str:
        """The state in force, in words."""
        return "active" if self.is_active else HOLD_LABELS.get(self.hold, self.hold)

    @property
    def today(self) -> date | None:
        """The brand's local date."""
        return self.local_time and self.local_time.date()

    @property
    def next_change_at(self) -> datetime | None:
        """The first instant (UTC) at which time alone starts or stops the campaign."""
        return self.next_change_local and self.next_change_local.astimezone(UTC)

    @property
    def runs_again_at(self) -> datetime | None:
        """The first instant (UTC) at which time alone lifts every hold that applies.

        ``None``: time alone never does, or nothing is to be lifted (there are no `reasons`).
        """
        return self.next_change_at if self.reasons else None

    @property
    def runs_again_local(self) -> datetime | None:
        """The same instant on the clock that the brand will have then."""
        return self.next_change_local if self.reasons else None


@dataclass(frozen=True, slots=True, kw_only=True)
class PastState:
    """The state that was in force at a past moment, as the log tells it.

    It came into force at `since` (UTC), by a `cause` (of `models.Cause`) and maybe an `actor`. What
    decided then: `holds` are all that applied, strongest first; `spent` and `budget`, in `currency`,
    are of the budget that was reached or lifted, if it was about one (no budget: it was removed).
    """

    is_active: bool
    hold: str
    since: datetime
    cause: str
    actor: str
    holds: tuple[str, ...]
    spent: Decimal | None
    budget: Decimal | None
    currency: str
    words: str


def explain(campaign: Campaign, now: datetime) -> Explanation:
    """Explain `campaign` (with its brand at hand) at `now`; nothing is written."""
    moment = moment_of(campaign, now)
    if moment is None:
        return Explanation(
            is_active=campaign.is_active,
            hold=campaign.hold,
            currency=campaign.brand.currency,
            allowed_start_hour=campaign.allowed_start_hour,
            allowed_end_hour=campaign.allowed_end_hour,
            weekly_hours=campaign.weekly_hours,
            outlook="It stays as it is until the brand's time zone is put right.",
            zone=campaign.brand.current_timezone,
            trouble=campaign.brand.trouble
            or f"the brand's time zone {campaign.brand.current_timezone!r} is not known",
        )
    holds = holds_at(campaign, moment)
    limits = _limits(campaign, moment)
    turns_at = _next_turn(campaign, moment, holds)
    return Explanation(
        is_active=campaign.is_active,
        hold=campaign.hold,
        reasons=tuple(_reason(hold, campaign, moment, limits.get(hold)) for hold in holds),
        limits=tuple(limits.values()),
        currency=campaign.brand.currency,
        allowed_start_hour=campaign.allowed_start_hour,
        allowed_end_hour=campaign.allowed_end_hour,
        weekly_hours=campaign.weekly_hours,
        outlook=_outlook(moment, holds, limits, turns_at),
        next_change_local=turns_at,
        local_time=moment.now.astimezone(moment.zone),
        zone=moment.zone.key,
        lag=_lag(campaign.hold, holds),
        trouble=campaign.brand.trouble,
    )


def explain_at(campaign: Campaign, at: datetime) -> PastState | None:
    """Say which state was in force at the past instant `at`, from the log alone.

    ``None``: nobody knows; the log begins later.
    """
    # By the order of the log: a clock that went back does not turn it round.
    log = StatusChange.objects.filter(campaign_id=campaign.pk, at__lte=at).order_by("-pk")
    change = log.first()
    if change is None:
        return None
    figures = change.figures
    return PastState(
        is_active=change.is_active,
        hold=change.hold,
        since=change.at.astimezone(UTC),
        cause=change.cause,
        actor=change.actor,
        holds=tuple(figures.get("holds", ())),
        spent=_amount_of(figures.get("spent")),
        budget=_amount_of(figures.get("budget")),
        currency=figures.get("currency", ""),
        words=_past_words(change),
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
        hours=campaign.hours,
        day_is_spent=purse.day_is_spent,
        month_is_spent=purse.month_is_spent,
    )
    return decide(Facts(brand=enforcement.brand_facts(moment), campaign=facts))


def hours_in_words(campaign: Campaign) -> str:
    """Write the allowed hours: the weekly calendar, or from hour to hour, or 'all day'."""
    if campaign.weekly_hours:
        return campaign.weekly_hours.replace("-", "–")  # noqa: RUF001  # a range's dash
    opens, closes = campaign.allowed_start_hour, campaign.allowed_end_hour
    return "all day" if opens % 24 == closes % 24 else f"{opens}–{closes}"  # noqa: RUF001  # a range's dash


def amount(value: Decimal) -> str:
    """Write an amount for people, to its last digit: '1,284.20'."""
    return f"{money.from_micros(money.to_micros(value)):,f}"


def decided_by(figures: Mapping[str, str | None], write: Write | None = None) -> str:
    """Write the figures of a status change: '100.00 of 100.00 USD'; empty without a budget.

    `write` writes amounts; without it they are written as everywhere below the pages.
    """
    write = write or (lambda value, _: amount(value))
    spent, budget = _amount_of(figures.get("spent")), _amount_of(figures.get("budget"))
    if spent is None:
        return ""
    currency = figures.get("currency") or ""
    limit = "without a limit" if budget is None else f"of {write(budget, currency)}"
    return f"{write(spent, currency)} {limit} {currency}".strip()


def _amount_of(text: str | None) -> Decimal | None:
    return None if text is None else Decimal(text)


def _past_words(change: StatusChange) -> str:
    state = f"Held: {HOLD_LABELS.get(change.hold, change.hold)}" if change.hold else "Active"
    since = change.at.astimezone(UTC)
    cause = f"Caused by {change.get_cause_display()}"
    if figures := decided_by(change.figures):
        cause += f" ({figures})"
    if change.actor:
        cause += f", by {change.actor}"
    return f"{state}, since {since:%H:%M:%S} on {_date(since)}, UTC. {cause}."


def _next_turn(campaign: Campaign, moment: Moment, holds: tuple[Hold, ...]) -> datetime | None:
    """Return when time alone starts a campaign that `holds` hold, or stops one that runs.

    On the brand's clock of then; ``None``: never, as far as we look.
    """
    if LASTING_HOLDS & set(holds):
        return None
    with suppress(OverflowError):  # a flight that begins when the calendar ends
        for at, will in _ahead(campaign, moment):
            if bool(will) != bool(holds):
                return at
            if LASTING_HOLDS & set(will):
                return None
    return None


def _ahead(campaign: Campaign, moment: Moment) -> Iterator[tuple[datetime, tuple[Hold, ...]]]:
    """Yield the instants at which time alone could change the answer, with the answer then."""
    ahead = _before_flight(campaign, moment)
    until = ahead.now + HORIZON if ahead else moment.now
    while ahead and (at := _next_change(campaign, ahead)) <= until:
        ahead = moment_of(campaign, at)
        if ahead:
            yield at.astimezone(ahead.zone), holds_at(campaign, ahead)


def _next_change(campaign: Campaign, moment: Moment) -> datetime:
    stale_at = moment.brand.stale_at if moment.brand.stale_policy == StalePolicy.HOLD else None
    return next_change(moment.day, {campaign.hours}, moment.now, stale_at=stale_at)


def _before_flight(campaign: Campaign, moment: Moment) -> Moment | None:
    """Return `moment`, or a later one that is still before the flight: nothing starts until then."""
    if campaign.starts_on is None or campaign.starts_on <= moment.day.date:
        return moment
    # No zone is a whole day from UTC.
    eve = datetime.combine(campaign.starts_on - timedelta(days=1), time.min, UTC)
    return moment_of(campaign, eve) if eve > moment.now else moment


def _limits(campaign: Campaign, moment: Moment) -> dict[Hold, Limit]:
    """Return the budgets there are, by the hold they cause, strongest first."""
    day = moment.day.date
    brand, own = rollover.purse(campaign.brand, day), rollover.purse(campaign, day)
    figures = {
        Hold.BRAND_MONTHLY_BUDGET: (brand.spent_this_month, brand.monthly_budget),
        Hold.CAMPAIGN_MONTHLY_BUDGET: (own.spent_this_month, own.monthly_budget),
        Hold.BRAND_DAILY_BUDGET: (brand.spent_today, brand.daily_budget),
        Hold.CAMPAIGN_DAILY_BUDGET: (own.spent_today, own.daily_budget),
    }
    return {
        hold: Limit(hold=hold, spent=spent, budget=budget)
        for hold, (spent, budget) in figures.items()
        if budget is not None
    }


def _reason(hold: Hold, campaign: Campaign, moment: Moment, limit: Limit | None) -> Reason:
    words = _budget_words(limit, moment) if limit else _words(hold, campaign, moment)
    return Reason(hold=hold, title=HOLD_LABELS[hold], words=words, limit=limit)


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
        case Hold.STALE_SPEND:
            return f"{_silence(moment)} The next report lifts this."
        case Hold.OUTSIDE_HOURS:
            local = moment.now.astimezone(moment.zone)
            return (
                f"Its hours are {hours_in_words(campaign)}, local to the brand; "
                f"it is {local:%H:%M} in {moment.zone.key}."
            )
        case _:
            raise ValueError(f"{hold} is a budget's, or no answer of the decision")


def _silence(moment: Moment) -> str:
    since, hours = moment.brand.last_report_at, moment.brand.stale_after_hours
    local = since and since.astimezone(moment.zone)
    return (
        f"No spend of the brand was reported since {local:%H:%M} on {_date(local)}, {moment.zone.key}: "
        f"that is longer than the {hours} {'hour' if hours == 1 else 'hours'} it may take."
    )


def _budget_words(limit: Limit, moment: Moment) -> str:
    today, zone = moment.day.date, moment.zone.key
    is_of_day = limit.hold in (Hold.BRAND_DAILY_BUDGET, Hold.CAMPAIGN_DAILY_BUDGET)
    when = f"today ({_date(today)}, {zone})" if is_of_day else f"in {today:%B} ({zone})"
    return (
        f"{WHOSE[limit.hold].capitalize()} is reached: {amount(limit.spent)} of "
        f"{amount(limit.budget)} {moment.brand.currency} spent {when}."
    )


def _outlook(
    moment: Moment, holds: tuple[Hold, ...], limits: Mapping[Hold, Limit], turns_at: datetime | None
) -> str:
    if not holds:
        return " ".join(filter(None, (_room(limits, moment), _stop(moment, turns_at))))
    if turns_at:
        return f"If nothing else changes, it starts again {_when(turns_at, moment)}."
    return "Time alone does not start it."


def _stop(moment: Moment, turns_at: datetime | None) -> str:
    """Say when time stops a campaign that runs, and that it runs though nobody knows what is spent."""
    if moment.is_stale:
        return f"It goes on, but: {_silence(moment)}"
    if not turns_at:
        return ""
    if turns_at == moment.brand.stale_at:
        return f"Unless spend of the brand is reported before, it stops {_when(turns_at, moment)}."
    return f"By the clock it stops {_when(turns_at, moment)}."


def _room(limits: Mapping[Hold, Limit], moment: Moment) -> str:
    """Say how much more may be spent until the first budget is reached."""
    if not limits:
        return "No budget limits it."
    limit = min(limits.values(), key=lambda limit: limit.left)
    return (
        f"Up to {amount(limit.left)} {moment.brand.currency} more may be spent until "
        f"{WHOSE[limit.hold]} is reached."
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


def _when(local: datetime, moment: Moment) -> str:
    is_this_year = local.year == moment.day.date.year
    day = f"{local:%a} {local.day} {local:%b}{'' if is_this_year else f' {local.year}'}"
    ahead = in_words(local - moment.now)
    return f"at {local:%H:%M} on {day}, {local.tzinfo} (in {ahead})"
