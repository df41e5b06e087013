"""The decision: why a campaign may not run. This is the only statement of the rules.

SQL reads sets and writes sets; it never repeats what stands here.
"""

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import TypeVar

from budgets.core import dayparting, money
from budgets.core.dayparting import Hours
from budgets.core.periods import LocalDay

AmountT = TypeVar("AmountT", Decimal, int)


class Hold(StrEnum):
    """Why a campaign is not active, strongest reason first: the order is the precedence."""

    OPERATOR = "operator"
    BRAND_INACTIVE = "brand_inactive"
    NOT_STARTED = "not_started"
    ENDED = "ended"
    BRAND_MONTHLY_BUDGET = "brand_monthly_budget"
    CAMPAIGN_MONTHLY_BUDGET = "campaign_monthly_budget"
    BRAND_DAILY_BUDGET = "brand_daily_budget"
    CAMPAIGN_DAILY_BUDGET = "campaign_daily_budget"
    STALE_SPEND = "stale_spend"
    OUTSIDE_HOURS = "outside_hours"
    UNDECIDED = "undecided"
    """Never an answer of `decide`: the row was written by a road that does not decide."""


BUDGET_HOLDS = frozenset(
    {
        Hold.BRAND_MONTHLY_BUDGET,
        Hold.CAMPAIGN_MONTHLY_BUDGET,
        Hold.BRAND_DAILY_BUDGET,
        Hold.CAMPAIGN_DAILY_BUDGET,
    }
)

LASTING_HOLDS = frozenset({Hold.OPERATOR, Hold.BRAND_INACTIVE, Hold.ENDED, Hold.STALE_SPEND})
"""Those that time alone never lifts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Purse:
    """Spend to date and budgets of a brand or campaign, in the brand's currency; ``None``: no limit."""

    spent_today: Decimal = Decimal(0)
    spent_this_month: Decimal = Decimal(0)
    daily_budget: Decimal | None = None
    monthly_budget: Decimal | None = None

    @property
    def day_is_spent(self) -> bool:
        """Whether the daily budget is reached."""
        return reached(self.spent_today, self.daily_budget)

    @property
    def month_is_spent(self) -> bool:
        """Whether the monthly budget is reached."""
        return reached(self.spent_this_month, self.monthly_budget)


@dataclass(frozen=True, slots=True, kw_only=True)
class BrandFacts:
    """What the decision asks of a brand. `today` and `hour` (0-23) are local to it.

    Not how much was spent but whether that is all: so brands by the thousand share an answer.
    """

    is_active: bool
    day_is_spent: bool
    month_is_spent: bool
    today: date
    hour: int
    waits_for_reports: bool = False
    """Its spend was not reported for longer than it allows, and until it is nothing shall run."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CampaignFacts:
    """What the decision asks of a campaign. Hours and dates are local to the brand."""

    is_enabled: bool
    starts_on: date | None = None
    ends_on: date | None = None
    hours: Hours = Hours()  # noqa: RUF009  # a tuple: nobody can change it
    day_is_spent: bool = False
    month_is_spent: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """Everything that decides about one campaign at one instant."""

    brand: BrandFacts
    campaign: CampaignFacts


def reached(spent: AmountT, budget: AmountT | None) -> bool:
    """Tell whether `spent` has reached `budget`: inclusive, to the last micro-unit.

    Both are amounts, or both whole micro-units. Of a budget of zero nothing may be spent, not even
    what was credited before.
    """
    return budget is not None and (spent >= budget or budget == 0)


def least_budget(spent: Decimal) -> Decimal:
    """Return the least budget that `spent` has not reached: one micro-unit more, never zero."""
    return money.from_micros(max(money.to_micros(spent), 0) + 1)


def stale_at(last_report_at: datetime | None, stale_after_hours: int | None) -> datetime | None:
    """Return the instant from which on spend that was last reported then is stale; ``None``: never.

    Hours that pass, not those of a wall clock.
    """
    if last_report_at is None or stale_after_hours is None:
        return None
    return last_report_at + timedelta(hours=stale_after_hours)


def decide(facts: Facts) -> tuple[Hold, ...]:
    """Return every hold that applies, strongest first; none: the campaign is active."""
    brand, campaign = facts.brand, facts.campaign
    applies = {
        Hold.OPERATOR: not campaign.is_enabled,
        Hold.BRAND_INACTIVE: not brand.is_active,
        Hold.NOT_STARTED: campaign.starts_on is not None and brand.today < campaign.starts_on,
        Hold.ENDED: campaign.ends_on is not None and brand.today > campaign.ends_on,
        Hold.BRAND_MONTHLY_BUDGET: brand.month_is_spent,
        Hold.CAMPAIGN_MONTHLY_BUDGET: campaign.month_is_spent,
        Hold.BRAND_DAILY_BUDGET: brand.day_is_spent,
        Hold.CAMPAIGN_DAILY_BUDGET: campaign.day_is_spent,
        Hold.STALE_SPEND: brand.waits_for_reports,
        Hold.OUTSIDE_HOURS: not campaign.hours.is_open(brand.today.weekday(), brand.hour),
    }
    return tuple(hold for hold in Hold if applies.get(hold))


def next_change(
    day: LocalDay, calendars: set[Hours], now: datetime, *, stale_at: datetime | None = None
) -> datetime:
    """Return the earliest instant after `now` at which time alone could change a decision.

    `calendars` are the allowed hours of the brand's campaigns; at `stale_at` its spend is stale, if
    none is reported before. Flights, months and budgets turn only at a local midnight, which is the
    day's end.
    """
    turns = [day.ends_at, *(dayparting.next_change(day, hours, now) for hours in calendars)]
    if stale_at is not None and stale_at > now:
        turns.append(stale_at)
    return min(turns)
