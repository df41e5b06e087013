"""An agency of twelve advertisers that does not exist, with two months behind it."""
# ruff: noqa: RUF001
# Agencies write the names of campaigns with dashes.

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from decimal import ROUND_DOWN, Decimal

from django.db import transaction
from django.utils.text import slugify

from budgets.core import periods
from budgets.core.periods import LocalDay
from budgets.models import Brand, Campaign
from budgets.services import editing, ingestion, passes
from budgets.services.ingestion import Answer, Receipt, SpendEvent
from budgets.services.transactions import chunks

SOURCE = "demo"
"""Who reports the history; brands with spend of it are the demo's."""
DAYS = 60
ACTOR = "Dana (demo)"

_SEED = 20_260_131
_WEEKDAYS = [Decimal(share) / 100 for share in (88, 92, 95, 93, 84, 61, 56)]
"""What an ordinary Monday … Sunday spends of a daily budget."""
_MONTH = 27
"""Daily budgets a month: what an ordinary month does not reach, and one of full days does."""
_REFUND = Decimal("0.04")


@dataclass(frozen=True, slots=True, kw_only=True)
class Flight:
    """A campaign to be: its name, its part of the brand's spend, and what sets it apart.

    `hours` are local, and mean every day unless a `week` decides instead; `starts` and `ends` are
    days from today; `own_budget` is a daily ceiling as a share of the brand's.
    """

    name: str
    weight: int
    hours: tuple[int, int] = (0, 24)
    week: str | None = None
    starts: int | None = None
    ends: int | None = None
    own_budget: Decimal | None = None
    paused: bool = False

    def runs_on(self, days_ago: int) -> bool:
        """Tell whether it spent money that many days before today."""
        started = self.starts is None or -days_ago >= self.starts
        return started and (self.ends is None or -days_ago <= self.ends)


@dataclass(frozen=True, slots=True, kw_only=True)
class Advertiser:
    """A brand to be. `spent_today` is a share of the daily budget; ``None``: as the hour has it.

    `month_used` is what it has spent of its monthly budget; ``None``: an ordinary part.
    """

    name: str
    timezone: str
    currency: str
    daily_budget: int
    flights: tuple[Flight, ...]
    spent_today: Decimal | None = None
    month_used: Decimal | None = None
    is_active: bool = True
    step: Decimal = field(default=Decimal("0.01"))
    """The smallest coin."""


@dataclass(frozen=True, slots=True)
class Made:
    """What was loaded."""

    brands: int
    campaigns: int
    zones: int
    rows: int
    running: int


@transaction.atomic
def load(now: datetime) -> Made:
    """Create the agency and record its history as a platform would; all of it or nothing.

    States and log come from the decisions that this causes.
    """
    dice = random.Random(_SEED)  # noqa: S311  # the same agency for everybody, not a secret
    history: list[SpendEvent] = []
    today: list[SpendEvent] = []
    for advertiser in ADVERTISERS:
        day = periods.local_day(periods.zone_named(advertiser.timezone), now)
        brand = Brand.objects.create(
            name=advertiser.name,
            daily_budget=advertiser.daily_budget,
            timezone=advertiser.timezone,
            currency=advertiser.currency,
            is_active=advertiser.is_active,
        )
        campaigns = Campaign.objects.bulk_create(
            [_campaign(brand, flight, day.date) for flight in advertiser.flights]
        )
        events = list(_events(advertiser, campaigns, day, now, dice))
        brand.monthly_budget = _monthly_budget(advertiser, events, day.date)
        brand.save()
        history += [event for event in events if event.date != day.date]
        today += [event for event in events if event.date == day.date]
    # First what was, then today's: those who reach a budget today are seen to stop.
    for batch in (*chunks(history, ingestion.MAX_BATCH), today):
        _must_be_recorded(ingestion.record(batch, source=SOURCE, now=now))
    paused = {flight.name for who in ADVERTISERS for flight in who.flights if flight.paused}
    ids = Campaign.objects.filter(name__in=paused).values_list("pk", flat=True)
    editing.set_enabled(ids, False, by=ACTOR, now=now)
    passes.check_and_pause(now)
    return Made(
        brands=Brand.objects.count(),
        campaigns=Campaign.objects.count(),
        zones=Brand.objects.values("timezone").distinct().count(),
        rows=len(history) + len(today),
        running=Campaign.objects.active().count(),
    )


def _must_be_recorded(receipt: Receipt) -> None:
    for result in receipt.results:
        if result.answer is not Answer.RECORDED:
            raise ValueError(f"the demo's spend is refused: {result.field}: {result.words}")


def _campaign(brand: Brand, flight: Flight, today: date) -> Campaign:
    start, end = flight.hours
    own_budget = None
    if flight.own_budget is not None and brand.daily_budget is not None:
        own_budget = brand.daily_budget * flight.own_budget
    return Campaign(
        brand=brand,
        name=flight.name,
        external_id=f"demo-{brand.pk}-{slugify(flight.name)}",
        allowed_start_hour=start,
        allowed_end_hour=end,
        weekly_hours=flight.week,
        starts_on=None if flight.starts is None else today + timedelta(days=flight.starts),
        ends_on=None if flight.ends is None else today + timedelta(days=flight.ends),
        daily_budget=own_budget,
    )


def _events(
    advertiser: Advertiser,
    campaigns: list[Campaign],
    day: LocalDay,
    now: datetime,
    dice: random.Random,
) -> Iterator[SpendEvent]:
    """Yield a row for each campaign and day, and now and then a platform's credit."""
    elapsed = Decimal((now - day.starts_at) // timedelta(minutes=1)) / (24 * 60)
    for days_ago in range(DAYS, -1, -1):
        date_ = day.date - timedelta(days=days_ago)
        running = [
            (campaign, flight)
            for campaign, flight in zip(campaigns, advertiser.flights, strict=True)
            if flight.runs_on(days_ago)
        ]
        usual = _WEEKDAYS[date_.weekday()]
        if days_ago == 0:
            usual = advertiser.spent_today or usual * min(elapsed, Decimal(1))
        weights = {
            campaign.pk: flight.weight * dice.randint(80, 120) for campaign, flight in running
        }
        whole = sum(weights.values())
        for campaign, _ in running:
            chance = 1 if days_ago == 0 else Decimal(dice.randint(90, 105)) / 100
            share = usual * chance * weights[campaign.pk] / whole
            spent = (advertiser.daily_budget * share).quantize(advertiser.step, ROUND_DOWN)
            if campaign.daily_budget is not None:
                spent = min(spent, campaign.daily_budget * Decimal("0.98"))
            reported = f"{campaign.pk}-{date_}"
            if days_ago == 0:
                yield from _through_the_day(campaign, spent, advertiser.step, day, now)
            elif spent:
                yield SpendEvent(
                    campaign_id=campaign.pk, amount=spent, date=date_, external_id=reported
                )
            credit = (spent * _REFUND).quantize(advertiser.step, ROUND_DOWN)
            if days_ago and credit and dice.random() < _REFUND:
                yield SpendEvent(
                    campaign_id=campaign.pk,
                    amount=-credit,
                    date=date_,
                    external_id=f"{reported}-credit",
                )


def _through_the_day(
    campaign: Campaign, spent: Decimal, step: Decimal, day: LocalDay, now: datetime
) -> Iterator[SpendEvent]:
    """Yield what was spent of `spent` in each hour of today so far, where it may run in those hours."""
    dice = random.Random(campaign.name)  # noqa: S311  # its own: one campaign more moves no other
    begun = [(begins, hour) for begins, hour in day.hours if begins <= now]
    weekday = day.date.weekday()
    opened = [each for each in begun if campaign.hours.is_open(weekday, each[1])] or begun
    weights = [dice.randint(70, 130) for _ in opened]
    reported, so_far = Decimal(0), 0
    for (begins, _), weight in zip(opened, weights, strict=True):
        so_far += weight
        until_now = (spent * so_far / sum(weights)).quantize(step, ROUND_DOWN)
        if until_now > reported:
            yield SpendEvent(
                campaign_id=campaign.pk,
                amount=until_now - reported,
                date=day.date,
                occurred_at=min(begins + timedelta(minutes=dice.randint(5, 55)), now),
                external_id=f"{campaign.pk}-{begins:%Y-%m-%dT%H:%M}",
            )
            reported = until_now


def _monthly_budget(advertiser: Advertiser, events: list[SpendEvent], today: date) -> Decimal:
    """Return a round sum that an ordinary month stays below, or what `month_used` asks for."""
    daily = Decimal(advertiser.daily_budget)
    spent = sum(
        (
            Decimal(str(event.amount))
            for event in events
            if event.date is not None and event.date >= periods.month_start(today)
        ),
        start=Decimal(0),
    )
    # In the first days of a month nobody has used up a believable budget.
    if advertiser.month_used is None or spent < 3 * daily:
        return daily * _MONTH
    return (spent / advertiser.month_used).quantize(Decimal(1), ROUND_DOWN)


def _share(percent: int) -> Decimal:
    return Decimal(percent) / 100


ADVERTISERS = (
    Advertiser(
        name="Alpenglow Outdoor",
        timezone="Europe/Berlin",
        currency="EUR",
        daily_budget=480,
        spent_today=_share(91),
        flights=(
            Flight(name="Search – Brand – DE", weight=22),
            Flight(name="Search – Generic – Hiking boots", weight=34),
            Flight(name="Shopping – Winter boots", weight=26),
            Flight(name="Display – Retargeting – 30 days", weight=12, own_budget=_share(20)),
            Flight(name="Video – Summit stories", weight=6, starts=9, ends=40),
        ),
    ),
    Advertiser(
        name="Bluebird Airways",
        timezone="America/New_York",
        currency="USD",
        daily_budget=2400,
        spent_today=_share(88),
        flights=(
            Flight(name="Search – Brand – US", weight=25),
            Flight(name="Search – Routes – NYC to LAX", weight=38),
            Flight(name="Performance Max – Fall fares", weight=24, own_budget=_share(30)),
            Flight(name="Display – Abandoned bookings", weight=8),
            Flight(name="Video – Summer sale", weight=5, starts=-48, ends=-6),
        ),
    ),
    Advertiser(
        name="Casa Lumen",
        timezone="Europe/Madrid",
        currency="EUR",
        daily_budget=260,
        spent_today=_share(94),
        flights=(
            Flight(name="Search – Marca – ES", weight=20),
            Flight(name="Shopping – Lámparas", weight=40),
            Flight(name="Shopping – Outlet", weight=18, own_budget=_share(25)),
            Flight(name="Social – Interior ideas", weight=14, hours=(8, 22)),
            Flight(name="Display – Night owls", weight=8, hours=(22, 6)),
        ),
    ),
    Advertiser(
        name="Chai & Co.",
        timezone="Asia/Kolkata",
        currency="INR",
        daily_budget=42_000,
        flights=(
            Flight(name="Search – Brand – IN", weight=18),
            Flight(name="Social – Festive gift boxes", weight=35),
            Flight(name="Video – Monsoon mornings", weight=22, hours=(5, 11)),
            Flight(name="Display – Tea clubs", weight=15),
            Flight(name="App installs – Android", weight=10, paused=True),
        ),
    ),
    Advertiser(
        name="Fjord Coffee",
        timezone="Europe/Oslo",
        currency="NOK",
        daily_budget=3200,
        month_used=_share(101),
        flights=(
            Flight(name="Search – Brand – NO", weight=24),
            Flight(name="Search – Generic – Kaffebønner", weight=30),
            Flight(name="Shopping – Subscriptions", weight=26),
            Flight(name="Social – Lookalike 1 %", weight=12),
            Flight(name="Display – Prospecting", weight=8, own_budget=_share(12)),
        ),
    ),
    Advertiser(
        name="Harbour Insurance",
        timezone="Europe/London",
        currency="GBP",
        daily_budget=1500,
        month_used=_share(99),
        flights=(
            Flight(name="Search – Brand – UK", weight=16),
            Flight(name="Search – Home insurance", weight=36, own_budget=_share(45)),
            Flight(name="Search – Car insurance", weight=30),
            Flight(name="Call ads – Office hours", weight=12, week="Mon-Fri 9-18; Sat 10-14"),
            Flight(name="Display – Quote abandoners", weight=6),
        ),
    ),
    Advertiser(
        name="Juniper Learning",
        timezone="UTC",
        currency="USD",
        daily_budget=350,
        flights=(
            Flight(name="Search – Brand – Global", weight=20),
            Flight(name="Search – Python courses", weight=32),
            Flight(name="Social – Career changers", weight=24),
            Flight(name="Video – Student stories", weight=16, own_budget=_share(20)),
            Flight(name="Search – Competitors", weight=8, paused=True),
        ),
    ),
    Advertiser(
        name="Kestrel Mobile",
        timezone="America/Los_Angeles",
        currency="USD",
        daily_budget=1800,
        flights=(
            Flight(name="Search – Brand – US West", weight=18),
            Flight(name="Search – Unlimited plans", weight=34),
            Flight(name="Performance Max – Handsets", weight=28, own_budget=_share(35)),
            Flight(name="Social – Campus", weight=12, week="Mon-Thu 15-24; Fri-Sat 15-3"),
            Flight(name="Display – Switchers", weight=8),
        ),
    ),
    Advertiser(
        name="Kiwi Campers",
        timezone="Pacific/Auckland",
        currency="NZD",
        daily_budget=620,
        flights=(
            Flight(name="Search – Brand – NZ", weight=22),
            Flight(name="Search – Campervan hire – AU", weight=36),
            Flight(name="Display – South Island", weight=20),
            Flight(name="Social – Daytime planners", weight=14, hours=(8, 20)),
            Flight(name="Video – Summer roads", weight=8, starts=14, ends=90),
        ),
    ),
    Advertiser(
        name="Maple Bikes",
        timezone="America/Toronto",
        currency="CAD",
        daily_budget=540,
        flights=(
            Flight(name="Search – Brand – CA", weight=24),
            Flight(name="Shopping – E-bikes", weight=38, own_budget=_share(40)),
            Flight(name="Shopping – Helmets & parts", weight=18),
            Flight(name="Local – Store visits", weight=14, week="Mon-Sat 10-19; Sun 11-17"),
            Flight(name="Display – Spring tune-up", weight=6, starts=-58, ends=-20),
        ),
    ),
    Advertiser(
        name="Sakura Skincare",
        timezone="Asia/Tokyo",
        currency="JPY",
        daily_budget=90_000,
        step=Decimal(1),
        flights=(
            Flight(name="Search – Brand – JP", weight=26),
            Flight(name="Social – New serum", weight=34),
            Flight(name="Shopping – Bestsellers", weight=22),
            Flight(name="Video – Evening routine", weight=12, hours=(19, 1)),
            Flight(name="Display – Samples", weight=6, paused=True),
        ),
    ),
    Advertiser(
        name="Dune Hotels",
        timezone="Asia/Dubai",
        currency="AED",
        daily_budget=5200,
        is_active=False,
        flights=(
            Flight(name="Search – Brand – Gulf", weight=28),
            Flight(name="Search – Desert resorts", weight=34),
            Flight(name="Metasearch – Direct bookings", weight=20),
            Flight(name="Social – Honeymoon", weight=12),
            Flight(name="Display – Loyalty", weight=6),
        ),
    ),
)
