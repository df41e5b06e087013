"""A simulated ad platform: it spends on the demo's active campaigns, and reports it."""

from __future__ import annotations

import random
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import ROUND_DOWN, Decimal

from budgets.core.decision import Purse
from budgets.core.plurals import counted
from budgets.models import Brand, Campaign, Spend
from budgets.models.campaign import HOLD_LABELS
from budgets.services import ingestion, rollover
from budgets.services.ingestion import Answer, Receipt, SpendEvent
from budgets.services.rollover import BrandRow, Moment

SOURCE = "demo-platform"

EXHAUSTED_AFTER = (20, 35, 50, 150, 300, 600, 1800, 4200, 8000, 12_000, 15_500, 28_000)
"""Seconds in which a brand spends what it has left: some at once, and others for hours."""

UNLIMITED_DAY = Decimal(500)
"""What a brand without any budget spends in a day, or so."""

CENT = Decimal("0.01")
COINS = {"JPY": Decimal(1)}
"""The smallest coin, where it is not a hundredth."""
A_CLICK = Decimal(1)
"""Platforms report clicks, not fractions: what is less waits for the next round."""

LATE = 0.2
"""Chance a round that a campaign paused last has a late conversion."""
SECONDS_A_CREDIT = 600
"""About as often something is credited: a hundredth of a daily budget, for clicks of robots."""

ROUNDS_BETWEEN_LOOKS = 20
"""New demo brands, if any, are found after this many rounds."""


@dataclass(frozen=True, slots=True)
class _Pace:
    """What a brand spends a second, for as long as its budgets and its day are these."""

    day: date
    daily_budget: Decimal | None
    monthly_budget: Decimal | None
    a_second: Decimal


@dataclass(slots=True)
class Round:
    """What one round reported and what came of it."""

    reports: int = 0
    amounts: dict[str, Decimal] = field(default_factory=lambda: defaultdict(Decimal))
    refused: Counter[str] = field(default_factory=Counter)
    paused: list[str] = field(default_factory=list)
    resumed: int = 0

    def text(self) -> str:
        """Say it in one line."""
        if not self.reports:
            return "nothing to report"
        spent = ", ".join(f"{amount:,} {currency}" for currency, amount in self.amounts.items())
        parts = [f"{counted(self.reports, 'report')}, {spent}"]
        parts += [f"refused: {count} ({words})" for words, count in self.refused.items()]
        if self.paused:
            parts.append(f"paused: {', '.join(self.paused)}")
        if self.resumed:
            parts.append(f"resumed: {self.resumed}")
        return "; ".join(parts)


class NoDemo(RuntimeError):
    """The database has no brands of the demo."""

    def __init__(self) -> None:
        super().__init__("There is no demo data to report spend for.")


class Platform:
    """The platform of brands whose history `demo_source` reported; no two `run` may be equal."""

    def __init__(self, demo_source: str, run: str, dice: random.Random) -> None:
        self._demo_source = demo_source
        self._run = run
        self._dice = dice
        self._rounds = 0
        self._brand_ids: list[int] = []
        self._paces: dict[int, _Pace] = {}
        self._owed: dict[int, Decimal] = defaultdict(Decimal)
        self._just_paused: list[int] = []

    def round(self, seconds: float, now: datetime) -> Round:
        """Report what was spent in the last `seconds`, and tell what that caused.

        Raises `NoDemo` when there is nobody to spend for.
        """
        if self._rounds % ROUNDS_BETWEEN_LOOKS == 0:
            self._find_brands()
        self._rounds += 1
        brands = Brand.objects.filter(pk__in=self._brand_ids).order_by("pk")
        moments = rollover.preview(brands, now)
        campaigns = Campaign.objects.filter(brand__in=moments)
        active: dict[int, list[int]] = defaultdict(list)
        for pk, brand_id in campaigns.active().values_list("pk", "brand_id"):
            active[brand_id].append(pk)
        spent: list[tuple[int, Decimal]] = []
        for brand_id, campaign_ids in sorted(active.items()):
            moment = moments[brand_id]
            self._owed[brand_id] += self._pace(moment) * Decimal(str(seconds))
            spent += self._spend(moment.brand, campaign_ids)
        if self._just_paused and self._dice.random() < LATE:
            spent.append((self._dice.choice(self._just_paused), A_CLICK))
        if self._dice.random() < seconds / SECONDS_A_CREDIT:
            of = campaigns.filter(pk__in=self._just_paused) if self._just_paused else campaigns
            spent += self._credit(list(of.order_by("pk")), moments)
        # A round cannot be reported twice: what failed is spent again, under the next numbers.
        events = [
            SpendEvent(
                campaign_id=campaign_id,
                amount=amount,
                occurred_at=now,
                external_id=f"{self._run}-{self._rounds}-{place}",
            )
            for place, (campaign_id, amount) in enumerate(spent)
        ]
        receipt = ingestion.record(events, source=SOURCE, now=now)
        if receipt.paused:
            self._just_paused = list(receipt.paused)
        return _described(events, receipt)

    def _find_brands(self) -> None:
        reported = Spend.objects.filter(source=self._demo_source).order_by()
        self._brand_ids = sorted(reported.values_list("campaign__brand", flat=True).distinct())
        if not self._brand_ids:
            raise NoDemo

    def _pace(self, moment: Moment) -> Decimal:
        """Return what the brand spends a second: measured anew each day, or with new budgets."""
        brand, day = moment.brand, moment.day.date
        purse = moment.purse
        pace = self._paces.get(brand.pk)
        asked = (day, purse.daily_budget, purse.monthly_budget)
        if pace is None or (pace.day, pace.daily_budget, pace.monthly_budget) != asked:
            place = self._brand_ids.index(brand.pk) % len(EXHAUSTED_AFTER)
            pace = self._paces[brand.pk] = _Pace(*asked, _left(purse) / EXHAUSTED_AFTER[place])
        return pace.a_second * self._dice.randint(70, 130) / 100

    def _spend(self, brand: BrandRow, campaign_ids: list[int]) -> list[tuple[int, Decimal]]:
        """Share what the brand owes among some of its campaigns."""
        owed = self._owed[brand.pk]
        if owed < A_CLICK:
            return []
        several = min(len(campaign_ids), int(owed / A_CLICK), self._dice.randint(1, 3))
        each = (owed / several).quantize(_coin(brand), ROUND_DOWN)
        self._owed[brand.pk] -= each * several
        return [(pk, each) for pk in self._dice.sample(sorted(campaign_ids), several)]

    def _credit(
        self, campaigns: list[Campaign], moments: Mapping[int, Moment]
    ) -> Iterator[tuple[int, Decimal]]:
        """Yield a credit for one of the campaigns, no more than it spent today."""
        campaign = self._dice.choice(campaigns)
        moment = moments[campaign.brand_id]
        brand = moment.brand
        credit = min(
            (moment.purse.daily_budget or UNLIMITED_DAY) / 100,
            rollover.purse(campaign, moment.day.date).spent_today,
        ).quantize(_coin(brand), ROUND_DOWN)
        if credit > 0:
            yield campaign.pk, -credit


def _coin(brand: BrandRow) -> Decimal:
    return COINS.get(brand.currency, CENT)


def _left(purse: Purse) -> Decimal:
    left = [
        budget - spent
        for budget, spent in (
            (purse.daily_budget, purse.spent_today),
            (purse.monthly_budget, purse.spent_this_month),
        )
        if budget is not None
    ]
    return max(min(left, default=UNLIMITED_DAY), A_CLICK)


def _described(events: list[SpendEvent], receipt: Receipt) -> Round:
    rows = Campaign.objects.select_related("brand").in_bulk(
        {event.campaign_id for event in events} | set(receipt.paused)
    )
    told = Round(reports=len(events), resumed=len(receipt.resumed))
    for event, result in zip(events, receipt.results, strict=True):
        if result.answer is Answer.RECORDED and isinstance(event.amount, Decimal):
            told.amounts[rows[event.campaign_id].brand.currency] += event.amount
        else:
            told.refused[result.words] += 1
    paused: dict[tuple[str, str], list[str]] = defaultdict(list)
    for pk in receipt.paused:
        campaign = rows[pk]
        paused[campaign.brand.name, campaign.hold].append(campaign.name)
    for (brand, hold), names in paused.items():
        who = names[0] if len(names) == 1 else f"{len(names)} campaigns"
        told.paused.append(f"{who} of {brand} ({HOLD_LABELS.get(hold, 'running again')})")
    return told
