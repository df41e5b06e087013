"""The naive way: every campaign is loaded, decided and saved by itself."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from django.db import models, transaction
from django.db.models import F, Value

from budgets.core import money
from budgets.core.decision import BrandFacts, CampaignFacts, Facts, Hold, decide, reached
from budgets.models import Brand, Campaign, Cause, MoneyField, Spend, StatusChange
from budgets.services.ingestion import SpendEvent


class Loop:
    """A loop over `Campaign.objects.select_related("brand")`, as most would write it first.

    As Django does it by default, each `save` is a transaction of its own. (One for the whole pass
    would be some three times as fast, and would keep every other writer out until its end.)
    `models.Model.save`, because our models refuse to write what enforcement owns.
    """

    name = "loop"

    def run_pass(self, now: datetime) -> None:
        """Count, roll and decide, row by row."""
        today = now.date()
        for row in Spend.objects.filter(is_counted=False, date__lte=today).select_related(
            "campaign"
        ):
            _count(row, now)
        for brand in Brand.objects.iterator():
            _roll(brand, now)
        for campaign in Campaign.objects.select_related("brand").iterator():
            _roll(campaign, now)
            _decide(campaign, now)

    def record(self, events: Sequence[SpendEvent], *, source: str, now: datetime) -> None:
        """Record each event in a transaction of its own, as a view that takes one does."""
        for event in events:
            with transaction.atomic():
                _record(event, source, now)


def _record(event: SpendEvent, source: str, now: datetime) -> None:
    if Spend.objects.filter(source=source, external_id=event.external_id).exists():
        return
    campaign = Campaign.objects.select_related("brand").get(pk=event.campaign_id)
    _roll(campaign.brand, now)
    _roll(campaign, now)
    row = Spend(
        campaign=campaign,
        date=event.date or now.date(),
        amount=money.parse_amount(event.amount),
        source=source,
        external_id=event.external_id,
        is_counted=True,
    )
    models.Model.save(row, force_insert=True)
    _add(row)
    _decide(Campaign.objects.select_related("brand").get(pk=campaign.pk), now)


def _count(row: Spend, now: datetime) -> None:
    _roll(Brand.objects.get(pk=row.campaign.brand_id), now)
    _roll(Campaign.objects.get(pk=row.campaign_id), now)
    _add(row)
    row.is_counted = True
    models.Model.save(row, update_fields=["is_counted"])


def _add(row: Spend) -> None:
    # All spend of the benchmark is of the day.
    spent = Value(row.amount, output_field=MoneyField())
    for rows in (
        Campaign.objects.filter(pk=row.campaign_id),
        Brand.objects.filter(pk=row.campaign.brand_id),
    ):
        rows.write(
            total_daily_spend=F("total_daily_spend") + spent,
            total_monthly_spend=F("total_monthly_spend") + spent,
        )


def _roll(row: Brand | Campaign, now: datetime) -> None:
    today = now.date()
    if row.spend_day == today:
        return
    row.total_daily_spend = money.from_micros(0)
    if row.spend_day.replace(day=1) != today.replace(day=1):
        row.total_monthly_spend = money.from_micros(0)
    row.spend_day = today
    columns = ["total_daily_spend", "total_monthly_spend", "spend_day"]
    models.Model.save(row, update_fields=columns)


def _decide(campaign: Campaign, now: datetime) -> None:
    old, holds = campaign.hold, decide(_facts(campaign, now))
    new = holds[0].value if holds else ""
    if old == new:
        return
    campaign.hold, campaign.is_active = new, not new
    models.Model.save(campaign, update_fields=["hold", "is_active"])
    StatusChange.objects.create(
        campaign=campaign,
        at=now,
        was_active=not old,
        is_active=not new,
        old_hold=old,
        hold=new,
        cause=_cause(old, new),
        actor="loop",
        figures={"holds": [hold.value for hold in holds], "currency": campaign.brand.currency},
    )


def _facts(campaign: Campaign, now: datetime) -> Facts:
    brand = campaign.brand
    is_today = brand.spend_day == now.date()
    return Facts(
        brand=BrandFacts(
            is_active=brand.is_active,
            day_is_spent=is_today and reached(brand.total_daily_spend, brand.daily_budget),
            month_is_spent=reached(brand.total_monthly_spend, brand.monthly_budget),
            today=now.date(),
            hour=now.hour,
        ),
        campaign=CampaignFacts(
            is_enabled=campaign.is_enabled,
            starts_on=campaign.starts_on,
            ends_on=campaign.ends_on,
            hours=campaign.hours,
            day_is_spent=reached(campaign.total_daily_spend, campaign.daily_budget),
            month_is_spent=reached(campaign.total_monthly_spend, campaign.monthly_budget),
        ),
    )


def _cause(old: str, new: str) -> str:
    if Hold.OUTSIDE_HOURS in (old, new):
        return Cause.SCHEDULE.value
    return (Cause.SPEND if new else Cause.ROLLOVER).value
