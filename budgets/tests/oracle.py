"""The rules of the domain a second time, written from the rule book alone.

Plain Python on plain facts: nothing here may come from the code that it judges.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

NOTHING = Decimal(0)


@dataclass(slots=True, kw_only=True)
class Row:
    """An amount of the ledger."""

    campaign: CampaignFact
    date: date
    amount: Decimal
    recorded_at: datetime | None = None
    """When it came; ``None``: nobody waits for it, or `BrandFact.hear` was told."""


@dataclass(slots=True, kw_only=True, eq=False)
class CampaignFact:
    """What people wrote about a campaign."""

    pk: int = 0
    is_enabled: bool = True
    starts_on: date | None = None
    ends_on: date | None = None
    opens: int = 0
    closes: int = 24
    week: frozenset[tuple[int, int]] | None = None
    daily: Decimal | None = None
    monthly: Decimal | None = None

    @property
    def open_hours(self) -> list[int]:
        """Walk the clock's face from opening to closing; to the same hour is all the way round."""
        hours = [self.opens]
        while (hour := (hours[-1] + 1) % 24) != self.closes % 24:
            hours.append(hour)
        return hours

    def is_open(self, local: datetime) -> bool:
        """Look at the wall clock, and where there is a calendar of weekdays and hours, only there."""
        if self.week is not None:
            return (local.weekday(), local.hour) in self.week
        return local.hour in self.open_hours


@dataclass(slots=True, kw_only=True, eq=False)
class BrandFact:
    """What people wrote about a brand, and its campaigns."""

    pk: int = 0
    zone: str = "UTC"
    """The one in force."""
    wanted_zone: str = ""
    """The one that takes over at the next midnight of the one in force; empty: none."""
    day: date | None = None
    """The day of which its totals speak; ``None``: it was never looked at."""
    is_active: bool = True
    daily: Decimal | None = None
    monthly: Decimal | None = None
    patience: timedelta | None = None
    """How long it goes without a report, of those in its rows, before its spend is stale."""
    is_held_when_stale: bool = True
    """Whether nothing may run then, or people are told and it goes on."""
    heard_at: datetime | None = None
    """When the last report came of which it heard; before the first, since when it waits for one."""
    campaigns: list[CampaignFact] = field(default_factory=list)

    def today(self, now: datetime) -> date:
        """Return the date on this brand's wall calendar."""
        return self.local(now).date()

    def local(self, now: datetime) -> datetime:
        """Return what this brand's wall clock shows."""
        return now.astimezone(ZoneInfo(self.zone))

    def look(self, now: datetime) -> None:
        """Take up what somebody wrote: a zone at midnight, the rest from when it is first looked at."""
        if self.wanted_zone and (self.day is None or self.day < self.today(now)):
            self.zone, self.wanted_zone = self.wanted_zone, ""
        self.day = self.today(now)
        if self.patience is None:
            self.heard_at = None
        elif self.heard_at is None:
            self.heard_at = now

    def hear(self, came_at: datetime, now: datetime) -> None:
        """Hear of a report: an older one is no news, but what came in the future never did."""
        if self.heard_at is None:
            return
        if self.heard_at > now:
            self.heard_at = min(came_at, now)
        else:
            self.heard_at = max(self.heard_at, min(came_at, now))


@dataclass(frozen=True, slots=True)
class Spent:
    """What was spent on a day, and in its month up to that day."""

    today: Decimal
    this_month: Decimal


@dataclass(slots=True)
class World:
    """Everything that is known."""

    brands: list[BrandFact]
    rows: list[Row] = field(default_factory=list)

    @property
    def campaigns(self) -> list[CampaignFact]:
        """Every campaign of every brand."""
        return [campaign for brand in self.brands for campaign in brand.campaigns]

    def brand_of(self, campaign: CampaignFact) -> BrandFact:
        """Return who pays for the campaign."""
        return next(brand for brand in self.brands if campaign in brand.campaigns)

    def spent(self, campaigns: list[CampaignFact], day: date) -> Spent:
        """Add up the ledger: what is dated after `day` waits."""
        of_day, of_month = NOTHING, NOTHING
        for row in self.rows:
            if row.campaign not in campaigns:
                continue
            if row.date == day:
                of_day += row.amount
            if (row.date.year, row.date.month) == (day.year, day.month) and row.date <= day:
                of_month += row.amount
        return Spent(of_day, of_month)

    def hold(  # noqa: C901  # one question a hold
        self, brand: BrandFact, campaign: CampaignFact, now: datetime
    ) -> str:
        """Return the strongest reason why the campaign may not run now; empty: it may."""
        today = brand.today(now)
        shared, own = self.spent(brand.campaigns, today), self.spent([campaign], today)
        if not campaign.is_enabled:
            return "operator"
        if not brand.is_active:
            return "brand_inactive"
        if campaign.starts_on and today < campaign.starts_on:
            return "not_started"
        if campaign.ends_on and today > campaign.ends_on:
            return "ended"
        if brand.monthly is not None and (shared.this_month >= brand.monthly or brand.monthly == 0):
            return "brand_monthly_budget"
        if campaign.monthly is not None and (
            own.this_month >= campaign.monthly or campaign.monthly == 0
        ):
            return "campaign_monthly_budget"
        if brand.daily is not None and (shared.today >= brand.daily or brand.daily == 0):
            return "brand_daily_budget"
        if campaign.daily is not None and (own.today >= campaign.daily or campaign.daily == 0):
            return "campaign_daily_budget"
        if brand.is_held_when_stale and self.waited(brand, now):
            return "stale_spend"
        if not campaign.is_open(brand.local(now)):
            return "outside_hours"
        return ""

    def waited(self, brand: BrandFact, now: datetime) -> bool:
        """Tell whether the brand waits for a report in vain; rows of days to come are none yet."""
        if brand.patience is None or brand.heard_at is None:
            return False
        heard = [
            row.recorded_at
            for row in self.rows
            if row.campaign in brand.campaigns and row.date <= brand.today(now) and row.recorded_at
        ]
        return now - max([brand.heard_at, *heard]) >= brand.patience

    def holds(self, brand: BrandFact, now: datetime) -> dict[int, str]:
        """Return the hold of each campaign of a brand, by primary key."""
        return {campaign.pk: self.hold(brand, campaign, now) for campaign in brand.campaigns}

    def first_change(
        self, brand: BrandFact, now: datetime, *, within: timedelta
    ) -> datetime | None:
        """Return the first quarter of an hour after `now` at which any answer is another one."""
        before = self.holds(brand, now)
        instant = _quarter(now)
        while (instant := instant + timedelta(minutes=15)) <= now + within:
            if self.holds(brand, instant) != before:
                return instant
        return None

    def first_start(
        self, brand: BrandFact, campaign: CampaignFact, now: datetime, *, within: timedelta
    ) -> datetime | None:
        """Return the first quarter of an hour after `now` at which a held campaign may run."""
        if self.hold(brand, campaign, now) in (
            "",
            "operator",
            "brand_inactive",
            "ended",
            "stale_spend",
        ):
            return None
        instant = _quarter(now)
        while (instant := instant + timedelta(minutes=15)) <= now + within:
            if not self.hold(brand, campaign, instant):
                return instant
        return None


def _quarter(now: datetime) -> datetime:
    return now - timedelta(
        minutes=now.minute % 15, seconds=now.second, microseconds=now.microsecond
    )
